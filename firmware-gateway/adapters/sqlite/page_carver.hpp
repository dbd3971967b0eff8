// PageCarver: rows out of a database whose b-tree cannot be followed any more. Looks at every page of the file and of
// its WAL for leaves of the rows table (SQLite's file format, sections 1.6 and 2.3) and believes a row only when its
// CRC fits.
//
// Only for files that were set aside: nobody has them open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "firmware-gateway/journal/journal.hpp"

namespace sqlite {

struct FoundRow {
  std::uint64_t key_hash = 0;
  base::Bytes record;
};

class PageCarver {
 public:
  // The file may be missing, and so may its WAL.
  explicit PageCarver(const std::filesystem::path& database);
  ~PageCarver();
  PageCarver(const PageCarver&) = delete;
  PageCarver& operator=(const PageCarver&) = delete;

  [[nodiscard]] std::uint32_t page_bytes() const { return page_bytes_; }

  // Numbers of the rows that `wanted` says yes to, ascending.
  [[nodiscard]] std::vector<journal::Row> carve(const std::function<bool(journal::Row)>& wanted);
  // One that carve() found.
  [[nodiscard]] std::optional<FoundRow> row(journal::Row row);

 private:
  struct Place {
    journal::Row row;
    bool in_wal = false;
    std::uint64_t page_offset = 0;
    std::uint32_t cell_offset = 0;
  };
  struct Cell {
    journal::Row row;
    FoundRow found;
  };

  void find_page_size();
  void map_wal();
  void carve_page(bool in_wal, std::uint64_t offset, const std::function<bool(journal::Row)>& wanted);
  [[nodiscard]] bool load(bool in_wal, std::uint64_t offset, base::Bytes& page) const;
  [[nodiscard]] std::optional<Cell> cell(const base::Bytes& page, std::size_t offset) const;
  [[nodiscard]] std::optional<base::Bytes> payload(const base::Bytes& page, std::size_t at, std::uint64_t size) const;
  [[nodiscard]] bool load_numbered(std::uint32_t number, base::Bytes& page) const;

  int database_ = -1;
  int wal_ = -1;
  std::uint64_t database_bytes_ = 0;
  std::uint64_t wal_bytes_ = 0;
  std::uint32_t page_bytes_ = 0;
  std::vector<std::uint64_t> wal_frame_of_;  // page number → offset of its newest frame's page, or 0
  std::vector<Place> places_;
};

}  // namespace sqlite
