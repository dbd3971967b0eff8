#include "cloud-bridge/stream/dead_letter.hpp"

#include <algorithm>

#include "cloud-bridge/stream/unknown_fields.hpp"
#include "proto/wire/event.pb.h"
#include "proto/wire/parse.hpp"

namespace stream {
namespace {

constexpr std::size_t kUuidBytes = 16;
constexpr std::size_t kCardDigitsMin = 13;
constexpr std::string_view kWithheld = "(withheld)";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Thirteen digits or more, single spaces, dots or dashes between them allowed. No Luhn sum and no table of issuers:
// this decides only whether a broken record's bytes are kept, so it may well be too careful.
bool may_hold_card_number(std::string_view bytes) {
  std::size_t digits = 0;
  bool gap = false;
  for (const char c : bytes) {
    if (is_digit(c)) {
      gap = false;
      if (++digits >= kCardDigitsMin) return true;
    } else if (digits > 0 && !gap && (c == ' ' || c == '-' || c == '.')) {
      gap = true;
    } else {
      digits = 0;
      gap = false;
    }
  }
  return false;
}

bool is_id(std::string_view bytes) { return bytes.empty() || bytes.size() == kUuidBytes; }

// Anyone who may publish chooses the topic.
std::string harmless(std::string_view text) {
  return may_hold_card_number(text) ? std::string(kWithheld) : std::string(text);
}

}  // namespace

std::string key_of(const DeadLetter& letter) { return letter.gateway_id + "/" + letter.epoch + "/" + letter.digest; }

std::size_t size_of(const DeadLetter& letter) {
  std::size_t bytes = key_of(letter).size() + (letter.payload ? letter.payload->size() : 0);
  each_header(letter, [&bytes](std::string_view name, std::string_view value) { bytes += name.size() + value.size(); });
  return bytes;
}

bool may_keep(base::BytesView payload) {
  if (payload.empty() || payload.size() > kDeadLetterBytesMax || may_hold_card_number(payload)) return false;
  tillstream::v1::Event event;
  return wire::parse(event, payload) && !has_unknown_field(payload) && is_id(event.event_id()) &&
         is_id(event.original_event_id()) && is_id(event.conflict_with());
}

DeadLetter dead_letter(const Refused& refused, const base::Hasher& hasher) {
  DeadLetter letter{.gateway_id = harmless(refused.gateway_id),
                    .topic = harmless(refused.topic.substr(0, kDeadLetterTopicMax)),
                    .reason = std::string(refused.reason),
                    .detail = std::string(refused.detail),
                    .epoch = std::string(refused.epoch),
                    .digest = base::to_hex(hasher.sha256({refused.payload}).view()),
                    .at = refused.at,
                    .size = refused.payload.size(),
                    .payload = std::nullopt};
  if (!refused.epoch.empty() && may_keep(refused.payload)) letter.payload = base::Bytes(refused.payload);
  return letter;
}

}  // namespace stream
