#include "firmware-gateway/tap/delivery.hpp"

#include <algorithm>
#include <utility>

#include "firmware-gateway/redact/secret.hpp"

namespace tap {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t refused_remembered_max = 64;
constexpr auto again_after_min = 1s;
constexpr auto again_after_max = 30s;

}  // namespace

Delivery::~Delivery() {
  for (Entry& entry : queue_) redact::wipe(entry.frame);
}

bool Delivery::put(redact::Draft draft, base::Now now) { return put(to_frame(next_id_, std::move(draft)), now); }

bool Delivery::put(terminal::Shape unread, base::Now now) {
  return put(to_frame(next_id_, Unread{.shape = std::move(unread), .at = now.utc}), now);
}

bool Delivery::put(base::Bytes frame, base::Now now) {
  ++counts_.copies;
  const std::size_t cost = frame.size() + overhead_bytes;
  if (frame.empty() || bytes_ + cost > memory_bytes_) {
    redact::wipe(frame);
    lose(now);
    return false;
  }
  bytes_ += cost;
  queue_.push_back(
      {.id = next_id_, .frame = std::move(frame), .loss = {}, .state = State::waits, .put_at = now.instant});
  ++next_id_;
  return true;
}

void Delivery::lose(base::Now now) {
  ++counts_.lost;
  if (!queue_.empty() && queue_.back().loss && queue_.back().state == State::waits) {
    ++queue_.back().loss->count;
    queue_.back().loss->last_at = now.utc;
    return;
  }
  queue_.push_back({.id = next_id_,
                    .frame = {},
                    .loss = Loss{.count = 1, .first_at = now.utc, .last_at = now.utc},
                    .state = State::waits,
                    .put_at = now.instant});
  ++next_id_;
}

void Delivery::on_connected() {
  connected_ = true;
  reader_.emplace();
  not_before_.reset();
}

void Delivery::on_disconnected() {
  connected_ = false;
  reader_.reset();
  for (Entry& entry : queue_)
    if (entry.state != State::settled) entry.state = State::waits;
  under_way_ = 0;
  drop_settled();
}

base::Bytes Delivery::to_send(base::Instant now) {
  // After "again" all that is under way is answered first: what is sent anew keeps its order.
  if (!connected_ || (not_before_ && (under_way_ > 0 || now < *not_before_))) return {};
  not_before_.reset();
  std::size_t copies = 0;
  std::size_t size = 0;
  const auto next = std::ranges::find(queue_, State::waits, &Entry::state);
  for (auto entry = next; entry != queue_.end() && under_way_ + copies < window_copies; ++entry, ++copies) {
    if (entry->loss) entry->frame = to_frame(entry->id, *entry->loss);
    size += entry->frame.size();
  }
  // As large as it will be: a buffer that grows would leave card numbers behind.
  base::Bytes bytes;
  bytes.reserve(size);
  for (auto entry = next; copies > 0; ++entry, --copies) {
    bytes += entry->frame;
    entry->state = State::under_way;
    ++under_way_;
  }
  return bytes;
}

std::optional<base::Instant> Delivery::wakeup_at() const {
  return connected_ && under_way_ == 0 ? not_before_ : std::nullopt;
}

bool Delivery::on_bytes(base::BytesView bytes, base::Instant now) {
  if (!reader_) return false;
  reader_->add(bytes);
  while (true) {
    const auto next = reader_->next();
    if (std::holds_alternative<terminal::FrameReader::NeedMore>(next)) return true;
    const auto* const frame = std::get_if<terminal::FrameReader::Frame>(&next);
    const auto verdict = frame == nullptr ? std::nullopt : read_verdict(frame->payload);
    if (!verdict) return false;
    on_verdict(*verdict, now);
  }
}

// Of one that is not under way nothing is to be said.
void Delivery::on_verdict(const Verdict& verdict, base::Instant now) {
  const auto entry = std::ranges::find(queue_, verdict.id, &Entry::id);
  if (entry == queue_.end() || entry->state != State::under_way) return;
  --under_way_;
  if (verdict.outcome == Verdict::Outcome::again) {
    ++counts_.postponed;
    entry->state = State::again;
    const auto wait = std::clamp(std::chrono::seconds(verdict.retry_after_seconds), again_after_min, again_after_max);
    not_before_ = std::max(not_before_.value_or(now), now + wait);
  } else if (verdict.outcome == Verdict::Outcome::stored) {
    if (!entry->loss) ++counts_.stored;
    if (verdict.duplicate) ++counts_.repeated;
    settle(*entry);
  } else {
    ++counts_.refused;
    if (refused_.size() < refused_remembered_max) refused_.push_back({.code = verdict.code, .field = verdict.field});
    settle(*entry);
  }
  if (under_way_ > 0) return;
  for (Entry& waiting : queue_)
    if (waiting.state == State::again) waiting.state = State::waits;
  drop_settled();
}

void Delivery::settle(Entry& entry) {
  entry.state = State::settled;
  if (!entry.loss) bytes_ -= entry.frame.size() + overhead_bytes;
  redact::wipe(entry.frame);
  while (!queue_.empty() && queue_.front().state == State::settled) queue_.pop_front();
}

void Delivery::drop_settled() {
  std::erase_if(queue_, [](const Entry& entry) { return entry.state == State::settled; });
}

std::vector<Refused> Delivery::take_refused() { return std::exchange(refused_, {}); }

std::size_t Delivery::waiting() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(queue_, [](const Entry& entry) { return !entry.loss && entry.state != State::settled; }));
}

std::uint64_t Delivery::untold_lost() const {
  std::uint64_t lost = 0;
  for (const Entry& entry : queue_)
    if (entry.loss && entry.state != State::settled) lost += entry.loss->count;
  return lost;
}

std::optional<base::Instant> Delivery::oldest() const {
  return queue_.empty() ? std::nullopt : std::optional(queue_.front().put_at);
}

}  // namespace tap
