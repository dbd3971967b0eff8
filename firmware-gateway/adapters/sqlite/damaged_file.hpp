// DamagedFile: what can still be read of a journal that was set aside. Through SQLite as far as its b-tree goes, around
// what it cannot follow by seeking beyond it, and the rest page by page. The first page is never its own: see
// first_page.hpp.
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
  void carve(const journal::Catalog& catalog);
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
  journal::Row last_seen_;  // by number, whether readable or not
  std::optional<journal::Row> end_;
  std::optional<journal::Row> first_seen_;  // by the tree, which had shown no damage before it
  bool holes_ = false;
};

}  // namespace sqlite
