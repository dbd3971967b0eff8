#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "tests/support/stream/faulty_vfs.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/stream/test_loop.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace test;
constexpr stream::Partition kPartition{0};

struct Rig {
  support::TempFolder folder;
  TestLoop loop;
  RecordingOwner owner;
  std::string path = folder.file("stream.db");
  std::unique_ptr<sqlite::SqliteStream> stream;

  void start(sqlite::StreamFileLimits limits = {}) {
    auto started = try_start(limits);
    REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error()));
    stream = std::move(*started);
    stream->open(owner);
    REQUIRE(loop.run_until([this] { return owner.owned; }));
  }
  auto try_start(sqlite::StreamFileLimits limits = {})
      -> std::expected<std::unique_ptr<sqlite::SqliteStream>, std::string> {
    return sqlite::SqliteStream::start({.path = path,
                                        .limits = limits,
                                        .retry_min = std::chrono::milliseconds(1),
                                        .retry_max = std::chrono::milliseconds(20)},
                                       loop.post());
  }
  // Waits for the thread while the loop hears nothing.
  static bool wait_without_loop(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + TestLoop::kDeadline;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return condition();
  }
  void begin(stream::Transaction transaction) {
    REQUIRE(stream->may_begin(kPartition));
    stream->begin(kPartition, stream::TransactionId(owner.committed.size() + 1), std::move(transaction));
  }
};

}  // namespace

TEST_CASE("sqlite stream: a second bridge on the same file is refused, and told why") {
  Rig rig;
  rig.start();
  const auto second = rig.try_start();
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().find("another bridge") != std::string::npos);
  const std::string real = rig.path;
  rig.path = rig.folder.file("link.db");
  std::filesystem::create_symlink(real, rig.path);
  CHECK_FALSE(rig.try_start().has_value());
  rig.path = real;
  rig.stream.reset();
  CHECK(rig.try_start().has_value());
}

TEST_CASE("sqlite stream: a folder that is not there is named") {
  Rig rig;
  rig.path = rig.folder.file("nowhere/stream.db");
  const auto started = rig.try_start();
  REQUIRE_FALSE(started.has_value());
  CHECK(started.error().find("nowhere") != std::string::npos);
}

TEST_CASE("sqlite stream: a foreign writer takes it down, and it comes back by itself") {
  Rig rig;
  rig.start();
  ForeignConnection writer(rig.path, true);
  REQUIRE(writer.execute("BEGIN IMMEDIATE") == 0);
  rig.begin(transaction("shop-1", 1, 1, 2));
  REQUIRE(rig.loop.run_until([&] { return !rig.owner.losses.empty(); }));
  CHECK_FALSE(rig.stream->may_begin(kPartition));
  CHECK_FALSE(rig.stream->status().up);
  CHECK_FALSE(rig.stream->status().last_error.empty());
  std::optional<stream::ReadError> refused;
  rig.stream->read(stream::place_at(stream::Position(0)), {},
                   [&refused](const auto& page) { refused = page.error().error; });
  REQUIRE(rig.loop.run_until([&] { return refused.has_value(); }));
  CHECK(refused == stream::ReadError::down);
  CHECK(rig.owner.times_owned == 1);

  REQUIRE(writer.execute("ROLLBACK") == 0);
  REQUIRE(rig.loop.run_until([&] { return rig.owner.owned; }));
  CHECK(rig.owner.progress_found.empty());
  rig.begin(transaction("shop-1", 1, 1, 2));
  REQUIRE(rig.loop.run_until([&] { return rig.owner.committed.size() == 1; }));
  CHECK(rig.stream->status().losses_total == 1);
  CHECK(rig.stream->status().up);
}

TEST_CASE("sqlite stream: starts on a full disk, and works once there is room") {
  Rig rig;
  disk_faults().disk_full = true;
  auto started = rig.try_start();
  REQUIRE(started.has_value());
  rig.stream = std::move(*started);
  rig.stream->open(rig.owner);
  CHECK_FALSE(rig.stream->status().up);
  CHECK_FALSE(rig.stream->status().last_error.empty());
  disk_faults().disk_full = false;
  REQUIRE(rig.loop.run_until([&] { return rig.owner.owned; }));
  CHECK(rig.owner.losses.empty());
}

TEST_CASE("sqlite stream: a transaction made for an earlier ownership is never written") {
  Rig rig;
  rig.start();
  disk_faults().fail_next_log_write = true;
  rig.begin(transaction("shop-1", 1, 1, 1));
  // The thread loses the file and opens it anew while the loop hears nothing of it.
  REQUIRE(rig.loop.run_until(
      [&] { return rig.owner.owned && rig.owner.losses.size() == 1 && rig.owner.times_owned == 2; }));
  disk_faults().fail_next_log_write = true;
  rig.begin(transaction("shop-1", 1, 1, 1));
  REQUIRE(rig.wait_without_loop([&] { return rig.stream->status().losses_total == 2; }));
  REQUIRE(rig.wait_without_loop([&] { return rig.stream->status().up; }));
  CHECK(rig.owner.times_owned == 2);
  CHECK_FALSE(rig.stream->may_begin(kPartition));
  REQUIRE(rig.loop.run_until([&] { return rig.owner.times_owned == 3; }));
  CHECK(rig.owner.committed.empty());
  rig.begin(transaction("shop-1", 1, 1, 1));
  REQUIRE(rig.loop.run_until([&] { return rig.owner.committed.size() == 1; }));
  CHECK(committed_view(rig.path).records.size() == 1);
}

TEST_CASE("sqlite stream: status shows sizes, limits and a reader that blocks") {
  Rig rig;
  rig.start({.bytes_max = 1 << 30, .wal_bytes_max = 300 * 1024});
  CHECK(rig.stream->status().bytes_max == 1 << 30);
  CHECK(rig.stream->status().wal_bytes_max == 300 * 1024);
  rig.begin(transaction("shop-1", 1, 1, 10));
  REQUIRE(rig.loop.run_until([&] { return rig.owner.committed.size() == 1; }));
  CHECK(rig.stream->status().bytes > 0);
  CHECK(rig.stream->status().last_position == stream::Position(10));
  std::optional<ForeignConnection> reader;
  reader.emplace(rig.path).hold_snapshot();
  rig.begin(transaction("shop-1", 1, 11, 600));
  REQUIRE(rig.loop.run_until([&] { return rig.owner.committed.size() == 2; }));
  CHECK(rig.stream->status().blocked == "reader_holds_snapshot");
  CHECK(rig.stream->status().wal_bytes >= rig.stream->status().wal_bytes_max);
  reader.reset();
  REQUIRE(rig.loop.run_until([&] { return rig.owner.times_ready == 1; }));
  CHECK(rig.stream->status().wal_bytes == 0);
}

TEST_CASE("sqlite stream: more reads than may wait are refused") {
  Rig rig;
  rig.start();
  int served = 0;
  int busy = 0;
  for (std::size_t i = 0; i < sqlite::kWaitingReadsMax + 5; ++i) {
    rig.stream->read(stream::place_at(stream::Position(0)), {}, [&](const auto& page) { ++(page ? served : busy); });
  }
  REQUIRE(rig.loop.run_until([&] { return served + busy == sqlite::kWaitingReadsMax + 5; }));
  CHECK(busy == 5);
}
