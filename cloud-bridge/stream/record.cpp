#include "cloud-bridge/stream/record.hpp"

#include <algorithm>

#include "cloud-bridge/stream/unknown_fields.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/json_object.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"
#include "proto/wire/parse.hpp"

namespace stream {
namespace {

using base::uuid_text;
using tillstream::v1::Event;

constexpr std::size_t kUuidBytes = 16;

constexpr std::size_t kTypeMax = 64;

bool is_word(std::string_view type) {
  return type.size() <= kTypeMax && std::all_of(type.begin(), type.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_optional_id(std::string_view bytes) { return bytes.empty() || bytes.size() == kUuidBytes; }

bool misses_field(const Event& event) {
  if (event.schema_version() == 0 || event.event_id().empty() || event.type().empty()) return true;
  return event.type() == "notice" ? event.notice().empty() : event.terminal_id().empty();
}

// Where a record is nobody but the bridge says.
bool says_its_place(const Event& event) {
  return !event.gateway_id().empty() || !event.epoch().empty() || event.has_seq() || event.has_published_at_ms() ||
         event.possible_repeat();
}

bool has_invalid_field(const Event& event) {
  return event.event_id().size() != kUuidBytes || !is_optional_id(event.original_event_id()) ||
         !is_optional_id(event.conflict_with()) || !is_word(event.type()) ||
         !base::rfc3339_can_say(event.occurred_at_ms()) || !base::rfc3339_can_say(event.received_at_ms()) ||
         says_its_place(event);
}

std::string time_text(std::int64_t ms) { return base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(ms))); }

}  // namespace

std::string_view word(DecodeError error) {
  switch (error) {
    case DecodeError::newer_schema:
      return "newer_schema";
    case DecodeError::too_large:
      return "too_large";
    case DecodeError::undecodable:
      return "undecodable";
    case DecodeError::missing_field:
      return "missing_field";
    case DecodeError::invalid_field:
      return "invalid_field";
  }
  ASSERT(false);
  return {};
}

base::Result<Event, DecodeError> decode_event(base::BytesView record) {
  if (record.size() > kRecordBytesMax) return base::fail(DecodeError::too_large);
  Event event;
  if (!wire::parse(event, record)) return base::fail(DecodeError::undecodable);
  if (event.schema_version() > kSchemaVersion) return base::fail(DecodeError::newer_schema);
  if (misses_field(event)) return base::fail(DecodeError::missing_field);
  if (has_invalid_field(event)) return base::fail(DecodeError::invalid_field);
  // A good event with more in it than we can show: whoever wrote it knows more than we do.
  if (has_unknown_field(record)) return base::fail(DecodeError::newer_schema);
  return event;
}

Record render_event(Event event, const Publication& publication, const ValueFormat& format) {
  event.set_gateway_id(publication.gateway_id.data(), publication.gateway_id.size());
  event.set_epoch(base::to_hex(publication.epoch.view()));
  event.set_seq(publication.seq.value());
  event.set_published_at_ms(publication.published_at.time_since_epoch().count());
  event.set_possible_repeat(publication.possible_repeat);
  return render_placed(event, format);
}

Record render_placed(const Event& event, const ValueFormat& format) {
  Record record;
  record.event_id = uuid_text(event.event_id());
  record.gateway_id = event.gateway_id();
  record.epoch = event.epoch();
  if (event.has_seq()) record.seq = event.seq();
  record.key.reserve(event.gateway_id().size() + 1 + event.terminal_id().size());
  record.key.append(event.gateway_id()).append("/").append(event.terminal_id());
  record.type = event.type();
  record.occurred_at = time_text(event.occurred_at_ms());
  record.received_at = time_text(event.received_at_ms());
  record.published_at = time_text(event.published_at_ms());
  record.encoding = format.encoding;
  record.value = write_value(event, format);
  return record;
}

std::size_t size_of(const Record& record) {
  std::size_t bytes = record.key.size() + record.value.size();
  each_header(record, [&bytes](std::string_view name, std::string_view value) { bytes += name.size() + value.size(); });
  return bytes;
}

void append_headers_json(std::string& out, const Record& record) {
  base::JsonObject json(out);
  each_header(record, [&json](std::string_view name, std::string_view value) { json.text(name, value); });
  json.end();
}

}  // namespace stream
