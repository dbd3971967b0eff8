#include "firmware-gateway/adapters/tap/hand_over.hpp"

#include <utility>

#include "firmware-gateway/redact/secret.hpp"
#include "proto/platform/system.hpp"

namespace tap {
namespace {

// What a piece costs beside its bytes.
constexpr std::size_t overhead_bytes = 128;

}  // namespace

HandOver::~HandOver() {
  for (Seen& seen : seen_) redact::wipe(seen.bytes);
}

bool HandOver::put(Seen seen) {
  const bool bounded = seen.what == Seen::What::from_terminal || seen.what == Seen::What::from_host;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t cost = seen.bytes.size() + overhead_bytes;
    if (bounded && bytes_ + cost > bytes_max_) {
      ++refused_;
      return false;
    }
    bytes_ += cost;
    first = seen_.empty();
    seen_.push_back(std::move(seen));
  }
  if (first) wake_();
  return true;
}

std::vector<Seen> HandOver::take() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(seen_, {});
}

void CopySide::copy(Direction direction, base::BytesView bytes) {
  if (torn_) return;
  if (put(direction == Direction::from_terminal ? Seen::What::from_terminal : Seen::What::from_host, bytes)) {
    begun_ = true;
    return;
  }
  torn_ = true;
  if (begun_) static_cast<void>(put(Seen::What::gap, {}));
}

void CopySide::end() {
  if (std::exchange(begun_, false)) static_cast<void>(put(Seen::What::closed, {}));
}

bool CopySide::put(Seen::What what, base::BytesView bytes) {
  return hand_over_.put(
      {.line = line_, .connection = connection_, .what = what, .bytes = base::Bytes(bytes), .at = platform::now()});
}

}  // namespace tap
