#include "cloud-bridge/intake/message.hpp"

#include <algorithm>
#include <utility>

#include "proto/handoff/topics.hpp"
#include "proto/wire/codec.hpp"
#include "proto/wire/event.pb.h"

namespace intake {

namespace {

Refusal refusal_of(wire::DecodeError error) {
  switch (error) {
    case wire::DecodeError::too_large:
      return Refusal::too_large;
    case wire::DecodeError::undecodable:
      return Refusal::undecodable;
    case wire::DecodeError::unknown_message:
      return Refusal::unknown_message;
    case wire::DecodeError::bad_gateway_id:
      return Refusal::gateway_mismatch;
    case wire::DecodeError::bad_field:
      return Refusal::malformed;
    case wire::DecodeError::bad_records:
      return Refusal::undecodable;
  }
  return Refusal::undecodable;
}

// Writers put schema_version first, and it is small: two bytes say it all. Any other shape is decoded.
std::uint32_t schema_version_of(const std::string& record) {
  constexpr char tag = 0x08;
  if (record.size() >= 2 && record[0] == tag && static_cast<std::uint8_t>(record[1]) < 0x80) {
    return static_cast<std::uint8_t>(record[1]);
  }
  tillstream::v1::Event event;
  return event.ParseFromString(record) ? event.schema_version() : 0;
}

}  // namespace

std::string_view word(Refusal refusal) {
  switch (refusal) {
    case Refusal::too_large:
      return "too_large";
    case Refusal::foreign_topic:
      return "foreign_topic";
    case Refusal::shard_mismatch:
      return "shard_mismatch";
    case Refusal::undecodable:
      return "undecodable";
    case Refusal::unknown_message:
      return "unknown_message";
    case Refusal::malformed:
      return "malformed";
    case Refusal::gateway_mismatch:
      return "gateway_mismatch";
  }
  return "undecodable";
}

std::variant<Said, Refused> read(std::string_view topic, base::BytesView payload, const base::Hasher& hasher) {
  const auto place = handoff::parse_up_topic(topic);
  if (!place) return Refused{Refusal::foreign_topic, ""};
  std::string gateway_id(place->gateway_id);
  if (handoff::shard_of(hasher, gateway_id) != place->shard)
    return Refused{Refusal::shard_mismatch, std::move(gateway_id)};
  auto up = wire::decode_up(payload);
  if (!up) return Refused{refusal_of(up.error()), std::move(gateway_id)};
  if (up->gateway_id() != gateway_id) return Refused{Refusal::gateway_mismatch, std::move(gateway_id)};
  if (up->has_batch()) raise_schema_version(*up->mutable_batch());
  return Said{std::string(place->shard), std::move(gateway_id), std::move(*up)};
}

std::uint64_t bytes_of(const tillstream::v1::Records& records) {
  std::uint64_t bytes = 0;
  for (const std::string& record : records.record()) bytes += record.size();
  return bytes;
}

void raise_schema_version(tillstream::v1::Batch& batch) {
  std::uint32_t newest = batch.schema_version();
  for (const std::string& record : batch.records().record()) newest = std::max(newest, schema_version_of(record));
  batch.set_schema_version(newest);
}

}  // namespace intake
