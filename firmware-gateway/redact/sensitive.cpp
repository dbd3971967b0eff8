#include "firmware-gateway/redact/sensitive.hpp"

#include <algorithm>
#include <optional>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/tlv.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/bytes.hpp"

namespace redact {
namespace {

constexpr std::size_t last_shown = 4;
constexpr char mask = '*';
constexpr std::uint8_t pan_tag = 0x5A;
constexpr std::uint8_t track2_tag = 0x57;
constexpr std::string_view fixed_mark = "[card data]";
// The shortest hex that can hold a card number as characters: 13 of them.
constexpr std::size_t hex_of_characters_min = 26;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The bytes, when the text is hex from end to end. Nothing is written before that is known: part of it may be a card
// number.
std::optional<std::string> bytes_of(std::string_view hex) {
  const auto is_hex = [](char c) { return is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); };
  return std::ranges::all_of(hex, is_hex) ? base::from_hex(hex) : std::nullopt;
}

std::string upper_hex(std::string_view bytes) {
  std::string hex = base::to_hex(bytes);
  for (char& c : hex)
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  return hex;
}

// Digits and separators of EBCDIC as ASCII; all else as it is.
std::string from_ebcdic(std::string_view bytes) {
  std::string text(bytes);
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0xF0 && byte <= 0xF9) c = static_cast<char>('0' + (byte - 0xF0));
    if (byte == 0x40) c = ' ';
    if (byte == 0x60) c = '-';
    if (byte == 0x7E) c = '=';
  }
  return text;
}

bool holds_card_data(std::string_view text) { return !find_card_data(text).empty(); }

// Whether a card number stands anywhere in the text, amid other digits, too: for short data that is kept as it is.
bool holds_card_number_anywhere(std::string_view text) {
  for (; !text.empty(); text.remove_prefix(1)) {
    const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    for (std::size_t size = pan_digits_min; size <= std::min(digits, pan_digits_max); ++size)
      if (looks_like_embedded_pan(text.substr(0, size))) return true;
  }
  return false;
}

// Whether `holds` says so of the bytes as ASCII, EBCDIC or BCD.
bool bytes_hold(std::string_view bytes, bool (*holds)(std::string_view)) {
  std::string ebcdic = from_ebcdic(bytes);
  std::string bcd = upper_hex(bytes);
  const bool found = holds(bytes) || holds(ebcdic) || holds(bcd);
  wipe(ebcdic);
  wipe(bcd);
  return found;
}

std::string masks(std::size_t count) {
  std::string text;
  text.assign(count, mask);
  return text;
}

std::string shown_number(std::string_view text) {
  std::string masked = masks(text.size());
  if (text.size() < pan_digits_min) return masked;
  const std::string_view last = text.substr(text.size() - last_shown);
  if (std::ranges::all_of(last, is_digit)) std::ranges::copy(last, masked.end() - last_shown);
  return masked;
}

std::string shown_text(std::string_view text) {
  if (text.size() >= hex_of_characters_min) {
    if (auto bytes = bytes_of(text)) {
      const bool found = bytes_hold(*bytes, holds_card_data);
      wipe(*bytes);
      if (found) return std::string{fixed_mark};
    }
  }
  std::string scanned(text);
  mask_card_data(scanned, [](std::string_view /*found*/) { return std::string(fixed_mark); });
  return scanned;
}

// EMV data as bytes: from hex, or from text whose characters are bytes (a dialect that takes field 55 for characters).
// Empty when it is neither.
std::string tlv_bytes(std::string_view text) {
  if (auto bytes = bytes_of(text)) return *std::move(bytes);
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const auto next = decode(text);
    if (!next || next->value > 0xFF) {
      wipe(bytes);
      return {};
    }
    bytes += static_cast<char>(next->value);
    text.remove_prefix(next->bytes);
  }
  return bytes;
}

TlvElement element_of(const Tlv& tlv) {
  TlvElement element{.tag = upper_hex(tlv.tag), .value = {}, .length = tlv.value.size(), .masked = true};
  if (!tlv_may_be_kept(element.tag, tlv.value.size())) return element;
  if (bytes_hold(tlv.value, holds_card_data) || bytes_hold(tlv.value, holds_card_number_anywhere)) return element;
  element.value = upper_hex(tlv.value);
  element.masked = false;
  return element;
}

void read_elements(std::string_view bytes, unsigned depth, TlvReading& reading) {
  for (skip_filling(bytes); !bytes.empty(); skip_filling(bytes)) {
    const auto tlv = take_tlv(bytes);
    if (!tlv) {
      reading.complete = false;
      return;
    }
    if (tlv->constructed() && depth < tlv_depth_max) {
      read_elements(tlv->value, depth + 1, reading);
    } else {
      reading.elements.push_back(element_of(*tlv));
    }
  }
}

std::string shown_tlv(const Sensitive& field) {
  const TlvReading reading = read_tlv(field);
  if (reading.elements.empty()) return masks(field.size());
  std::string text;
  for (const TlvElement& element : reading.elements) {
    if (!text.empty()) text += ' ';
    text += element.tag;
    text += '=';
    text += element.masked ? masks(2 * element.length) : element.value;
  }
  return text + (reading.complete ? "" : " …");
}

// The leading digits, when they are as many as a card number has.
Secret leading_pan(std::string_view text) {
  const auto end = std::ranges::find_if_not(text, is_digit);
  const auto digits = static_cast<std::size_t>(end - text.begin());
  if (digits < pan_digits_min || digits > pan_digits_max) return {};
  return Secret(text.substr(0, digits));
}

Secret number_in(std::string_view text) {
  while (text.ends_with('F') || text.ends_with(' ')) text.remove_suffix(1);
  Secret pan = leading_pan(text);
  return pan.size() == text.size() ? std::move(pan) : Secret();
}

Secret track2_in(std::string_view text) {
  if (text.starts_with(';')) text.remove_prefix(1);
  Secret pan = leading_pan(text);
  if (pan.empty() || pan.size() == text.size()) return {};
  const char separator = text[pan.size()];
  return separator == '=' || separator == 'D' || separator == 'd' ? std::move(pan) : Secret();
}

Secret value_of_tag(std::string_view bytes, std::uint8_t tag, unsigned depth, Secret (*read)(std::string_view)) {
  for (skip_filling(bytes); !bytes.empty(); skip_filling(bytes)) {
    const auto tlv = take_tlv(bytes);
    if (!tlv) return {};
    if (tlv->constructed() && depth < tlv_depth_max) {
      if (Secret found = value_of_tag(tlv->value, tag, depth + 1, read); !found.empty()) return found;
    } else if (tlv->tag.size() == 1 && static_cast<std::uint8_t>(tlv->tag.front()) == tag) {
      std::string hex = upper_hex(tlv->value);
      Secret found = read(hex);
      wipe(hex);
      if (!found.empty()) return found;
    }
  }
  return {};
}

}  // namespace

std::string shown(const Sensitive& field) {
  switch (field.class_) {
    case DataClass::pan:
      return shown_number(field.text_);
    case DataClass::sad:
    case DataClass::chd:
      return masks(field.size());
    case DataClass::tlv:
      return shown_tlv(field);
    case DataClass::text:
      return shown_text(field.text_);
    case DataClass::open:
      return std::string(field.text_);
  }
  return {};
}

TlvReading read_tlv(const Sensitive& field) {
  std::string bytes = tlv_bytes(field.text_);
  TlvReading reading;
  read_elements(bytes, 0, reading);
  reading.complete = reading.complete && (!bytes.empty() || field.empty());
  wipe(bytes);
  return reading;
}

Secret pan_of_number(const Sensitive& field) { return number_in(field.text_); }

Secret pan_of_track2(const Sensitive& field) { return track2_in(field.text_); }

Secret pan_of_track1(const Sensitive& field) {
  std::string_view text = field.text_;
  if (text.starts_with('%')) text.remove_prefix(1);
  if (text.starts_with('B')) text.remove_prefix(1);
  Secret pan = leading_pan(text);
  return pan.size() < text.size() && text[pan.size()] == '^' ? std::move(pan) : Secret();
}

Secret pan_of_tlv(const Sensitive& field) {
  std::string bytes = tlv_bytes(field.text_);
  Secret pan = value_of_tag(bytes, pan_tag, 0, number_in);
  if (pan.empty()) pan = value_of_tag(bytes, track2_tag, 0, track2_in);
  wipe(bytes);
  return pan;
}

}  // namespace redact
