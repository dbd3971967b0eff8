// The tap's copies, from the bytes to the record: cut into frames in two ways, which must agree; what was read is
// written and read to the same; nothing may crash, and what the guard lets through holds no card number. And the
// gateway's answers, as the tap hears them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/tap/delivery.hpp"
#include "firmware-gateway/tap/gateway_end.hpp"
#include "proto/base/assert.hpp"
#include "tests/fuzz/terminal/whole_way.hpp"

namespace {

using tap::GatewayEnd;

std::vector<GatewayEnd::Next> all_of(std::string_view bytes, std::size_t step) {
  GatewayEnd end;
  std::vector<GatewayEnd::Next> all;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    end.add(bytes.substr(at, step));
    for (auto next = end.next(); !std::holds_alternative<GatewayEnd::NeedMore>(next); next = end.next()) {
      const bool broken = std::holds_alternative<GatewayEnd::Broken>(next);
      all.push_back(std::move(next));
      if (broken) return all;
    }
  }
  return all;
}

void write_and_read(tap::Copy& copy) {
  const redact::Fields before = copy.draft.fields;
  const std::string card(copy.draft.card_number.view());
  const base::Bytes frame = tap::to_frame(copy.id, std::move(copy.draft));
  // Names that were not known are longer in `incomplete` than they were.
  if (frame.empty()) return;
  auto again = tap::read_up(base::BytesView(frame).substr(terminal::frame_length_bytes));
  ASSERT(again && std::holds_alternative<tap::Copy>(*again));
  auto& read = std::get<tap::Copy>(*again);
  ASSERT(read.id == copy.id && read.draft.fields.texts == before.texts && read.draft.fields.numbers == before.numbers);
  ASSERT(read.draft.fields.attributes == before.attributes && read.draft.fields.incomplete == before.incomplete);
  ASSERT(read.draft.card_number.view() == card);
  fuzz::follow(std::move(read.draft));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  auto whole = all_of(text, size == 0 ? 1 : size);
  const auto pieces = all_of(text, 3);
  ASSERT(whole.size() == pieces.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    ASSERT(whole[i].index() == pieces[i].index());
    if (auto* const copy = std::get_if<tap::Copy>(&whole[i])) write_and_read(*copy);
  }
  tap::Delivery delivery(1024);
  redact::Draft draft;
  draft.fields.text(redact::Field::type) = "sale";
  delivery.put(std::move(draft), {});
  delivery.on_connected();
  static_cast<void>(delivery.to_send(base::Instant{}));
  static_cast<void>(delivery.on_bytes(text, base::Instant{}));
  return 0;
}
