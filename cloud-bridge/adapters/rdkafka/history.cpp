#include "cloud-bridge/adapters/rdkafka/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "proto/platform/system.hpp"

namespace kafka {
namespace {

// Longer each time nothing comes.
constexpr Milliseconds poll_wait_min{10};
constexpr Milliseconds poll_wait_max{160};
// Without a word from the brokers a page is given up.
constexpr Milliseconds patience{3'000};
// The consumer is kept so long for the next question.
constexpr std::chrono::seconds idle_max{10};

std::size_t bytes_of(const stream::ReadPage& page) {
  return std::accumulate(page.records.begin(), page.records.end(), std::size_t{0},
                         [](std::size_t sum, const stream::ReadRecord& record) { return sum + record.value.size(); });
}

}  // namespace

History::History(ConsumerSettings settings, Emit emit)
    : settings_(std::move(settings)), emit_(std::move(emit)), thread_([this]() noexcept { run(); }) {}

History::~History() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void History::ask(stream::PageQuestion question) {
  {
    const std::lock_guard guard(mutex_);
    turns_.ask(std::move(question));
  }
  wake_.notify_one();
}

void History::ask(EndQuestion question) {
  {
    const std::lock_guard guard(mutex_);
    ends_asked_.push_back(question);
  }
  wake_.notify_one();
}

bool History::is_stopping() const {
  const std::lock_guard guard(mutex_);
  return stopping_;
}

void History::run() {
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    const auto question = take();
    if (!question) {
      wait(guard);
      continue;
    }
    guard.unlock();
    std::visit([this](const auto& asked) { answer(asked); }, *question);
    guard.lock();
  }
}

// An end is found without the consumer's leaving its place.
std::optional<History::Question> History::take() {
  if (!ends_asked_.empty()) {
    const EndQuestion first = ends_asked_.front();
    ends_asked_.pop_front();
    return first;
  }
  auto page = turns_.take(platform::now().instant);
  if (!page) return std::nullopt;
  return *std::move(page);
}

// For a question, for a reader's next one, or for the time to let the consumer go.
void History::wait(std::unique_lock<std::mutex>& guard) {
  if (const auto until = turns_.wait_until()) {
    wake_.wait_for(guard, *until - platform::now().instant);
  } else if (!consumer_) {
    wake_.wait(guard);
  } else if (wake_.wait_for(guard, idle_max) == std::cv_status::timeout && ends_asked_.empty() && turns_.empty()) {
    consumer_.reset();
  }
}

void History::answer(const stream::PageQuestion& question) {
  auto page = read(question);
  if (!page) consumer_.reset();
  {
    const std::lock_guard guard(mutex_);
    const bool more = page && page->more;
    turns_.read(more ? std::optional(next_) : std::nullopt, page ? bytes_of(*page) : 0, platform::now().instant);
  }
  if (!page) return emit_(question.id, base::fail(page.error()));
  emit_(question.id, std::move(*page));
}

void History::answer(const EndQuestion& question) {
  auto end = find_end(question.back);
  if (!end) consumer_.reset();
  if (!end) return emit_(question.id, base::fail(end.error()));
  emit_(question.id, std::move(*end));
}

base::Result<std::int32_t, stream::ReadFailure> History::ask_partitions() {
  if (!consumer_) {
    auto consumer = TopicConsumer::make(settings_);
    if (!consumer) return down(consumer.error());
    consumer_ = std::move(*consumer);
    open_.clear();
  }
  auto partitions = consumer_->count_partitions();
  if (!partitions) return down(partitions.error());
  return *partitions;
}

base::Result<stream::Offsets, stream::ReadFailure> History::ask_edge(Edge edge, std::int32_t partitions) {
  auto found = consumer_->find(edge, partitions);
  if (!found) return down(found.error());
  return *found;
}

// The marks of transactions take offsets, too: of small ones half of all.
base::Result<stream::Place, stream::ReadFailure> History::find_end(std::size_t back) {
  const auto partitions = ask_partitions();
  if (!partitions) return base::fail(partitions.error());
  auto ends = ask_edge(Edge::end, *partitions);
  if (!ends) return base::fail(ends.error());
  if (back > 0) {
    const auto beginnings = ask_edge(Edge::beginning, *partitions);
    if (!beginnings) return base::fail(beginnings.error());
    const auto count = static_cast<std::int64_t>(*partitions);
    const std::int64_t step = 2 * ((static_cast<std::int64_t>(back) + count - 1) / count);
    for (auto& [partition, offset] : *ends) offset = std::max(beginnings->at(partition), offset - step);
  }
  return stream::Place{stream::to_text(*ends)};
}

base::Result<stream::ReadPage, stream::ReadFailure> History::read(const stream::PageQuestion& question) {
  stream::ReadPage page;
  const bool goes_on = consumer_ && !open_.empty() && next_ == question.from;
  if (!goes_on) {
    ++seeks_;
    if (auto done = place(question.from, page); !done) return base::fail(done.error());
  }
  if (auto done = fill(page, question.limits); !done) return base::fail(done.error());
  page.next.text = stream::to_text(next_);
  page.more = !open_.empty();
  // A consumer at its end would ask the brokers again and again for nothing.
  if (auto done = page.more ? std::expected<void, std::string>() : consumer_->assign({}); !done)
    return down(done.error());
  return page;
}

base::Result<void, stream::ReadFailure> History::place(const stream::Offsets& from, stream::ReadPage& page) {
  const auto partitions = ask_partitions();
  if (!partitions) return base::fail(partitions.error());
  if (auto refusal = refuse_place(from, *partitions)) return base::fail(std::move(*refusal));
  const auto beginnings = ask_edge(Edge::beginning, *partitions);
  if (!beginnings) return base::fail(beginnings.error());
  const auto ends = ask_edge(Edge::end, *partitions);
  if (!ends) return base::fail(ends.error());
  auto placed = place_at(from, *beginnings);
  next_ = std::move(placed.next);
  page.removed = std::move(placed.removed);
  stream::Offsets behind;
  open_.clear();
  for (const auto& [partition, offset] : next_) {
    if (offset >= ends->at(partition)) continue;
    behind[partition] = offset;
    open_.insert(partition);
  }
  if (auto assigned = consumer_->assign(behind); !assigned) return down(assigned.error());
  return {};
}

base::Result<void, stream::ReadFailure> History::fill(stream::ReadPage& page, const stream::ReadLimits& limits) {
  std::size_t bytes = 0;
  auto until = Clock::now() + patience;
  Milliseconds wait = poll_wait_min;
  while (!open_.empty() && page.records.size() < limits.records && (bytes < limits.bytes || page.records.empty())) {
    Polled polled = consumer_->poll(wait);
    if (const auto* failed = std::get_if<PollFailed>(&polled)) return down(failed->reason);
    if (const auto* end = std::get_if<EndReached>(&polled)) {
      next_[end->partition] = std::max(next_[end->partition], end->next);
      open_.erase(end->partition);
    } else if (auto* fetched = std::get_if<Fetched>(&polled)) {
      next_[fetched->partition] = fetched->offset + 1;
      bytes += fetched->value.size();
      page.records.push_back({.id = stream::to_text(next_), .value = std::move(fetched->value)});
      until = Clock::now() + patience;
      wait = poll_wait_min;
    } else if (is_stopping()) {
      return down("the stream is closing");
    } else if (Clock::now() >= until) {
      if (!page.records.empty()) return {};
      return down(fmt::format("topic {}: the brokers send nothing within {} s", settings_.topic,
                              std::chrono::duration_cast<std::chrono::seconds>(patience).count()));
    } else {
      consumer_->hurry(static_cast<std::int32_t>(next_.size()));
      wait = std::min(2 * wait, poll_wait_max);
    }
  }
  return {};
}

}  // namespace kafka
