#include "firmware-gateway/terminal/iso8583/message.hpp"

#include <utility>

#include "firmware-gateway/redact/secret.hpp"

namespace iso8583 {

Message::Message(Message&& other) noexcept { *this = std::move(other); }

Message& Message::operator=(Message&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  mti_ = other.mti_;
  mti_bytes_ = std::exchange(other.mti_bytes_, 0);
  has_header_ = std::exchange(other.has_header_, false);
  has_secondary_bitmap_ = std::exchange(other.has_secondary_bitmap_, false);
  fields_ = std::exchange(other.fields_, {});
  bitmap_at_ = std::exchange(other.bitmap_at_, 0);
  fields_at_ = std::exchange(other.fields_at_, 0);
  values_max_ = std::exchange(other.values_max_, 0);
  text_bytes_ = std::exchange(other.text_bytes_, 0);
  values_ = std::move(other.values_);
  return *this;
}

Message::~Message() { wipe(); }

void Message::reserve(std::size_t values, std::size_t text_bytes) {
  values_ = std::make_unique_for_overwrite<Value[]>(values + (text_bytes + sizeof(Value) - 1) / sizeof(Value));
  values_max_ = static_cast<std::uint32_t>(values);
  text_bytes_ = static_cast<std::uint32_t>(text_bytes);
}

void Message::wipe() noexcept {
  if (values_ != nullptr) redact::wipe(text(), text_bytes_);
}

const Message::Value& Message::place(unsigned number) const {
  return values_[number == 0 ? 0 : 1 + fields_.count_below(number)];
}

std::string_view Message::value(unsigned number) const {
  const Value& place = this->place(number);
  return {text() + place.begin, place.size};
}

std::optional<std::string_view> Message::open(unsigned number) const {
  if (!has(number) || static_cast<DataClass>(place(number).data_class) != DataClass::open) return std::nullopt;
  return value(number);
}

redact::Sensitive Message::sensitive(unsigned number) const {
  if (!has(number)) return {{}, DataClass::open};
  return {value(number), static_cast<DataClass>(place(number).data_class)};
}

redact::Sensitive Message::header() const {
  if (!has_header_) return {{}, DataClass::open};
  return {value(0), static_cast<DataClass>(place(0).data_class)};
}

redact::Finding Message::bytes_of(unsigned number) const {
  const Value& place = this->place(number);
  return {.begin = place.bytes_begin, .end = place.bytes_end};
}

}  // namespace iso8583
