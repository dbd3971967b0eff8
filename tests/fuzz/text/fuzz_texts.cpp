// The small readers of foreign text, all on the same bytes: times, ids, hex, UTF-8, MQTT topics, request targets,
// addresses; and the writers of JSON, which must be read back as they were.
#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/unicode.hpp"
#include "firmware-gateway/status/json.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/json_object.hpp"
#include "proto/base/text.hpp"
#include "proto/base/timestamp.hpp"
#include "proto/base/utf8.hpp"
#include "proto/base/uuid.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/http_text.hpp"
#include "proto/platform/listen_address.hpp"

namespace {

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lowered;
}

// What is read can be written, and is then read as the same moment.
void check_time(std::string_view text) {
  const auto time = base::parse_rfc3339(text);
  if (!time) return;
  ASSERT(text.size() <= base::timestamp_chars_max);
  ASSERT(time->offset > -std::chrono::days(1) && time->offset < std::chrono::days(1));
  const std::string written = base::to_rfc3339(time->utc);
  ASSERT(written.size() == 24);
  const auto again = base::parse_rfc3339(written);
  ASSERT(again && again->utc == time->utc && again->offset.count() == 0);
}

void check_ids(std::string_view text) {
  if (const auto uuid = base::parse_uuid(text)) ASSERT(base::to_text(*uuid) == lower(text));
  if (const auto bytes = base::from_hex(text)) ASSERT(base::to_hex(*bytes) == lower(text));
  ASSERT(base::from_hex(base::to_hex(text)) == std::string(text));
}

// Two readers of UTF-8, which must agree.
void check_utf8(std::string_view text) {
  const std::size_t prefix = base::utf8_prefix(text);
  ASSERT(prefix <= text.size());
  const auto characters = redact::count_characters(text.substr(0, prefix));
  ASSERT(characters.has_value() && *characters <= prefix);
  ASSERT(redact::count_characters(text).has_value() == (prefix == text.size()));
  if (prefix < text.size()) ASSERT(base::utf8_length(text.substr(prefix)) == 0);
  if (redact::is_printable(text)) {
    ASSERT(prefix == text.size());
    ASSERT(std::ranges::none_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; }));
  }
}

void check_topic(std::string_view text) {
  const auto topic = handoff::parse_up_topic(text);
  if (!topic) return;
  ASSERT(handoff::gateway_id_allowed(topic->gateway_id));
  ASSERT(handoff::up_topic(topic->shard, topic->gateway_id) == text);
}

void check_target(std::string_view text) {
  platform::HttpRequest request;
  if (!platform::parse_target(text, request)) return;
  ASSERT(request.path.starts_with('/') || text == "*");
  ASSERT(std::ranges::none_of(request.path, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; }));
}

void check_listen(std::string_view text) {
  const auto address = platform::parse_listen_address(text);
  if (!address) {
    ASSERT(!address.error().empty());
    return;
  }
  const auto again = platform::parse_listen_address(address->text());
  ASSERT(again && again->host == address->host && again->port == address->port && again->loopback == address->loopback);
}

void check_json(std::string_view text) {
  const std::string_view good = text.substr(0, base::utf8_prefix(text));
  std::string json;
  base::append_json_string(json, good);
  ASSERT(boost::json::parse(json).as_string() == good);
  ASSERT(boost::json::parse(status::json_text(good)).as_string() == good);
  ASSERT(boost::json::parse(status::json_text(text)).is_string());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  check_time(text);
  check_ids(text);
  check_utf8(text);
  check_topic(text);
  check_target(text);
  check_listen(text);
  check_json(text);
  return 0;
}
