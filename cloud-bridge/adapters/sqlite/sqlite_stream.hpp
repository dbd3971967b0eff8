// SqliteStream: the embedded stream. One SQLite file, one partition, the same promise as any stream.
//
// The file's work happens on its own thread (commit_thread.hpp); this side lives on the bridge's loop thread and passes
// on what that thread says. Readers outside open the file with mode=ro while it runs.
//
// Invariants, beyond Stream's: a callback that the loop has not run yet when close() has called `done`, or when the
// stream is destroyed, does nothing.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "cloud-bridge/adapters/sqlite/commit_thread.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace sqlite {

// Reads that may wait for the thread at a time.
inline constexpr std::size_t kWaitingReadsMax = 64;

using SqliteStreamSettings = CommitThreadSettings;

class SqliteStream final : public stream::Stream, public stream::StreamReader {
 public:
  // Takes the lock and looks at the file. The error is for people: another bridge has it, a newer schema, not a stream.
  // A disk that is merely ill or full is no reason to refuse: the stream is then down until it recovers.
  static std::expected<std::unique_ptr<SqliteStream>, std::string> start(SqliteStreamSettings settings,
                                                                         stream::Post post);

  SqliteStream(const SqliteStream&) = delete;
  SqliteStream& operator=(const SqliteStream&) = delete;
  ~SqliteStream() override;

  void open(stream::Owner& owner) override;
  [[nodiscard]] std::uint32_t partitions() const override { return 1; }
  [[nodiscard]] bool may_begin(stream::Partition partition) const override;
  void begin(stream::Partition partition, stream::TransactionId id, stream::Transaction transaction) override;
  [[nodiscard]] stream::Status status() const override { return thread_->status(); }
  void close(std::function<void()> done) override;

  [[nodiscard]] base::Result<stream::Place, std::string> parse(std::string_view text,
                                                               stream::Bound bound) const override;
  void find_end(std::size_t back, Placed done) override;
  void read(stream::Place from, stream::ReadLimits limits, Done done) override;
  void watch(std::function<void()> changed) override;

 private:
  struct LoopSide;

  SqliteStream(std::unique_ptr<CommitThread> thread, stream::Post post);

  stream::Post post_;
  std::shared_ptr<LoopSide> loop_;  // touched on the loop's thread only; tasks under way hold it weakly
  std::unique_ptr<CommitThread> thread_;
};

}  // namespace sqlite
