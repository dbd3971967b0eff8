// A journal's log, whatever its bytes: looking at it ends and asks for no more than a frame at a time; a header alone
// is never damage, and damage stays damage when the file grows by a byte.
#include <cstddef>
#include <cstdint>

#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"
#include "proto/base/assert.hpp"

namespace {

sqlite::LogDamage judge(base::BytesView log) {
  return sqlite::judge_log(log.size(), [log](std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
    ASSERT(count <= 65536 + 24);
    if (offset + count > log.size()) return false;
    bytes = log.substr(offset, count);
    return true;
  });
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16384) return 0;
  const base::BytesView log(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  const sqlite::LogDamage damage = judge(log);
  if (size <= 32) ASSERT(damage.empty());
  if (!damage.empty()) ASSERT(!judge(base::Bytes(log) + '\0').empty());
  return 0;
}
