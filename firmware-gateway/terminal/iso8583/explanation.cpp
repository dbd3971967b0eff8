#include "firmware-gateway/terminal/iso8583/explanation.hpp"

#include <fmt/format.h>

#include <array>

#include "firmware-gateway/redact/unicode.hpp"
#include "firmware-gateway/terminal/iso8583/field_table.hpp"
#include "proto/base/json_object.hpp"

namespace iso8583 {
namespace {

constexpr std::array<std::string_view, 10> versions{"1987", "1993", "2003", "", "", "", "", "", "national", "private"};
constexpr std::array<std::string_view, 10> classes{"",
                                                   "authorization",
                                                   "financial",
                                                   "file action",
                                                   "reversal",
                                                   "reconciliation",
                                                   "administrative",
                                                   "fee collection",
                                                   "network management",
                                                   ""};
constexpr std::array<std::string_view, 10> functions{"request",
                                                     "response",
                                                     "advice",
                                                     "advice response",
                                                     "notification",
                                                     "notification acknowledgement",
                                                     "instruction",
                                                     "instruction acknowledgement",
                                                     "",
                                                     ""};
constexpr std::array<std::string_view, 6> origins{"",
                                                  ", repeated by the acquirer",
                                                  ", from the issuer",
                                                  ", repeated by the issuer",
                                                  ", from another",
                                                  ", repeated by another"};

// One line, whatever is in the text.
std::string visible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto next = redact::decode(text);
    const std::string_view character = text.substr(0, next ? next->bytes : 1);
    text.remove_prefix(character.size());
    if (redact::is_printable(character)) {
      out += character;
    } else {
      out += fmt::format("\\u{:04X}", next ? static_cast<unsigned>(next->value) : 0xFFFDU);
    }
  }
  return out;
}

std::string tags_of(const redact::Sensitive& field) {
  const redact::TlvReading reading = redact::read_tlv(field);
  std::string lines;
  for (const redact::TlvElement& element : reading.elements)
    lines += fmt::format("       {:<6}  {}\n", element.tag,
                         element.masked ? std::string(2 * element.length, '*') : element.value);
  if (!reading.complete) lines += "       (from here on no EMV data: not shown)\n";
  return lines;
}

std::string value_of(const redact::Sensitive& field, bool hides) {
  return hides ? std::string(field.size(), '*') : redact::shown(field);
}

std::string line_of(unsigned number, const redact::Sensitive& field, const Dialect& dialect, bool hides) {
  const std::string_view name = field_name(number, dialect.year);
  if (field.data_class() == DataClass::tlv && !hides)
    return fmt::format("{:>5}  {}:\n{}", number, name, tags_of(field));
  return fmt::format("{:>5}  {:<52}  {}\n", number, name, visible(value_of(field, hides)));
}

std::string_view word_of(Part part) {
  switch (part) {
    case Part::header:
      return "header";
    case Part::mti:
      return "mti";
    case Part::bitmap:
      return "bitmap";
    case Part::secondary_bitmap:
      return "secondary_bitmap";
    case Part::tertiary_bitmap:
      return "tertiary_bitmap";
    case Part::field:
      return "field";
    case Part::end:
      return "end";
  }
  return "";
}

}  // namespace

std::string mti_words(std::string_view mti) {
  if (mti.size() != 4) return {};
  const auto digit = [mti](std::size_t at) { return static_cast<std::size_t>(mti[at] - '0'); };
  if (versions.at(digit(0)).empty() || classes.at(digit(1)).empty() || functions.at(digit(2)).empty() ||
      digit(3) >= origins.size())
    return {};
  return fmt::format("{} {}{} ({})", classes.at(digit(1)), functions.at(digit(2)), origins.at(digit(3)),
                     versions.at(digit(0)));
}

std::string explain(const Message& message, const Dialect& dialect, const Hidden& hidden) {
  std::string text;
  const redact::Sensitive header = message.header();
  if (!header.empty()) text += fmt::format("header  {}\n", visible(value_of(header, hidden.header)));
  if (!message.mti().empty()) text += fmt::format("MTI    {}  {}\n", message.mti(), mti_words(message.mti()));
  for (unsigned number = message.fields().next(0); number != 0; number = message.fields().next(number))
    text += line_of(number, message.sensitive(number), dialect, hidden.fields.has(number));
  return text;
}

std::string to_json(const Message& message, const DecodeError* error, const Hidden& hidden, std::string_view warning) {
  std::string text;
  base::JsonObject json(text);
  const redact::Sensitive header = message.header();
  json.text("header", value_of(header, hidden.header));
  json.text("mti", message.mti());
  base::JsonObject fields(json.begin_member("fields"));
  for (unsigned number = message.fields().next(0); number != 0; number = message.fields().next(number))
    base::append_json_string(fields.begin_member(fmt::format("{}", number)),
                             value_of(message.sensitive(number), hidden.fields.has(number)));
  fields.end();
  json.text("warning", warning);
  if (error != nullptr) {
    base::JsonObject wrong(json.begin_member("error"));
    wrong.text("part", word_of(error->part));
    if (error->part == Part::field) wrong.number("field", error->field);
    wrong.number("position", static_cast<std::uint64_t>(error->position));
    wrong.text("reason", words_of(error->reason));
    wrong.end();
  }
  json.end();
  return text;
}

}  // namespace iso8583
