// DamagedFile: what can still be read of a journal that was set aside. Through SQLite as far as its b-tree goes, around
// what it cannot follow by seeking beyond it, and the rest page by page. The first page is never its own, and a damaged
// header of the log is made anew: see first_page.hpp, log_verdict.hpp.
//
// Where the rows ended, by these rules:
//   (1) A row's number is believed only with a CRC that fits. A row without one counts as one, in its place: the next
//   after the row before it, whatever number it bears. Rows are numbered without gaps.
//   (2) So does one row that cannot be read at all.
//   (3) What the catalog says was trimmed, acked or sent was there.
//   (4) Nobody knows the end when the log is damaged, when the tree's end cannot be reached, or when the last way to it
//   led past more than one row, or back to rows that were seen before, and to no believed row behind them.
#pragma once

#include <filesystem>
#include <string>

#include "firmware-gateway/adapters/sqlite/database.hpp"
#include "firmware-gateway/adapters/sqlite/first_page.hpp"
#include "firmware-gateway/adapters/sqlite/page_carver.hpp"
#include "firmware-gateway/journal/salvage_plan.hpp"

namespace sqlite {

class DamagedFile {
 public:
  DamagedFile(std::filesystem::path path, std::string vfs);

  // Looks at the whole file once.
  [[nodiscard]] journal::Readable examine();
  // A row that examine() found.
  [[nodiscard]] std::optional<FoundRow> row(journal::Row row);

 private:
  // Adds rows from `from` on until one cannot be reached. SQLITE_DONE: to the end.
  [[nodiscard]] int scan(journal::Row from);
  [[nodiscard]] bool reaches(journal::Row from);
  // Where the next readable row can be sought from, after scan() failed at `failed`; none: there is nothing beyond.
  [[nodiscard]] std::optional<journal::Row> beyond(journal::Row failed);
  void follow_tree();
  void carve();
  [[nodiscard]] std::vector<journal::Row> look_at_pages();
  void add(journal::Row row);
  [[nodiscard]] bool has(journal::Row row) const;

  std::filesystem::path path_;
  std::string vfs_;
  std::optional<FirstPageLayer> layer_;
  Database database_;
  Statement scan_;
  Statement point_;
  std::optional<PageCarver> carver_;
  std::vector<journal::RowRange> rows_;
  journal::Row base_;          // of the catalog: no row up to here
  journal::Row last_seen_;     // by its place, whether readable or not
  std::uint64_t unsound_ = 0;  // rows seen whose CRC does not fit
  bool astray_ = false;        // since the last row that is believed: rule (4)
  bool carved_ = false;
  std::optional<journal::Row> end_;
  std::optional<journal::Row> first_seen_;  // by the tree, which had shown no damage before it
  bool holes_ = false;
};

}  // namespace sqlite
