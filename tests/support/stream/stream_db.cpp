#include "tests/support/stream/stream_db.hpp"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <memory>

namespace test {
namespace {

std::string column(sqlite3_stmt* row, int index) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, index));
  return bytes == nullptr ? std::string()
                          : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(row, index)));
}

base::UtcTime parse_at(const std::string& at) {
  return at == "2027-01-15T08:00:00.000Z" ? base::UtcTime(std::chrono::milliseconds(1'800'000'000'000))
                                          : base::UtcTime();
}

}  // namespace

ForeignConnection::ForeignConnection(const std::string& path, bool writable) {
  const std::string uri = "file:" + path + (writable ? "" : "?mode=ro");
  const int access = writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  REQUIRE(sqlite3_open_v2(uri.c_str(), &handle_, access | SQLITE_OPEN_URI, nullptr) == SQLITE_OK);
  sqlite3_busy_timeout(handle_, 5000);
}

ForeignConnection::~ForeignConnection() { sqlite3_close_v2(handle_); }

int ForeignConnection::execute(const std::string& sql) {
  return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
}

void ForeignConnection::query(const std::string& sql, const std::function<void(const std::vector<std::string>&)>& row) {
  sqlite3_stmt* statement = nullptr;
  const int prepared = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(statement, sqlite3_finalize);
  REQUIRE_MESSAGE(prepared == SQLITE_OK, sqlite3_errmsg(handle_));
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    std::vector<std::string> columns;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) columns.push_back(column(statement, i));
    row(columns);
  }
  REQUIRE_MESSAGE(code == SQLITE_DONE, sqlite3_errmsg(handle_));
}

std::string ForeignConnection::text(const std::string& sql) {
  std::string found;
  query(sql, [&found](const auto& columns) { found = columns[0]; });
  return found;
}

void ForeignConnection::hold_snapshot() {
  REQUIRE(execute("BEGIN") == SQLITE_OK);
  REQUIRE(execute("SELECT count(*) FROM events") == SQLITE_OK);
}

void ForeignConnection::release() { REQUIRE(execute("ROLLBACK") == SQLITE_OK); }

CommittedView committed_view(const std::string& path) {
  ForeignConnection reader(path);
  CommittedView view;
  reader.query(
      "SELECT event_id, gateway_id, epoch, seq, key, type, occurred_at, received_at, published_at, value FROM events "
      "ORDER BY position",
      [&view](const auto& c) {
        stream::Record record{.event_id = c[0],
                              .gateway_id = c[1],
                              .epoch = c[2],
                              .seq = {},
                              .key = c[4],
                              .type = c[5],
                              .occurred_at = c[6],
                              .received_at = c[7],
                              .published_at = c[8],
                              .value = c[9]};
        if (!c[3].empty()) record.seq = std::stoull(c[3]);
        view.records.push_back(std::move(record));
      });
  reader.query(
      "SELECT gateway_id, topic, reason, detail, epoch, digest, at, size, payload, payload IS NULL FROM dead_letters",
      [&view](const auto& c) {
        stream::DeadLetter letter{.gateway_id = c[0],
                                  .topic = c[1],
                                  .reason = c[2],
                                  .detail = c[3],
                                  .epoch = c[4],
                                  .digest = c[5],
                                  .at = parse_at(c[6]),
                                  .size = std::stoull(c[7]),
                                  .payload = {}};
        if (c[9] == "0") letter.payload = c[8];
        view.dead_letters.push_back(std::move(letter));
      });
  reader.query("SELECT gateway_id, value FROM gateways", [&view](const auto& c) { view.gateways[c[0]] = c[1]; });
  return view;
}

}  // namespace test
