#include "firmware-gateway/terminal/iso8583/answers.hpp"

#include <algorithm>
#include <array>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"

namespace iso8583 {

bool may_echo(unsigned field) {
  constexpr std::array never = {2U, 14U, 34U, 35U, 36U, 45U, 52U, 53U, 55U, 102U, 103U};
  return is_field(field) && std::ranges::find(never, field) == never.end();
}

}  // namespace iso8583
