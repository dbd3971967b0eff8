// The embedded stream's file as an outsider opens it.
#pragma once

#include <functional>
#include <string>

#include "tests/contract/stream/stream_rig.hpp"

struct sqlite3;

namespace test {

// Another program's connection.
class ForeignConnection {
 public:
  explicit ForeignConnection(const std::string& path, bool writable = false);
  ForeignConnection(const ForeignConnection&) = delete;
  ForeignConnection& operator=(const ForeignConnection&) = delete;
  ~ForeignConnection();

  // The code that SQLite answered.
  int execute(const std::string& sql);
  // Calls `row` with each row's columns as text.
  void query(const std::string& sql, const std::function<void(const std::vector<std::string>& columns)>& row);
  [[nodiscard]] std::string text(const std::string& sql);
  // Opens a transaction and reads, so that the snapshot stays until release().
  void hold_snapshot();
  void release();

 private:
  sqlite3* handle_ = nullptr;
};

[[nodiscard]] CommittedView committed_view(const std::string& path);

}  // namespace test
