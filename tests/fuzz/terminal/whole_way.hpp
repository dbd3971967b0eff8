// What follows a parser: the guard, the record, the answer. Whatever comes in, no card number comes out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/ingest/recorder.hpp"
#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/framed.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/redact/token_keys.hpp"

namespace fuzz {

class Utc : public ingest::TimeZones {
 public:
  [[nodiscard]] std::optional<std::chrono::seconds> offset_at(std::string_view /*zone*/,
                                                              base::UtcTime /*utc*/) const override {
    return std::chrono::seconds(0);
  }
};

class Zeroes : public base::Random {
 public:
  std::uint64_t next() override { return 0; }
};

inline redact::CardGuard& guard() {
  static redact::CardGuard door = [] {
    redact::GuardSettings settings;
    settings.accept_card_numbers = redact::AcceptCardNumbers::always;
    settings.mark_key = redact::Secret(std::string(16, 'm'));
    settings.token_keys.current = token_key("key");
    return redact::CardGuard(std::move(settings), platform::hasher());
  }();
  return door;
}

inline ingest::Recorder& recorder() {
  static Utc zones;
  static Zeroes random;
  static ingest::Recorder made = [] {
    ingest::Terminals terminals;
    terminals.defaults.currency = "EUR";
    return ingest::Recorder(std::move(terminals), zones, platform::hasher(), random);
  }();
  return made;
}

inline terminal::Answer record(const redact::Cleared& cleared) {
  for (std::size_t i = 0; i < redact::text_count; ++i)
    if (redact::rule_of(redact::text_at(i)).scan != redact::Scan::closed)
      ASSERT(redact::find_card_data(cleared.fields().texts[i]).empty());
  for (const auto& [name, value] : cleared.fields().attributes)
    ASSERT(redact::find_card_data(name).empty() && redact::find_card_data(value).empty());
  auto event = recorder().record(
      cleared, {.utc = base::UtcTime(std::chrono::milliseconds(1764019431042)), .clock_synced = true});
  if (!event) return std::move(event.error());
  ASSERT(!ingest::to_record(*event).empty());
  return terminal::Stored{.event_id = base::uuid_text(event->event_id()), .epoch = "00", .seq = 1};
}

// The answer, in either protocol's words.
inline terminal::Answer follow(base::Result<redact::Draft, redact::Refusal> draft) {
  terminal::Answer answer;
  if (!draft) {
    answer = std::move(draft.error());
  } else if (auto cleared = guard().clear(std::move(*draft), {})) {
    answer = record(*cleared);
  } else {
    answer = std::move(cleared.error());
  }
  ASSERT(!terminal::to_json(answer).empty() && !terminal::to_frame(answer).empty());
  return answer;
}

}  // namespace fuzz
