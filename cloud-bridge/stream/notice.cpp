#include "cloud-bridge/stream/notice.hpp"

#include <algorithm>

#include "proto/base/json_object.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"

namespace stream {
namespace {

using base::JsonObject;

// Each part with its length before it, so that no two different lists give the same bytes.
void append_part(base::Bytes& out, std::string_view part) {
  out += std::to_string(part.size());
  out += ':';
  out += part;
}

// A UUIDv8 (RFC 9562) from the first 128 bits of a digest.
std::string uuid_of(const base::Digest& digest) {
  base::Uuid uuid;
  std::copy_n(digest.bytes.begin(), uuid.bytes.size(), uuid.bytes.begin());
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0fU) | 0x80U);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3fU) | 0x80U);
  return base::to_text(uuid);
}

std::string event_id(const Notice& notice, const Record& record, const base::Hasher& hasher) {
  base::Bytes parts;
  append_part(parts, notice.name);
  append_part(parts, notice.gateway_id);
  append_part(parts, record.epoch);
  append_part(parts, record.seq ? std::to_string(*record.seq) : std::string());
  for (const auto& [key, detail] : notice.details) {
    append_part(parts, key);
    append_part(parts, detail);
  }
  return uuid_of(hasher.sha256({"tillstream notice 1", parts}));
}

void append_value(std::string& out, const Notice& notice, const Record& record) {
  JsonObject json(out);
  json.number("schema_version", kSchemaVersion);
  json.text("event_id", record.event_id);
  json.text("type", record.type);
  json.text("gateway_id", record.gateway_id);
  json.text("epoch", record.epoch);
  json.number("seq", record.seq);
  json.text("source", "bridge");
  json.text("occurred_at", record.occurred_at);
  json.text("received_at", record.received_at);
  json.text("published_at", record.published_at);
  json.text("notice", notice.name);
  for (const auto& [key, detail] : notice.details) json.text("detail_" + key, detail);
  json.end();
}

void put_seq(std::map<std::string, std::string>& details, const char* name, handoff::Seq seq) {
  if (seq.value() != 0) details[name] = std::to_string(seq.value());
}

}  // namespace

Record render_notice(const Notice& notice, const base::Hasher& hasher) {
  Record record;
  record.gateway_id = notice.gateway_id;
  if (notice.place) {
    record.epoch = base::to_hex(notice.place->first.view());
    record.seq = notice.place->second.value();
  }
  record.key.append(notice.gateway_id).append("/");
  record.type = "notice";
  record.published_at = base::to_rfc3339(notice.published_at);
  record.occurred_at = record.received_at = record.published_at;
  record.event_id = event_id(notice, record, hasher);
  append_value(record.value, notice, record);
  return record;
}

Record events_lost_notice(const EpochSwitch& change, const base::Hasher& hasher) {
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
  return render_notice(notice, hasher);
}

Record gateway_cloned_notice(std::string_view gateway_id, const handoff::Place& progress, base::UtcTime published_at,
                             const base::Hasher& hasher) {
  Notice notice{.name = "gateway_cloned",
                .gateway_id = gateway_id,
                .place = std::nullopt,
                .details = {{"epoch", base::to_hex(progress.epoch.view())}},
                .published_at = published_at};
  put_seq(notice.details, "committed_seq", progress.seq);
  return render_notice(notice, hasher);
}

Record event_unreadable_notice(const Publication& publication, DecodeError error, base::BytesView record,
                               const base::Hasher& hasher) {
  return render_notice({.name = "event_unreadable",
                        .gateway_id = publication.gateway_id,
                        .place = std::pair(publication.epoch, publication.seq),
                        .details = {{"reason", std::string(word(error))},
                                    {"digest", base::to_hex(hasher.sha256({record}).view())},
                                    {"bytes", std::to_string(record.size())}},
                        .published_at = publication.published_at},
                       hasher);
}

}  // namespace stream
