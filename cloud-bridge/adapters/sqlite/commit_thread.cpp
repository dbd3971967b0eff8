#include "cloud-bridge/adapters/sqlite/commit_thread.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"

namespace sqlite {
namespace {

constexpr std::chrono::milliseconds kUnblockEvery{200};

std::unexpected<stream::ReadFailure> down() {
  return base::fail(stream::ReadFailure{.error = stream::ReadError::down, .reason = "the stream is down"});
}

}  // namespace

CommitThread::CommitThread(CommitThreadSettings settings, LockFile lock)
    : settings_(std::move(settings)), lock_(std::move(lock)), retry_(settings_.retry_min) {
  status_.bytes_max = settings_.limits.bytes_max;
  status_.wal_bytes_max = settings_.limits.wal_bytes_max;
}

CommitThread::~CommitThread() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

FileResult<void> CommitThread::open_first() {
  auto file = StreamFile::open(settings_.path, settings_.limits);
  if (!file) {
    note_failure(file.error().text);
    return base::fail(file.error());
  }
  file_ = std::move(*file);
  return {};
}

void CommitThread::start(Emit emit) {
  ASSERT(!thread_.joinable());
  emit_ = std::move(emit);
  thread_ = std::thread([this]() noexcept { run(); });
}

void CommitThread::submit(Generation generation, stream::TransactionId id, stream::Transaction transaction) {
  {
    const std::lock_guard guard(mutex_);
    // One of an earlier generation may still lie here, dropped by its Lost.
    submitted_ = Submitted{generation, id, std::move(transaction)};
  }
  wake_.notify_one();
}

void CommitThread::read(stream::Position from, stream::ReadLimits limits, stream::StreamReader::Done done) {
  {
    const std::lock_guard guard(mutex_);
    asked_.push_back({from, limits, std::move(done)});
  }
  wake_.notify_one();
}

void CommitThread::close() {
  {
    const std::lock_guard guard(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
}

stream::Status CommitThread::status() const {
  const std::lock_guard guard(mutex_);
  return status_;
}

void CommitThread::run() {
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    const bool finished = closing_ && (!submitted_ || !owned_);
    if (finished) break;
    step(guard);
  }
  const bool closed = !stopping_;
  refuse_reads(guard);
  guard.unlock();
  finish();
  if (closed) emit_(Closed{});
}

// Does the one thing that comes next, with the lock released, or waits for something to do.
void CommitThread::step(std::unique_lock<std::mutex>& guard) {
  const auto released = [&guard](auto&& work) {
    guard.unlock();
    work();
    guard.lock();
  };
  if (!owned_) {
    refuse_reads(guard);
    if (Clock::now() >= retry_at_) return released([this] { open_file(); });
  } else if (submitted_ && (!read_turn_ || asked_.empty())) {
    const Submitted submitted = *std::exchange(submitted_, std::nullopt);
    read_turn_ = true;
    return released([this, &submitted] { commit(submitted); });
  } else if (!asked_.empty()) {
    Asked asked = std::move(asked_.front());
    asked_.pop_front();
    read_turn_ = false;
    return released([this, &asked] { answer(std::move(asked)); });
  } else if (blocked_ && Clock::now() >= unblock_at_) {
    return released([this] { unblock(); });
  }
  const auto until = wakeup_at();
  const auto due = [this] { return anything_due(); };
  until ? static_cast<void>(wake_.wait_until(guard, *until, due)) : wake_.wait(guard, due);
}

bool CommitThread::anything_due() const {
  return stopping_ || closing_ || !asked_.empty() || (owned_ && submitted_.has_value());
}

std::optional<CommitThread::Clock::time_point> CommitThread::wakeup_at() const {
  if (!owned_) return retry_at_;
  if (blocked_) return unblock_at_;
  return std::nullopt;
}

void CommitThread::open_file() {
  if (!file_) {
    auto file = StreamFile::open(settings_.path, settings_.limits);
    if (!file) return lose(file.error());
    file_ = std::move(*file);
  }
  auto progress = file_->progress();
  if (!progress) return lose(progress.error());
  owned_ = true;
  generation_ = generation_.next();
  blocked_ = !file_->blocked().empty();
  unblock_at_ = Clock::now();
  note_usage();
  emit_(Owned{generation_, std::move(*progress), blocked_});
}

void CommitThread::commit(const Submitted& submitted) {
  if (submitted.generation != generation_) return;  // (2)
  if (auto done = file_->commit(submitted.transaction); !done) return lose(done.error());
  retry_ = settings_.retry_min;
  blocked_ = !file_->blocked().empty();
  unblock_at_ = Clock::now();
  note_usage();
  emit_(Committed{submitted.id, blocked_, !submitted.transaction.records.empty()});
  after_commit();
}

// Off the answer's way: copying the log back takes milliseconds.
void CommitThread::after_commit() {
  if (auto done = file_->checkpoint_when_due(); !done) return lose(done.error());
  note_usage();
}

void CommitThread::answer(Asked asked) {
  auto page = file_->read(asked.from, asked.limits);
  if (!page) {
    emit_(PageRead{std::move(asked.done), down()});
    return lose(page.error());
  }
  emit_(PageRead{std::move(asked.done), std::move(*page)});
}

void CommitThread::refuse_reads(std::unique_lock<std::mutex>& guard) {
  std::deque<Asked> refused = std::exchange(asked_, {});
  guard.unlock();
  for (Asked& asked : refused) emit_(PageRead{std::move(asked.done), down()});
  guard.lock();
}

void CommitThread::unblock() {
  if (auto done = file_->shrink_log(); !done) return lose(done.error());
  unblock_at_ = Clock::now() + kUnblockEvery;
  blocked_ = !file_->blocked().empty();
  note_usage();
  if (!blocked_) emit_(Unblocked{});
}

void CommitThread::lose(const StreamFileError& error) {
  file_.reset();
  retry_at_ = Clock::now() + retry_;
  retry_ = std::min(retry_ * 2, settings_.retry_max);
  note_failure(error.text);
  if (!std::exchange(owned_, false)) return;
  {
    const std::lock_guard guard(mutex_);
    submitted_.reset();
    ++status_.losses_total;
  }
  emit_(Lost{error.text});
}

void CommitThread::note_failure(const std::string& text) {
  const std::lock_guard guard(mutex_);
  status_.up = false;
  status_.blocked.clear();
  status_.last_error = text;
  status_.last_error_at = platform::now().utc;
}

void CommitThread::note_usage() {
  const StreamFileUsage& usage = file_->usage();
  const std::lock_guard guard(mutex_);
  status_.up = true;
  status_.blocked = file_->blocked();
  status_.bytes = usage.bytes;
  status_.wal_bytes = usage.wal_bytes;
  status_.last_position = usage.last_position;
  status_.dead_letters = usage.dead_letters;
  status_.dead_letters_dropped_total = usage.dead_letters_dropped_total;
}

void CommitThread::finish() {
  if (file_) file_->finish();
  file_.reset();
}

}  // namespace sqlite
