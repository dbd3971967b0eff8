// A journal's file, damaged in any way: reading what is left of it ends, and what it gives for a row is that row's
// record as it was written, or nothing.
//
// The input is a list of damages: two bytes that say how many 16-byte steps into the file, one that says how many bytes
// follow, those bytes (they replace the file's). A damage of 0 bytes cuts the file there.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "firmware-gateway/adapters/sqlite/damaged_file.hpp"
#include "firmware-gateway/adapters/sqlite/journal_file.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using journal::Row;

constexpr std::uint64_t kRows = 60;
constexpr std::size_t kStep = 16;
constexpr int kPage = 512;

// Some rows overflow their page.
base::Bytes record_of(std::uint64_t row) {
  return "record " + std::to_string(row) + std::string(row % 7 == 0 ? 900 : 20, static_cast<char>('a' + row % 26));
}
std::uint64_t key_hash_of(std::uint64_t row) { return row * 0x9e3779b97f4a7c15ULL; }

int fill(sqlite::Database& database) {
  sqlite::Statement insert(database, sqlite::kInsertRowSql);
  for (std::uint64_t row = 1; row <= kRows; ++row) {
    const base::Bytes record = record_of(row);
    insert.bind(1, row)
        .bind(2, key_hash_of(row))
        .bind(3, std::uint64_t{journal::row_crc(row, key_hash_of(row), record)});
    const int status = insert.bind(4, record).step();
    if (status != SQLITE_DONE) return status;
    insert.reset();
  }
  return SQLITE_OK;
}

class Original {
 public:
  Original() {
    const auto catalog = journal::new_catalog("shop", {}, {.bytes = {1}}, platform::hasher());
    ASSERT(sqlite::make_journal(path(), "", catalog, fill, kPage).has_value());
    std::ifstream file(path(), std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT(bytes_.size() > 16 * kPage);
  }

  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "journal.db"; }
  [[nodiscard]] const base::Bytes& bytes() const { return bytes_; }

 private:
  support::TempFolder folder_;
  base::Bytes bytes_;
};

base::Bytes damaged(base::Bytes file, base::BytesView script) {
  while (script.size() >= 3) {
    const auto steps =
        static_cast<std::size_t>(static_cast<std::uint8_t>(script[0])) * 256 + static_cast<std::uint8_t>(script[1]);
    const std::size_t count = std::min<std::size_t>(static_cast<std::uint8_t>(script[2]), script.size() - 3);
    const std::size_t at = steps * kStep % (file.size() + 1);
    if (count == 0) file.resize(at);
    const std::size_t fits = std::min(count, file.size() - std::min(at, file.size()));
    std::copy_n(script.begin() + 3, fits, file.begin() + static_cast<std::ptrdiff_t>(at));
    script.remove_prefix(3 + count);
  }
  return file;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Original original;
  if (size > 4096) return 0;
  std::ofstream(original.path(), std::ios::binary | std::ios::trunc)
      << damaged(original.bytes(), {size == 0 ? "" : reinterpret_cast<const char*>(data), size});
  sqlite::DamagedFile file(original.path(), "");
  const journal::Readable readable = file.examine();
  Row before(0);
  for (const auto& range : readable.rows) {
    ASSERT(range.first > before && range.last >= range.first);
    before = range.last.next();
    for (Row row = range.first; row <= range.last; ++row) {
      const auto found = file.row(row);
      ASSERT(row.value() <= kRows);
      ASSERT(!found || (found->record == record_of(row.value()) && found->key_hash == key_hash_of(row.value())));
    }
  }
  if (size == 0) ASSERT(readable.rows.size() == 1 && readable.rows[0].last == Row(kRows) && readable.end == Row(kRows));
  const journal::SalvageIds ids{{.bytes = {1}}, {.bytes = {2}}, {.bytes = {3}}, {}};
  const auto plan = journal::plan_salvage(readable, "shop", ids, "set-aside", base::UtcTime{}, platform::hasher());
  ASSERT(plan.catalog.whole());
  return 0;
}
