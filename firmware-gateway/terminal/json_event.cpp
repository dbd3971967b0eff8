#include "firmware-gateway/terminal/json_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <charconv>
#include <optional>
#include <string>

#include "firmware-gateway/terminal/json_reader.hpp"
#include "proto/base/text.hpp"

namespace terminal {
namespace {

std::string nearest_known(std::string_view name) {
  constexpr std::size_t compared_bytes_max = 64;  // the distance costs the product of the lengths
  return fmt::format("the nearest known field is '{}'",
                     base::closest(name.substr(0, compared_bytes_max), redact::field_names()));
}

// Nothing that could be a value: letters and underscores only.
bool is_name(std::string_view text) {
  constexpr std::size_t bytes_max = 40;
  return !text.empty() && text.size() <= bytes_max &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; });
}

using redact::Draft;
using redact::Field;
using redact::Kind;

constexpr std::size_t depth_max = 8;

// What must stand where something else was found.
std::string_view wanted(Kind kind) {
  switch (kind) {
    case Kind::text:
    case Kind::card_number:
      return "must be a string";
    case Kind::integer:
      return "must be an integer: digits only, no quotes, fraction or exponent";
    case Kind::attributes:
      return "must be an object whose values are strings";
  }
  return "";
}

// Builds a Draft while the text is read. The first thing wrong is remembered, the rest is only read through: whether
// the text is JSON at all decides first.
class Listener final : public JsonListener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override { redact::wipe(name_); }

  base::Result<Draft, Refusal> take() {
    if (refusal_) return base::fail(std::move(*refusal_));
    return std::move(draft_);
  }

  void on_object_begin() override {
    if (depth_ == 1 && field_ && redact::rule_of(*field_).kind == Kind::attributes) {
      in_attributes_ = true;
    } else if (depth_ > 0) {
      wrong_type();
    }
    ++depth_;
  }
  void on_object_end() override {
    --depth_;
    if (depth_ == 1) in_attributes_ = false;
  }
  void on_array_begin() override {
    wrong_type();
    ++depth_;
  }
  void on_array_end() override { --depth_; }

  void on_key(std::string_view name) override {
    if (depth_ == 1) begin_field(name);
    if (in_attributes_ && depth_ == 2) begin_attribute(name);
  }

  void on_text(std::string_view text) override { take_text(text); }

  void on_number(std::string_view literal) override {
    if (literal.find_first_of(".eE") != std::string_view::npos) return wrong_type();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), value);
    error == std::errc() ? take_number(value) : out_of_range();
  }
  void on_flag(bool /*value*/) override { wrong_type(); }
  void on_null() override { wrong_type(", not null: leave the field out instead"); }

 private:
  void refuse(Refusal refusal) {
    if (!refusal_) refusal_ = std::move(refusal);
  }

  void begin_field(std::string_view name) {
    field_ = redact::find_field(name);
    if (!field_) return unknown_field(name);
    const auto index = static_cast<std::size_t>(*field_);
    if (seen_.test(index)) refuse(redact::invalid(*field_, "is given twice"));
    seen_.set(index);
  }

  // The unknown name itself is repeated only where it is one: it may be anything.
  void unknown_field(std::string_view name) {
    const std::string what = is_name(name) ? fmt::format("'{}' is not known", name) : "an unknown field was given";
    if (const auto near = redact::nearest_field(name))
      return refuse(redact::invalid(*near, fmt::format("{}; did you mean '{}'?", what, name_of(*near))));
    refuse({Reason::invalid_field, {}, fmt::format("{}; {}", what, nearest_known(name)), {}});
  }

  void begin_attribute(std::string_view name) {
    redact::wipe(name_);
    name_ = name;
    if (draft_.fields.attributes.contains(name_)) refuse(redact::invalid(Field::attributes, "holds a key twice"));
  }

  void take_text(std::string_view text) {
    if (in_attributes_ && depth_ == 2) {
      if (!refusal_) draft_.fields.attributes.emplace(name_, text);
      return;
    }
    if (depth_ != 1 || !field_) return wrong_type();
    switch (redact::rule_of(*field_).kind) {
      case Kind::text:
        draft_.fields.text(*field_) = text;
        return;
      case Kind::card_number:
        draft_.card_number = redact::Secret(text);
        return;
      case Kind::integer:
      case Kind::attributes:
        wrong_type();
        return;
    }
  }

  void take_number(std::int64_t value) {
    if (depth_ != 1 || !field_ || redact::rule_of(*field_).kind != Kind::integer) return wrong_type();
    draft_.fields.number(*field_) = value;
  }

  void out_of_range() {
    if (depth_ != 1 || !field_ || redact::rule_of(*field_).kind != Kind::integer) return wrong_type();
    refuse(redact::invalid(*field_, "is out of range"));
  }

  void wrong_type(std::string_view hint = {}) {
    if (depth_ == 0) return refuse(redact::invalid_json("must be one JSON object"));
    // In an unknown field: that has been said already.
    if (field_) refuse(redact::invalid(*field_, fmt::format("{}{}", wanted(redact::rule_of(*field_).kind), hint)));
  }

  Draft draft_;
  std::optional<Refusal> refusal_;
  std::optional<Field> field_;
  std::bitset<redact::field_count> seen_;
  std::string name_;  // of the attribute being read
  std::size_t depth_ = 0;
  bool in_attributes_ = false;
};

}  // namespace

Refusal event_too_large() {
  return {Reason::too_large, {}, fmt::format("an event may have at most {} bytes", event_bytes_max), {}};
}

base::Result<Draft, Refusal> read_json_event(std::string_view text) {
  if (text.size() > event_bytes_max) return base::fail(event_too_large());
  Listener listener;
  if (auto refusal = read_json(text, depth_max, listener)) return base::fail(std::move(*refusal));
  return listener.take();
}

}  // namespace terminal
