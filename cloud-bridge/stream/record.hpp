// From a gateway's record to what consumers see: decode_event, then render_event. Pure: the same input gives the same
// bytes in either encoding, so that a record sent again after an aborted transaction differs in nothing but
// published_at.
//
// README.md beside this file is the specification of headers, key and value.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/event.pb.h"

namespace stream {

// The newest schema_version that this bridge can represent wholly.
inline constexpr std::uint32_t kSchemaVersion = 2;
// A record larger than this is poison: four times what a gateway takes from a terminal.
inline constexpr std::size_t kRecordBytesMax = 64 * 1024;

enum class DecodeError {
  newer_schema,   // Written by a newer gateway. Hold it: publish nothing of its batch, ack UPGRADE_BRIDGE.
  too_large,      // Poison, as all below: dead letter, and a notice in its seq's place.
  undecodable,    // Not an Event at all, or text that is not UTF-8.
  missing_field,  // schema_version, event_id, type, terminal_id, or a notice's name.
  // An id that is not 16 bytes, a time outside the years 1 to 9999, a type that is no word, a field that is the
  // bridge's.
  invalid_field,
};

[[nodiscard]] constexpr bool is_poison(DecodeError error) { return error != DecodeError::newer_schema; }
// The error as dead letters, notices and metrics say it.
[[nodiscard]] std::string_view word(DecodeError error);

[[nodiscard]] base::Result<tillstream::v1::Event, DecodeError> decode_event(base::BytesView record);

// Where and when an event gets into the stream.
struct Publication {
  std::string_view gateway_id;
  handoff::Epoch epoch;
  handoff::Seq seq;
  base::UtcTime published_at;
  // It may be in the stream under another epoch.
  bool possible_repeat = false;
};

// `event` must come from decode_event.
[[nodiscard]] Record render_event(tillstream::v1::Event event, const Publication& publication,
                                  const ValueFormat& format = {});
// An event that has its place already: the bridge's own notices.
[[nodiscard]] Record render_placed(const tillstream::v1::Event& event, const ValueFormat& format);

// Calls visit(name, value) for each CloudEvents header, in their fixed order. The views live during the call only.
template <class Visit>
void each_header(const Record& record, Visit&& visit) {
  const auto given = [&visit](std::string_view name, std::string_view value) {
    if (!value.empty()) visit(name, value);
  };
  visit(std::string_view("content-type"), content_type(record.encoding));
  visit(std::string_view("ce_specversion"), std::string_view("1.0"));
  given("ce_id", record.event_id);
  given("ce_source", "/gateways/" + record.gateway_id);
  given("ce_type", "tillstream." + record.type);
  given("ce_subject", std::string_view(record.key).substr(std::min(record.key.size(), record.gateway_id.size() + 1)));
  given("ce_time", record.occurred_at);
  given("ce_recordedtime", record.received_at);
  if (record.seq) {
    std::array<char, 20> digits{};
    std::uint64_t rest = *record.seq;
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, rest /= 10)
      *digit = static_cast<char>('0' + rest % 10);
    visit(std::string_view("ce_sequence"), std::string_view(digits.data(), digits.size()));
  }
  given("ce_epoch", record.epoch);
  given("ce_partitionkey", record.key);
  visit(std::string_view("ce_dataschema"), std::string_view("/schemas/event/1"));
}

// Bytes of key, headers and value together.
[[nodiscard]] std::size_t size_of(const Record& record);

// The headers as one flat JSON object, in their order: the embedded stream's column.
void append_headers_json(std::string& out, const Record& record);

}  // namespace stream
