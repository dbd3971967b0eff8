#include "firmware-gateway/terminal/json_event.hpp"

#include <fmt/format.h>

#include <bitset>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse_options.hpp>
#include <optional>
#include <string>

#include "proto/base/utf8.hpp"

namespace terminal {
namespace {

namespace json = boost::json;
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

// Builds a Draft while the parser reads. The first thing wrong is remembered, the rest is only read through: whether
// the text is JSON at all decides first.
class Listener {
 public:
  // Boost.JSON asks for these.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { redact::wipe(name_); }

  base::Result<Draft, Refusal> take() {
    if (refusal_) return base::fail(std::move(*refusal_));
    return std::move(draft_);
  }

  static bool on_document_begin(json::error_code& /*error*/) { return true; }
  static bool on_document_end(json::error_code& /*error*/) { return true; }

  bool on_object_begin(json::error_code& /*error*/) {
    if (depth_ == 1 && field_ && redact::rule_of(*field_).kind == Kind::attributes) {
      in_attributes_ = true;
    } else if (depth_ > 0) {
      wrong_type();
    }
    ++depth_;
    return true;
  }
  bool on_object_end(std::size_t /*members*/, json::error_code& /*error*/) {
    --depth_;
    if (depth_ == 1) in_attributes_ = false;
    return true;
  }
  bool on_array_begin(json::error_code& /*error*/) {
    wrong_type();
    ++depth_;
    return true;
  }
  bool on_array_end(std::size_t /*values*/, json::error_code& /*error*/) {
    --depth_;
    return true;
  }

  bool on_key_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    text_.append({part.data(), part.size()});
    return true;
  }
  bool on_key(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    text_.append({part.data(), part.size()});
    if (depth_ == 1) begin_field(text_.view());
    if (in_attributes_ && depth_ == 2) begin_attribute(text_.view());
    text_.clear();
    return true;
  }

  bool on_string_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    text_.append({part.data(), part.size()});
    return true;
  }
  bool on_string(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    text_.append({part.data(), part.size()});
    take_text(text_.view());
    text_.clear();
    return true;
  }

  static bool on_number_part(json::string_view /*part*/, json::error_code& /*error*/) { return true; }
  bool on_int64(std::int64_t value, json::string_view /*text*/, json::error_code& /*error*/) {
    take_number(value);
    return true;
  }
  bool on_uint64(std::uint64_t /*value*/, json::string_view /*text*/, json::error_code& /*error*/) {
    out_of_range();
    return true;
  }
  bool on_double(double /*value*/, json::string_view text, json::error_code& /*error*/) {
    text.find_first_of(".eE") == json::string_view::npos ? out_of_range() : wrong_type();
    return true;
  }
  bool on_bool(bool /*value*/, json::error_code& /*error*/) {
    wrong_type();
    return true;
  }
  bool on_null(json::error_code& /*error*/) {
    wrong_type(", not null: leave the field out instead");
    return true;
  }
  static bool on_comment_part(json::string_view /*part*/, json::error_code& /*error*/) { return true; }
  static bool on_comment(json::string_view /*part*/, json::error_code& /*error*/) { return true; }

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

  // The unknown name itself is not repeated: it may be anything.
  void unknown_field(std::string_view name) {
    const auto nearest = redact::nearest_field(name);
    if (!nearest) return refuse({Reason::invalid_field, {}, "holds a field that is not known", {}});
    refuse(redact::invalid(*nearest, fmt::format("an unknown field was given; did you mean '{}'?", name_of(*nearest))));
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
  std::string name_;     // of the attribute being read
  redact::Secret text_;  // the key or string being read
  std::size_t depth_ = 0;
  bool in_attributes_ = false;
};

std::string_view reason_of(const json::error_code& error) {
  if (error == json::error::too_deep) return "nested too deeply";
  if (error == json::error::incomplete) return "ends too early";
  if (error == json::error::illegal_leading_surrogate || error == json::error::illegal_trailing_surrogate)
    return "half of a surrogate pair";
  if (error == json::error::exponent_overflow) return "an exponent too large";
  return "a syntax error";
}

}  // namespace

Refusal event_too_large() {
  return {Reason::too_large, {}, fmt::format("an event may have at most {} bytes", event_bytes_max), {}};
}

base::Result<Draft, Refusal> read_json_event(std::string_view text) {
  if (text.size() > event_bytes_max) return base::fail(event_too_large());
  if (const std::size_t valid = base::utf8_prefix(text); valid != text.size())
    return base::fail(redact::invalid_json(fmt::format("is not UTF-8 at byte {}", valid)));
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<Listener> parser(options);
  json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (error) return base::fail(redact::invalid_json(fmt::format("is no JSON at byte {}: {}", read, reason_of(error))));
  if (read != text.size())
    return base::fail(redact::invalid_json(fmt::format("something follows the JSON object at byte {}", read)));
  return parser.handler().take();
}

}  // namespace terminal
