#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"

#include <filesystem>
#include <utility>

#include "proto/base/assert.hpp"

namespace sqlite {
namespace {

constexpr stream::Partition kPartition{0};

using Placement = base::Result<stream::Place, stream::ReadFailure>;

stream::Place place_before_end(stream::Position last, std::size_t back) {
  return stream::place_at(back > last.value() ? stream::Position(0) : last.next() - back);
}

std::unexpected<stream::ReadFailure> down() {
  return base::fail(stream::ReadFailure{.error = stream::ReadError::down, .reason = "the stream is down"});
}

std::unexpected<stream::ReadFailure> busy() {
  return base::fail(stream::ReadFailure{.error = stream::ReadError::busy, .reason = "too many reads wait already"});
}

}  // namespace

// What the loop knows of the thread: a little behind it, and consistent with what the owner has been told.
struct SqliteStream::LoopSide {
  stream::Owner* owner = nullptr;
  std::function<void()> changed;
  std::function<void()> closed;
  Generation generation;
  bool owned = false;
  bool blocked = false;
  bool committing = false;
  bool closing = false;
  bool done = false;
  std::size_t waiting_reads = 0;

  void operator()(Owned&& output) {
    owned = true;
    committing = false;
    generation = output.generation;
    blocked = output.blocked;
    owner->on_owned(kPartition, std::move(output.progress));
  }

  void operator()(Lost&& output) {
    owned = committing = blocked = false;
    owner->on_lost(kPartition, std::move(output.reason));
  }

  void operator()(Committed&& output) {
    committing = false;
    blocked = output.blocked;
    owner->on_committed(kPartition, output.id);
    if (output.appended && changed) changed();
  }

  void operator()(Unblocked&&) {
    blocked = false;
    owner->on_ready(kPartition);
  }

  void operator()(PageRead&& output) {
    --waiting_reads;
    output.done(std::move(output.page));
  }

  void operator()(Closed&&) {
    done = true;
    owned = false;
    if (const auto call = std::exchange(closed, {})) call();
  }
};

std::expected<std::unique_ptr<SqliteStream>, std::string> SqliteStream::start(SqliteStreamSettings settings,
                                                                              stream::Post post) {
  // One file, one lock, by whichever symbolic link it is reached.
  std::error_code unresolved;
  const auto canonical = std::filesystem::weakly_canonical(settings.path, unresolved);
  if (!unresolved) settings.path = canonical.string();
  auto lock = LockFile::acquire(settings.path + ".lock");
  if (!lock) return base::fail(lock.error());
  auto thread = std::make_unique<CommitThread>(std::move(settings), std::move(*lock));
  if (auto opened = thread->open_first(); !opened && opened.error().fault == StreamFileFault::refused) {
    return base::fail(opened.error().text);
  }
  return std::unique_ptr<SqliteStream>(new SqliteStream(std::move(thread), std::move(post)));
}

SqliteStream::SqliteStream(std::unique_ptr<CommitThread> thread, stream::Post post)
    : post_(std::move(post)), loop_(std::make_shared<LoopSide>()), thread_(std::move(thread)) {}

SqliteStream::~SqliteStream() = default;

void SqliteStream::open(stream::Owner& owner) {
  ASSERT(loop_->owner == nullptr);
  loop_->owner = &owner;
  thread_->start([post = post_, loop = std::weak_ptr(loop_)](ThreadOutput output) {
    // std::function wants to be copied, an output cannot always be.
    post([loop, held = std::make_shared<ThreadOutput>(std::move(output))] {
      const auto alive = loop.lock();
      if (alive && !alive->done) std::visit([&alive](auto& kind) { (*alive)(std::move(kind)); }, *held);
    });
  });
}

bool SqliteStream::may_begin(stream::Partition partition) const {
  return partition == kPartition && loop_->owned && !loop_->committing && !loop_->blocked && !loop_->closing;
}

void SqliteStream::begin(stream::Partition partition, stream::TransactionId id, stream::Transaction transaction) {
  ASSERT(may_begin(partition));
  ASSERT(!transaction.empty());
  loop_->committing = true;
  thread_->submit(loop_->generation, id, std::move(transaction));
}

void SqliteStream::close(std::function<void()> done) {
  ASSERT(loop_->owner != nullptr && !loop_->closing);
  loop_->closing = true;
  loop_->closed = std::move(done);
  thread_->close();
}

base::Result<stream::Place, std::string> SqliteStream::parse(std::string_view text, stream::Bound bound) const {
  return stream::parse_position(text, bound);
}

void SqliteStream::find_end(std::size_t back, Placed done) {
  const auto last = thread_->status().last_position;
  auto end = last && !loop_->closing ? Placement(place_before_end(*last, back)) : down();
  post_([loop = std::weak_ptr(loop_), done = std::move(done), end = std::move(end)] {
    const auto alive = loop.lock();
    if (alive && !alive->done) done(end);
  });
}

void SqliteStream::read(stream::Place from, stream::ReadLimits limits, Done done) {
  if (loop_->closing || loop_->owner == nullptr || loop_->waiting_reads >= kWaitingReadsMax) {
    const auto failure = loop_->waiting_reads >= kWaitingReadsMax ? busy() : down();
    return post_([loop = std::weak_ptr(loop_), done = std::move(done), failure] {
      const auto alive = loop.lock();
      if (alive && !alive->done) done(failure);
    });
  }
  ++loop_->waiting_reads;
  thread_->read(stream::position_of(from), limits, std::move(done));
}

void SqliteStream::watch(std::function<void()> changed) { loop_->changed = std::move(changed); }

}  // namespace sqlite
