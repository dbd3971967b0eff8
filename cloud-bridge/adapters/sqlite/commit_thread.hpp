// CommitThread: the one thread that touches the stream's file. Takes requests from the loop, gives outputs back.
//
//   closed ──open──▶ open ──commit, read, checkpoint──▶ open
//     ▲  back-off      │
//     └────────────────┘  any error: Lost, and the file is opened anew
//
// Invariants:
//   (1) Outputs come in the order in which things happened; Owned and Lost alternate, beginning with Owned.
//   (2) Each opening has its own generation. A transaction made for an earlier one is dropped unwritten: its Lost is on
//   its way. (3) A transaction goes before reads; one read step runs between two transactions at most. (4) The back-off
//   is reset only by a commit: a disk that opens and then fails is not asked again and again.
//
// submit, read and close come from the loop's thread; outputs are given to `emit` on this thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cloud-bridge/adapters/sqlite/lock_file.hpp"
#include "cloud-bridge/adapters/sqlite/stream_file.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace sqlite {

using Generation = base::Strong<struct GenerationTag>;

struct Owned {
  Generation generation;
  std::vector<tillstream::v1::Progress> progress;
  bool blocked{};
};
struct Lost {
  std::string reason;
};
struct Committed {
  stream::TransactionId id;
  bool blocked{};
  bool appended{};  // records
};
struct Unblocked {};
struct PageRead {
  stream::StreamReader::Done done;
  base::Result<stream::ReadPage, stream::ReadFailure> page;
};
struct Closed {};
using ThreadOutput = std::variant<Owned, Lost, Committed, Unblocked, PageRead, Closed>;

struct CommitThreadSettings {
  std::string path;
  StreamFileLimits limits;
  std::chrono::milliseconds retry_min{100};
  std::chrono::milliseconds retry_max{10'000};
};

class CommitThread {
 public:
  using Emit = std::function<void(ThreadOutput)>;

  // `file` may be null: the thread then opens it. Nothing starts before start().
  CommitThread(CommitThreadSettings settings, LockFile lock);
  CommitThread(const CommitThread&) = delete;
  CommitThread& operator=(const CommitThread&) = delete;
  ~CommitThread();

  // Opens once on the caller's thread, so that a refusal is known at start; other faults are the thread's to retry.
  [[nodiscard]] FileResult<void> open_first();
  void start(Emit emit);

  void submit(Generation generation, stream::TransactionId id, stream::Transaction transaction);
  void read(stream::Position from, stream::ReadLimits limits, stream::StreamReader::Done done);
  // Finishes the submitted transaction, answers the waiting reads, closes the file; then Closed.
  void close();

  [[nodiscard]] stream::Status status() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Submitted {
    Generation generation;
    stream::TransactionId id;
    stream::Transaction transaction;
  };
  struct Asked {
    stream::Position from;
    stream::ReadLimits limits;
    stream::StreamReader::Done done;
  };

  void run();
  void step(std::unique_lock<std::mutex>& guard);
  void open_file();
  void commit(const Submitted& submitted);
  void answer(Asked asked);
  void refuse_reads(std::unique_lock<std::mutex>& guard);
  void after_commit();
  void unblock();
  void lose(const StreamFileError& error);
  void note_failure(const std::string& text);
  void note_usage();
  void finish();
  [[nodiscard]] bool anything_due() const;
  [[nodiscard]] std::optional<Clock::time_point> wakeup_at() const;

  const CommitThreadSettings settings_;
  LockFile lock_;
  Emit emit_;

  // The thread's own.
  std::unique_ptr<StreamFile> file_;
  bool owned_ = false;
  bool blocked_ = false;
  Generation generation_;
  std::chrono::milliseconds retry_;
  Clock::time_point retry_at_;
  Clock::time_point unblock_at_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::optional<Submitted> submitted_;
  std::deque<Asked> asked_;
  bool read_turn_ = false;  // a transaction has just run: one read may go before the next
  bool closing_ = false;
  bool stopping_ = false;
  stream::Status status_;

  std::thread thread_;
};

}  // namespace sqlite
