#include "cloud-bridge/stream/unknown_fields.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <array>

namespace stream {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr int kFieldMax = 93;
// Not given away yet, and those that only the bridge sets.
constexpr bool is_gap(int field) { return field > 52 && field < 70; }
// Event's fields that travel as varints; all others travel length-delimited. A test holds this against event.proto.
constexpr std::array kVarintFields = {1,  7,  8,  9,  10, 18, 20, 21, 22, 23, 24, 25, 36, 70, 71, 72, 73, 74,
                                      75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91};

constexpr auto kWireTypes = [] {
  std::array<WireFormatLite::WireType, kFieldMax + 1> types{};
  types.fill(WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  for (const int field : kVarintFields) types[static_cast<std::size_t>(field)] = WireFormatLite::WIRETYPE_VARINT;
  return types;
}();

bool is_known(std::uint32_t tag) {
  const int field = WireFormatLite::GetTagFieldNumber(tag);
  return field >= 1 && field <= kFieldMax && !is_gap(field) &&
         WireFormatLite::GetTagWireType(tag) == kWireTypes[static_cast<std::size_t>(field)];
}

}  // namespace

bool has_unknown_field(base::BytesView record) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(record.data()),
                                            static_cast<int>(record.size()));
  while (const std::uint32_t tag = in.ReadTag()) {
    if (!is_known(tag) || !WireFormatLite::SkipField(&in, tag)) return true;
  }
  return false;
}

}  // namespace stream
