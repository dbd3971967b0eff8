// JsonObject: writes one flat JSON object straight into a string, members in the order of the calls. What is empty is
// left out. Text must be UTF-8; everything JSON cannot hold bare is escaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace base {

void append_json_string(std::string& out, std::string_view text);

class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) string_member(name, value);
  }
  template <class Integer>
  void number(std::string_view name, Integer value) {
    begin_member(name);
    append_number(value);
  }
  template <class Integer>
  void number(std::string_view name, std::optional<Integer> value) {
    if (value) number(name, *value);
  }
  void flag(std::string_view name, bool value) {
    begin_member(name);
    out_ += value ? "true" : "false";
  }
  // Starts a member whose value the caller appends to the string that is returned; `name` as it is, or escaped where it
  // is foreign.
  std::string& begin_member(std::string_view name);
  std::string& begin_escaped_member(std::string_view name);
  void end() { out_ += '}'; }

 private:
  void string_member(std::string_view name, std::string_view value);
  void append_number(std::int64_t value);
  void append_number(std::uint64_t value);
  void append_number(std::int32_t value) { append_number(static_cast<std::int64_t>(value)); }
  void append_number(std::uint32_t value) { append_number(static_cast<std::uint64_t>(value)); }

  std::string& out_;
  bool first_ = true;
};

}  // namespace base
