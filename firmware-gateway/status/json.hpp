// Writing flat JSON, one field after the other. Texts are escaped; what is no UTF-8 is replaced, so that the result is
// JSON always.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace status {

// With its quotation marks.
[[nodiscard]] std::string json_text(std::string_view text);

class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value) { return raw(name, json_text(value)); }
  JsonObject& number(std::string_view name, std::integral auto value) { return raw(name, std::to_string(value)); }
  JsonObject& boolean(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  // `value` is JSON already.
  JsonObject& raw(std::string_view name, std::string_view value);
  [[nodiscard]] std::string str() const { return "{" + fields_ + "}"; }

 private:
  std::string fields_;
};

class JsonArray {
 public:
  JsonArray& add(std::string_view value);
  [[nodiscard]] std::string str() const { return "[" + items_ + "]"; }

 private:
  std::string items_;
};

}  // namespace status
