#include "firmware-gateway/terminal/json_reader.hpp"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse_options.hpp>

#include "firmware-gateway/redact/secret.hpp"
#include "proto/base/utf8.hpp"

namespace terminal {
namespace {

namespace json = boost::json;
using Error = json::error_code;

std::string_view view(json::string_view text) { return {text.data(), text.size()}; }

// Joins the parts of strings, which come cut where an escape was.
class Handler {
 public:
  // Boost.JSON asks for these.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit Handler(JsonListener& listener) : listener_(listener) {}

  static bool on_document_begin(Error& /*error*/) { return true; }
  static bool on_document_end(Error& /*error*/) { return true; }

  bool on_object_begin(Error& /*error*/) { return listener_.on_object_begin(), true; }
  bool on_object_end(std::size_t /*members*/, Error& /*error*/) { return listener_.on_object_end(), true; }
  bool on_array_begin(Error& /*error*/) { return listener_.on_array_begin(), true; }
  bool on_array_end(std::size_t /*values*/, Error& /*error*/) { return listener_.on_array_end(), true; }

  bool on_key_part(json::string_view part, std::size_t /*size*/, Error& /*error*/) { return keep(part); }
  bool on_key(json::string_view part, std::size_t /*size*/, Error& /*error*/) {
    keep(part);
    listener_.on_key(text_.view());
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t /*size*/, Error& /*error*/) { return keep(part); }
  bool on_string(json::string_view part, std::size_t /*size*/, Error& /*error*/) {
    keep(part);
    listener_.on_text(text_.view());
    text_.clear();
    return true;
  }

  bool on_number_part(json::string_view part, Error& /*error*/) { return keep(part); }
  bool on_int64(std::int64_t /*value*/, json::string_view part, Error& /*error*/) { return end_number(part); }
  bool on_uint64(std::uint64_t /*value*/, json::string_view part, Error& /*error*/) { return end_number(part); }
  bool on_double(double /*value*/, json::string_view part, Error& /*error*/) { return end_number(part); }

  bool on_bool(bool value, Error& /*error*/) { return listener_.on_flag(value), true; }
  bool on_null(Error& /*error*/) { return listener_.on_null(), true; }
  static bool on_comment_part(json::string_view /*part*/, Error& /*error*/) { return true; }
  static bool on_comment(json::string_view /*part*/, Error& /*error*/) { return true; }

 private:
  bool keep(json::string_view part) {
    text_.append(view(part));
    return true;
  }

  bool end_number(json::string_view part) {
    keep(part);
    listener_.on_number(text_.view());
    text_.clear();
    return true;
  }

  JsonListener& listener_;
  redact::Secret text_;  // the key, string or number being read
};

std::string_view reason_of(const Error& error) {
  if (error == json::error::too_deep) return "nested too deeply";
  if (error == json::error::incomplete) return "ends too early";
  if (error == json::error::illegal_leading_surrogate || error == json::error::illegal_trailing_surrogate)
    return "half of a surrogate pair";
  if (error == json::error::exponent_overflow) return "an exponent too large";
  return "a syntax error";
}

}  // namespace

std::optional<Refusal> read_json(std::string_view text, std::size_t depth_max, JsonListener& listener) {
  if (const std::size_t valid = base::utf8_prefix(text); valid != text.size())
    return redact::invalid_json(fmt::format("is not UTF-8 at byte {}", valid));
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<Handler> parser(options, listener);
  Error error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (error) return redact::invalid_json(fmt::format("is no JSON at byte {}: {}", read, reason_of(error)));
  if (read != text.size())
    return redact::invalid_json(fmt::format("something follows the JSON object at byte {}", read));
  return std::nullopt;
}

}  // namespace terminal
