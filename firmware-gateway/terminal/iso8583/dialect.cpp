#include "firmware-gateway/terminal/iso8583/dialect.hpp"

#include <algorithm>

namespace iso8583 {
namespace {

std::size_t growth_of(const FieldFormat& format) {
  if (!format.listed) return 0;
  const std::size_t of_text = format.charset == nullptr ? 0 : format.charset->growth_max();
  return format.data == Data::text ? of_text : std::max(of_text, std::size_t{2});
}

}  // namespace

std::size_t Dialect::growth_max() const {
  std::size_t growth = growth_of(header);
  for (const FieldFormat& format : fields) growth = std::max(growth, growth_of(format));
  return growth;
}

}  // namespace iso8583
