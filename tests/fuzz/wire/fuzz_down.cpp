// Any bytes as the bridge's message: refused with a word, or within every limit and the same once it was encoded and
// decoded again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "proto/base/assert.hpp"
#include "proto/wire/codec.hpp"

namespace {

void check_id(const std::string& id) { ASSERT(id.empty() || id.size() == 16); }
void check_digest(const std::string& digest) { ASSERT(digest.empty() || digest.size() == 32); }

void check_progress(const tillstream::v1::Progress& progress) {
  ASSERT(progress.epoch().size() == 16 && progress.digest().size() == 32 && progress.seq() <= wire::kNumberMax);
  ASSERT(progress.runs_size() <= static_cast<int>(wire::kRunsMax));
  ASSERT(progress.switched_at_ms_size() <= static_cast<int>(wire::kSwitchesMax));
  for (const auto& run : progress.runs()) {
    ASSERT(run.run().size() == 16 && run.count() <= wire::kNumberMax);
    check_digest(run.digest());
  }
}

void check_ack(const tillstream::v1::Ack& ack) {
  check_id(ack.epoch());
  check_digest(ack.digest());
  ASSERT(ack.epoch().empty() == ack.digest().empty());
  ASSERT(ack.seq() <= wire::kNumberMax && (!ack.epoch().empty() || ack.seq() == 0));
  if (ack.has_progress()) check_progress(ack.progress());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto down = wire::decode_down({size == 0 ? "" : reinterpret_cast<const char*>(data), size});
  if (!down) {
    ASSERT(!wire::to_string(down.error()).empty());
    return 0;
  }
  ASSERT(down->has_ack() || down->has_owner());
  if (down->has_ack()) check_ack(down->ack());
  if (down->has_owner()) ASSERT(down->owner().bridge_id().size() <= wire::kTextBytesMax);
  const auto again = wire::decode_down(wire::encode(*down));
  ASSERT(again.has_value() && again->SerializeAsString() == down->SerializeAsString());
  return 0;
}
