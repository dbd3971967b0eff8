#include "cloud-bridge/stream/notice.hpp"

#include <algorithm>

#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"
#include "proto/wire/event_json.hpp"

namespace stream {
namespace {

using tillstream::v1::Event;

// Each part with its length before it, so that no two different lists give the same bytes.
void append_part(base::Bytes& out, std::string_view part) {
  out += std::to_string(part.size());
  out += ':';
  out += part;
}

// A UUIDv8 (RFC 9562) from the first 128 bits of a digest.
base::Uuid uuid_of(const base::Digest& digest) {
  base::Uuid uuid;
  std::copy_n(digest.bytes.begin(), uuid.bytes.size(), uuid.bytes.begin());
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0fU) | 0x80U);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3fU) | 0x80U);
  return uuid;
}

base::Uuid event_id(const Notice& notice, const Event& event, const base::Hasher& hasher) {
  base::Bytes parts;
  append_part(parts, notice.name);
  append_part(parts, notice.gateway_id);
  append_part(parts, event.epoch());
  append_part(parts, event.has_seq() ? std::to_string(event.seq()) : std::string());
  for (const auto& [key, detail] : notice.details) {
    append_part(parts, key);
    append_part(parts, detail);
  }
  return uuid_of(hasher.sha256({"tillstream notice 1", parts}));
}

void put_seq(std::map<std::string, std::string>& details, const char* name, handoff::Seq seq) {
  if (seq.value() != 0) details[name] = std::to_string(seq.value());
}

}  // namespace

Record render_notice(const Notice& notice, const base::Hasher& hasher, const ValueFormat& format) {
  Event event;
  // A notice has nothing that is newer.
  event.set_schema_version(1);
  event.set_type("notice");
  event.set_source(wire::kBridgeSource.data(), wire::kBridgeSource.size());
  event.set_gateway_id(notice.gateway_id.data(), notice.gateway_id.size());
  if (notice.place) {
    event.set_epoch(base::to_hex(notice.place->first.view()));
    event.set_seq(notice.place->second.value());
  }
  const std::int64_t published = notice.published_at.time_since_epoch().count();
  event.set_occurred_at_ms(published);
  event.set_received_at_ms(published);
  event.set_published_at_ms(published);
  event.set_notice(notice.name.data(), notice.name.size());
  event.mutable_details()->insert(notice.details.begin(), notice.details.end());
  event.set_event_id(std::string(event_id(notice, event, hasher).view()));
  return render_placed(event, format);
}

Record events_lost_notice(const EpochSwitch& change, const base::Hasher& hasher, const ValueFormat& format) {
  Notice notice{.name = "events_lost",
                .gateway_id = change.gateway_id,
                .place = std::nullopt,
                .details = {{"reason", change.lost.reason}, {"new_epoch", base::to_hex(change.epoch.view())}},
                .published_at = change.published_at};
  if (change.superseded) {
    notice.details["epoch"] = base::to_hex(change.superseded->epoch.view());
    put_seq(notice.details, "committed_seq", change.superseded->seq);
  }
  put_seq(notice.details, "first_seq", change.lost.first);
  put_seq(notice.details, "last_seq", change.lost.last);
  return render_notice(notice, hasher, format);
}

Record gateway_cloned_notice(std::string_view gateway_id, const handoff::Place& progress, base::UtcTime published_at,
                             const base::Hasher& hasher, const ValueFormat& format) {
  Notice notice{.name = "gateway_cloned",
                .gateway_id = gateway_id,
                .place = std::nullopt,
                .details = {{"epoch", base::to_hex(progress.epoch.view())}},
                .published_at = published_at};
  put_seq(notice.details, "committed_seq", progress.seq);
  return render_notice(notice, hasher, format);
}

Record event_unreadable_notice(const Publication& publication, DecodeError error, base::BytesView record,
                               const base::Hasher& hasher, const ValueFormat& format) {
  return render_notice({.name = "event_unreadable",
                        .gateway_id = publication.gateway_id,
                        .place = std::pair(publication.epoch, publication.seq),
                        .details = {{"reason", std::string(word(error))},
                                    {"digest", base::to_hex(hasher.sha256({record}).view())},
                                    {"bytes", std::to_string(record.size())}},
                        .published_at = publication.published_at},
                       hasher, format);
}

}  // namespace stream
