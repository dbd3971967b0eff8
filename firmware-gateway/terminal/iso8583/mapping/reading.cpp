#include "firmware-gateway/terminal/iso8583/mapping/reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace iso8583 {
namespace {

// STAN, terminal, processing code, amount: what makes out a transaction.
constexpr std::array essential = {11U, 41U, 3U, 4U};

std::string list_of(const Bitmap& fields) {
  std::string list;
  for (unsigned number = fields.next(0); number != 0; number = fields.next(number))
    list += (list.empty() ? "" : " ") + std::to_string(number);
  return list;
}

// What was read with the wrong lengths may hold a card number amid other digits.
void add_open_fields(terminal::Shape& shape, const Message& message) {
  for (unsigned number = message.fields().next(0); number != 0; number = message.fields().next(number)) {
    const auto value = message.open(number);
    if (!value) continue;
    const bool suspicious = redact::may_hold_pan(*value) || !redact::find_card_data(*value).empty();
    terminal::add_to(shape, fmt::format("field_{}", number), suspicious ? "[card data]" : trimmed(*value));
  }
}

}  // namespace

std::string Reading::trouble() const {
  std::string text = broken_off;
  if (is_misplaced()) text += (text.empty() ? "" : "; ") + placement.text();
  if (text.empty() && !mti) text = "its MTI is none";
  return text;
}

Reading read_message(base::BytesView bytes, const Dialect& dialect) {
  Reading reading;
  auto decoded = decode(bytes, dialect);
  if (decoded) {
    reading.message = std::move(*decoded);
  } else {
    DecodeError& error = decoded.error();
    reading.broken_off = error.text(dialect.year);
    reading.missing = error.part == Part::field ? fmt::format("field {} and what follows", error.field)
                                                : std::string("end of the message");
    reading.message = std::move(error.read);
  }
  reading.mti = read_mti(reading.message.mti());
  reading.placement = placement_of(reading.message, bytes, dialect);
  return reading;
}

bool is_made_out(const Reading& reading, const redact::Draft& draft) {
  if (reading.mti->message_class == MessageClass::reconciliation) return has_totals(draft);
  return std::ranges::all_of(essential, [&](unsigned field) { return !text_of(reading.message, field).empty(); });
}

void tell_missing(redact::Draft& draft, std::string_view missing) {
  if (draft.fields.settlement) draft.fields.settlement->readable = false;
  draft.fields.incomplete.push_back(fmt::format("iso8583 {}", missing));
}

terminal::Shape shape_of(const Reading& reading) {
  terminal::Shape shape{{"reason", reading.trouble()}};
  if (reading.mti) shape.emplace("mti", std::string(reading.message.mti()));
  if (reading.mti && !reading.placement.bitmap_astray) shape.emplace("fields", list_of(reading.message.fields()));
  if (reading.mti && !reading.is_misplaced()) add_open_fields(shape, reading.message);
  return shape;
}

}  // namespace iso8583
