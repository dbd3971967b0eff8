#include "firmware-gateway/adapters/sqlite/inspection.hpp"

#include <fmt/format.h>

#include "firmware-gateway/adapters/sqlite/log_file.hpp"
#include "firmware-gateway/adapters/sqlite/salvage.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "firmware-gateway/journal/identity.hpp"

namespace sqlite {
namespace {

constexpr const char* kAllRowsSql = "SELECT row, key_hash, crc, record FROM rows ORDER BY row";

void note(VerifyReport& report, std::string problem) {
  if (report.problems.size() < kProblemsMax) report.problems.push_back(std::move(problem));
  ++report.problems_total;
}

// The lock and a read-only look at the journal.
struct Look {
  StateFolder folder;
  LogDamage log;
  Database database;
};

base::Result<Look, OpenError> look_at(const std::filesystem::path& state_dir) {
  if (!std::filesystem::exists(state_dir / "journal.db")) {
    return base::fail(OpenError{OpenFault::storage, (state_dir / "journal.db").string() + ": no such file"});
  }
  auto folder = StateFolder::open(state_dir);
  if (!folder) return base::fail(folder.error());
  LogDamage log = judge_log_file(wal_of(folder->journal()));
  Look look{std::move(*folder), std::move(log), {}};
  const int status = open_untouched(look.database, look.folder.journal(), "");
  if (status != SQLITE_OK) return base::fail(open_error(status, look.database, look.folder.journal().string()));
  if (auto refused = is_newer(look.database, look.folder.journal())) return base::fail(std::move(*refused));
  return look;
}

// The integrity check looks at neither.
void check_header(const Database& database, VerifyReport& report) {
  if (sqlite3_db_readonly(database.handle(), "main") == 1) note(report, "the header says that it is of a newer SQLite");
  if (!free_pages_possible(database)) note(report, "the header counts more free pages than there are");
}

void check_tree(const Database& database, VerifyReport& report) {
  Statement check(database, "PRAGMA integrity_check(100)");
  int status = check.step();
  for (; status == SQLITE_ROW; status = check.step()) {
    if (check.text(0) != "ok") note(report, check.text(0));
  }
  if (status != SQLITE_DONE) note(report, fmt::format("integrity check: {}", sqlite3_errstr(status)));
}

journal::Catalog check_catalog(const Database& database, VerifyReport& report) {
  bool sound = false;
  journal::Catalog catalog = read_catalog(database, &sound);
  if (!sound) note(report, "the catalog (marks, epochs, runs) is damaged");
  report.gateway_id = catalog.gateway_id.value_or("");
  if (catalog.acked) report.acked = catalog.acked->row;
  return catalog;
}

void check_rows(const Database& database, const journal::Catalog& catalog, VerifyReport& report) {
  report.oldest = catalog.base ? catalog.base->row.next() : journal::Row(1);
  report.next = report.oldest;
  Statement all(database, kAllRowsSql);
  int status = all.step();
  for (; status == SQLITE_ROW; status = all.step()) {
    const journal::Row row(all.number(0));
    if (row > report.next) note(report, fmt::format("rows {} to {} are missing", report.next.value(), row.value() - 1));
    if (journal::row_crc(row.value(), all.number(1), all.bytes(3)) != all.number(2)) {
      note(report, crc_differs(row));
    }
    ++report.rows;
    report.next = row.next();
  }
  if (status != SQLITE_DONE) {
    note(report, fmt::format("rows from {} on cannot be read: {}", report.next.value(), sqlite3_errstr(status)));
  }
}

}  // namespace

base::Result<VerifyReport, OpenError> verify(const std::filesystem::path& state_dir, std::string_view gateway_id) {
  auto look = look_at(state_dir);
  if (!look) return base::fail(look.error());
  VerifyReport report;
  if (!look->log.empty()) note(report, "the log: " + look->log);
  check_tree(look->database, report);
  check_header(look->database, report);
  const journal::Catalog catalog = check_catalog(look->database, report);
  if (catalog.gateway_id && *catalog.gateway_id != gateway_id)
    note(report, fmt::format("the journal of gateway '{}', not of '{}'", *catalog.gateway_id, gateway_id));
  check_rows(look->database, catalog, report);
  return report;
}

base::Result<Salvaged, OpenError> salvage(const std::filesystem::path& state_dir, const JournalSettings& settings,
                                          const JournalNeeds& needs, base::UtcTime now) {
  auto folder = StateFolder::open(state_dir);
  if (!folder) return base::fail(folder.error());
  if (!std::filesystem::exists(folder->journal())) {
    return base::fail(OpenError{OpenFault::storage, folder->journal().string() + ": no such file"});
  }
  Database database;
  if (open_untouched(database, folder->journal(), settings.vfs) == SQLITE_OK) {
    if (auto refused = is_newer(database, folder->journal())) return base::fail(std::move(*refused));
  }
  database.close();
  return salvage_journal(*folder, settings, needs, now, "asked for by the operator");
}

base::Result<std::uint64_t, OpenError> export_rows(const std::filesystem::path& state_dir,
                                                   const std::function<void(const ExportedRow&)>& sink) {
  auto look = look_at(state_dir);
  if (!look) return base::fail(look.error());
  bool sound = false;
  const journal::Catalog catalog = read_catalog(look->database, &sound);
  const journal::Row acked = catalog.acked ? catalog.acked->row : journal::Row(0);
  Statement all(look->database, kAllRowsSql);
  std::uint64_t rows = 0;
  int status = all.step();
  for (; status == SQLITE_ROW; status = all.step()) {
    const journal::Row row(all.number(0));
    if (journal::row_crc(row.value(), all.number(1), all.bytes(3)) != all.number(2)) {
      return base::fail(OpenError{OpenFault::damaged, crc_differs(row)});
    }
    const auto place = journal::answered_place(catalog.answered, row).value_or(journal::AnsweredPlace{});
    sink({row, place.epoch, place.seq, row <= acked, all.bytes(3)});
    ++rows;
  }
  if (status != SQLITE_DONE) return base::fail(open_error(status, look->database, "reading rows"));
  if (!look->log.empty()) {
    return base::fail(OpenError{OpenFault::damaged, fmt::format("not every row: the log: {}", look->log)});
  }
  return rows;
}

}  // namespace sqlite
