#include "cloud-bridge/adapters/rdkafka/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kafka {
namespace {

constexpr Milliseconds poll_wait{50};
// Without a word from the brokers a page is given up.
constexpr Milliseconds patience{3'000};
// The consumer is kept so long for the next question.
constexpr std::chrono::seconds idle_max{10};

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

void History::ask(std::uint64_t id, Question question) {
  {
    const std::lock_guard guard(mutex_);
    asked_.push_back({id, std::move(question)});
  }
  wake_.notify_one();
}

bool History::is_stopping() const {
  const std::lock_guard guard(mutex_);
  return stopping_;
}

void History::run() {
  std::unique_lock guard(mutex_);
  const auto due = [this] { return stopping_ || !asked_.empty(); };
  while (!stopping_) {
    if (!consumer_) {
      wake_.wait(guard, due);
    } else if (!wake_.wait_for(guard, idle_max, due)) {
      consumer_.reset();
    }
    if (stopping_ || asked_.empty()) continue;
    const Asked asked = std::move(asked_.front());
    asked_.pop_front();
    guard.unlock();
    emit_(asked.id, std::visit([this](const auto& question) { return answer(question); }, asked.question));
    guard.lock();
  }
}

Answer History::answer(const PageQuestion& question) {
  auto page = read(question);
  if (page) return std::move(*page);
  consumer_.reset();
  return base::fail(page.error());
}

Answer History::answer(const EndQuestion& question) {
  auto end = find_end(question.back);
  if (end) return std::move(*end);
  consumer_.reset();
  return base::fail(end.error());
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

base::Result<stream::ReadPage, stream::ReadFailure> History::read(const PageQuestion& question) {
  stream::ReadPage page;
  const bool goes_on = consumer_ && !open_.empty() && next_ == question.from;
  if (!goes_on) {
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
  while (!open_.empty() && page.records.size() < limits.records && (bytes < limits.bytes || page.records.empty())) {
    Polled polled = consumer_->poll(poll_wait);
    if (const auto* failed = std::get_if<PollFailed>(&polled)) return down(failed->reason);
    if (const auto* end = std::get_if<EndReached>(&polled)) {
      next_[end->partition] = std::max(next_[end->partition], end->next);
      open_.erase(end->partition);
    } else if (auto* fetched = std::get_if<Fetched>(&polled)) {
      next_[fetched->partition] = fetched->offset + 1;
      bytes += fetched->value.size();
      page.records.push_back({.id = stream::to_text(next_), .value = std::move(fetched->value)});
      until = Clock::now() + patience;
    } else if (is_stopping()) {
      return down("the stream is closing");
    } else if (Clock::now() >= until) {
      if (!page.records.empty()) return {};
      return down(fmt::format("topic {}: the brokers send nothing within {} s", settings_.topic,
                              std::chrono::duration_cast<std::chrono::seconds>(patience).count()));
    }
  }
  return {};
}

}  // namespace kafka
