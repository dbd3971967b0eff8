// JSON, piece by piece, to whoever builds something from it. The only door to Boost.JSON.
//
// The text is read to its end before anybody is told that it is JSON at all; numbers are handed on as they are written,
// never as a double. Memory: a constant times the longest string.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "firmware-gateway/terminal/answer.hpp"

namespace terminal {

// What is given points into the reader, and is wiped there afterwards.
class JsonListener {
 public:
  JsonListener() = default;
  JsonListener(const JsonListener&) = delete;
  JsonListener& operator=(const JsonListener&) = delete;
  virtual ~JsonListener() = default;

  virtual void on_object_begin() = 0;
  virtual void on_object_end() = 0;
  virtual void on_array_begin() = 0;
  virtual void on_array_end() = 0;
  virtual void on_key(std::string_view name) = 0;
  virtual void on_text(std::string_view text) = 0;
  virtual void on_number(std::string_view literal) = 0;
  virtual void on_flag(bool value) = 0;
  virtual void on_null() = 0;
};

// invalid_json for what is no JSON, no UTF-8, nested deeper than `depth_max`, or followed by anything but blanks; the
// listener has then heard a part of it.
[[nodiscard]] std::optional<Refusal> read_json(std::string_view text, std::size_t depth_max, JsonListener& listener);

}  // namespace terminal
