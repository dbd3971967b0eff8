// StreamStory: what a bridge does to the embedded stream, step by step, and what the file must hold after each step.
// Batches of several gateways with their progress, dead letters, rows of the table of gateways, a reader that holds a
// snapshot, kills and closings. A step that fails is done again after the file was opened anew, with the progress that
// is really there. (The embedded stream trims nothing: what has been said to be in it stays.)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/sqlite/lock_file.hpp"
#include "cloud-bridge/adapters/sqlite/stream_file.hpp"
#include "tests/power/books.hpp"
#include "tests/support/power/recorded_disk.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/stream/stream_db.hpp"

namespace power {

// What the stream must hold.
struct StreamBooks {
  std::vector<std::string> values;                // position 1 …
  std::map<std::string, std::uint64_t> progress;  // by gateway
  std::uint64_t dead_letters = 0;
};
using PossibleBooks = PossibleOf<StreamBooks>;
using StreamMoment = MomentOf<StreamBooks>;

// A bridge's file with its lock, opened and closed.
class Bridge {
 public:
  explicit Bridge(const std::filesystem::path& folder) : path_((folder / "stream.db").string()) {}

  [[nodiscard]] std::optional<sqlite::StreamFileError> open();
  void close();
  [[nodiscard]] sqlite::StreamFile& file() { return *file_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::optional<sqlite::LockFile> lock_;
  std::unique_ptr<sqlite::StreamFile> file_;
};

[[nodiscard]] std::string words_of(const std::optional<sqlite::StreamFileError>& error);

// How the file differs from the books; "": in nothing.
[[nodiscard]] std::string difference(sqlite::StreamFile& file, const StreamBooks& books);

// The next transaction after these books, of one gateway or several.
[[nodiscard]] stream::Transaction next_transaction(StreamBooks& books, std::size_t gateways, std::size_t events,
                                                   std::size_t extra_bytes = 0);

class StreamStory {
 public:
  StreamStory(support::RecordedDisk& disk, const std::filesystem::path& folder);

  void run(int rounds);

  [[nodiscard]] const std::vector<StreamMoment>& moments() const { return moments_; }
  // How often a step or an opening failed.
  [[nodiscard]] int failures() const { return failures_; }

 private:
  using Step = std::function<sqlite::FileResult<void>(StreamBooks& after)>;
  void round(int number);
  void do_step(const Step& step);
  void commit(std::size_t gateways, std::size_t events, std::size_t extra_bytes = 0);
  void commit_letters();
  void checkpoint();
  void restart(bool killed);
  void open_until_it_is();
  void settle_books(const PossibleBooks& possible);
  void tell(PossibleBooks books) { moments_.push_back({disk_.position(), std::move(books)}); }

  support::RecordedDisk& disk_;
  Bridge bridge_;
  std::optional<test::ForeignConnection> reader_;
  std::shared_ptr<const StreamBooks> books_ = std::make_shared<StreamBooks>();
  std::vector<StreamMoment> moments_;
  int failures_ = 0;
};

// A story from its beginning to its end, with what it did to the disk.
struct Story {
  std::vector<support::DiskOperation> operations;
  std::vector<support::DiskCall> calls;
  std::vector<StreamMoment> moments;
  std::optional<std::size_t> failed_at;
  int failures = 0;
};
// From this call on, `count` of those that may fail do.
[[nodiscard]] Story told(int rounds, std::size_t call = 0, support::DiskFault fault = support::DiskFault::none,
                         std::size_t count = 0);

}  // namespace power
