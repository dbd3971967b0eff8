#include "firmware-gateway/ingest/derivation.hpp"

#include <chrono>

#include "firmware-gateway/ingest/reference.hpp"
#include "proto/base/text.hpp"

namespace ingest {
namespace {

using std::chrono::minutes;

constexpr std::size_t date_chars = 10;

base::UtcTime occurred_at(const tillstream::v1::Event& event) {
  return base::UtcTime(std::chrono::milliseconds(event.occurred_at_ms()));
}

std::string date_of(base::UtcTime local) { return base::to_rfc3339(local).substr(0, date_chars); }

// How far the business day is ahead of the calendar's.
minutes day_shift(minutes day_ends) {
  constexpr minutes noon(12 * 60);
  constexpr minutes day(24 * 60);
  return day_ends < noon ? -day_ends : day - day_ends;
}

}  // namespace

std::string business_date(const tillstream::v1::Event& event, const TerminalProfile& profile, const TimeZones& zones) {
  const base::UtcTime utc = occurred_at(event);
  const auto zone = profile.time_zone.empty() ? std::nullopt : zones.offset_at(profile.time_zone, utc);
  const std::chrono::seconds offset = zone.value_or(minutes(event.utc_offset_minutes()));
  return date_of(utc + offset + day_shift(profile.day_ends));
}

std::string business_key(const tillstream::v1::Event& event, const base::Hasher& hasher) {
  constexpr base::BytesView end = "\n";
  const std::string written = date_of(occurred_at(event) + minutes(event.utc_offset_minutes()));
  const std::string& batch_or_date = event.batch_no().empty() ? written : event.batch_no();
  const std::string message = message_key(event);
  const base::Digest digest =
      hasher.sha256({event.merchant_id(), end, event.terminal_id(), end, batch_or_date, end, event.terminal_ref(), end,
                     event.type(), end, message, message.empty() ? base::BytesView() : end});
  return base::to_base32(digest.view());
}

}  // namespace ingest
