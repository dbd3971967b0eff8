#include <doctest/doctest.h>

#include <optional>

#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"
#include "tests/contract/stream/stream_rig.hpp"
#include "tests/support/stream/faulty_vfs.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/temp_folder.hpp"

namespace test {
namespace {

class SqliteRig final : public EmbeddedRig {
 public:
  SqliteRig() { static_cast<void>(disk_faults()); }

  Started start(stream::Post post) override {
    auto made = sqlite::SqliteStream::start({.path = path_,
                                             .limits = {.wal_bytes_max = 1 << 20},
                                             .retry_min = std::chrono::milliseconds(1),
                                             .retry_max = std::chrono::milliseconds(5)},
                                            std::move(post));
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
    stream::StreamReader* reader = made->get();
    return {std::move(*made), reader};
  }

  CommittedView committed() override { return committed_view(path_); }

  void fail_next_commit(Fault fault) override {
    (fault == Fault::certain_failure ? disk_faults().fail_next_log_write : disk_faults().fail_next_log_sync) = true;
  }

  void block() override { reader_.emplace(path_).hold_snapshot(); }
  void unblock() override { reader_.reset(); }

 private:
  support::TempFolder folder_;
  std::string path_ = folder_.file("stream.db");
  std::optional<ForeignConnection> reader_;
};

}  // namespace

std::unique_ptr<EmbeddedRig> make_embedded_rig() { return std::make_unique<SqliteRig>(); }
std::unique_ptr<StreamRig> make_rig() { return std::make_unique<SqliteRig>(); }
std::unique_ptr<StreamRig> make_spread_rig() { return std::make_unique<SqliteRig>(); }

}  // namespace test
