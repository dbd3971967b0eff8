// Message: one ISO 8583 message as decode() read it. Its values lie in one block of memory, which is wiped when it
// goes.
//
// Values are text: UTF-8 of what was characters, upper-case hex of what was bytes, digits of what was BCD.
//
// Invariants:
//   (1) A field of class open can be read; every other one goes through redact, as a Sensitive.
//   (2) What is not there is not there: an empty value is one that came with length 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/sensitive.hpp"
#include "firmware-gateway/terminal/iso8583/bitmap.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"

namespace iso8583 {

class Message {
 public:
  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  Message(Message&& other) noexcept;
  Message& operator=(Message&& other) noexcept;
  ~Message();

  // Four digits; empty when an incomplete message ended before.
  [[nodiscard]] std::string_view mti() const { return {mti_.data(), mti_bytes_}; }
  // The fields that are there, without those that stand for bitmaps.
  [[nodiscard]] const Bitmap& fields() const { return fields_; }
  [[nodiscard]] bool has(unsigned number) const { return is_field(number) && fields_.has(number); }

  // The value of a field of class open; nothing when it is not there, or of another class.
  [[nodiscard]] std::optional<std::string_view> open(unsigned number) const;
  // Any field; an empty one when it is not there. Lives no longer than this message.
  [[nodiscard]] redact::Sensitive sensitive(unsigned number) const;
  // The dialect's header before the MTI.
  [[nodiscard]] redact::Sensitive header() const;

  // Where a field that is there stood in the message's bytes, its length before it included.
  [[nodiscard]] redact::Finding bytes_of(unsigned number) const;
  // Where its first bitmap began, and what came behind the last one.
  [[nodiscard]] std::size_t bitmap_at() const { return bitmap_at_; }
  [[nodiscard]] std::size_t fields_at() const { return fields_at_; }

 private:
  friend class Decoder;
  friend class Composition;

  // One block holds all: where each value is, the header's first, then the fields' in their order; then the text. Small
  // ones, so that a usual message fits into what malloc keeps at hand.
  struct Value {
    std::uint32_t begin;
    std::uint32_t size : 28;
    std::uint32_t data_class : 4;
    std::uint32_t bytes_begin;
    std::uint32_t bytes_end;
  };
  void reserve(std::size_t values, std::size_t text_bytes);
  void wipe() noexcept;
  [[nodiscard]] char* text() const { return reinterpret_cast<char*>(values_.get() + values_max_); }
  [[nodiscard]] const Value& place(unsigned number) const;
  [[nodiscard]] std::string_view value(unsigned number) const;
  // By its place: 0 the header, then the fields in their order.
  [[nodiscard]] std::string_view value_at(std::size_t place) const {
    return {text() + values_[place].begin, values_[place].size};
  }

  std::array<char, 4> mti_{};
  std::uint8_t mti_bytes_ = 0;
  bool has_header_ = false;
  // The second bitmap came, be it empty.
  bool has_secondary_bitmap_ = false;
  Bitmap fields_;
  std::uint32_t bitmap_at_ = 0;
  std::uint32_t fields_at_ = 0;
  std::uint32_t values_max_ = 0;
  std::uint32_t text_bytes_ = 0;
  std::unique_ptr<Value[]> values_;
};

}  // namespace iso8583
