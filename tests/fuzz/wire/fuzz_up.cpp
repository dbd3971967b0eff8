// Any bytes as a gateway's message, as the packed records of a batch, and as a compressed frame of them: refused with a
// word, or within every limit and the same once it was encoded and decoded again.
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "cloud-bridge/intake/message.hpp"
#include "proto/base/assert.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/system.hpp"
#include "proto/wire/codec.hpp"

namespace {

using tillstream::v1::Up;

void check_batch(const tillstream::v1::Batch& batch) {
  ASSERT(batch.epoch().size() == 16 && batch.run().size() == 16 && batch.digest_before().size() == 32);
  ASSERT(batch.first_seq() >= 1 && batch.first_seq() <= wire::kNumberMax && batch.run_index() <= wire::kNumberMax);
  ASSERT(batch.zstd_records().empty());
  const auto& records = batch.records();
  ASSERT(records.record_size() >= 1 && records.record_size() <= static_cast<int>(wire::kRecordsMax));
  ASSERT(intake::bytes_of(records) <= wire::kRecordsBytesMax);
  for (const std::string& record : records.record()) ASSERT(!record.empty());
}

void check_round_trip(const Up& up) {
  const base::Bytes again = wire::encode(up);
  // What came well compressed may be larger when level 1 has compressed it.
  if (again.size() > wire::kMessageBytesMax) return;
  const auto decoded = wire::decode_up(again);
  ASSERT(decoded.has_value());
  ASSERT(decoded->SerializeAsString() == up.SerializeAsString());
}

// The bridge's door: takes exactly what the codec takes and its own topic carries.
void check_intake(base::BytesView payload, const Up* up) {
  const std::string id = up == nullptr ? "shop-0017" : up->gateway_id();
  const auto topic = handoff::up_topic(handoff::shard_of(platform::hasher(), id), id);
  const auto read = intake::read(topic, payload, platform::hasher());
  const auto* said = std::get_if<intake::Said>(&read);
  ASSERT((said != nullptr) == (up != nullptr && handoff::gateway_id_allowed(id)));
  if (said == nullptr) return;
  ASSERT(said->gateway_id == id);
  ASSERT(!said->up.has_batch() || said->up.batch().schema_version() >= up->batch().schema_version());
  const auto foreign = handoff::up_topic(handoff::shard_of(platform::hasher(), "other-box"), "other-box");
  ASSERT(id == "other-box" ||
         std::holds_alternative<intake::Refused>(intake::read(foreign, payload, platform::hasher())));
}

bool decode(base::BytesView payload) {
  const auto up = wire::decode_up(payload);
  check_intake(payload, up ? &*up : nullptr);
  if (!up) {
    ASSERT(!wire::to_string(up.error()).empty());
    return false;
  }
  if (up->has_batch()) check_batch(up->batch());
  check_round_trip(*up);
  return true;
}

Up envelope() {
  Up up;
  up.set_gateway_id("shop-0017");
  up.mutable_batch()->set_epoch(std::string(16, 'e'));
  up.mutable_batch()->set_run(std::string(16, 'r'));
  up.mutable_batch()->set_digest_before(std::string(32, 'd'));
  up.mutable_batch()->set_first_seq(1);
  return up;
}

// The records are read by hand: never anything that protobuf would read otherwise.
void check_packed(base::BytesView packed) {
  base::Bytes frame(ZSTD_compressBound(packed.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), packed.data(), packed.size(), 1));
  Up up = envelope();
  up.mutable_batch()->set_zstd_records(frame);
  const base::Bytes payload = up.SerializeAsString();
  if (!decode(payload)) return;
  tillstream::v1::Records records;
  ASSERT(records.ParseFromArray(packed.data(), static_cast<int>(packed.size())));
  const auto decoded = wire::decode_up(payload);
  ASSERT(decoded->batch().records().SerializeAsString() == records.SerializeAsString());
}

void check_frame(base::BytesView frame) {
  Up up = envelope();
  up.mutable_batch()->set_zstd_records(base::Bytes(frame));
  decode(up.SerializeAsString());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::BytesView bytes(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  decode(bytes);
  check_packed(bytes);
  check_frame(bytes);
  return 0;
}
