#include "firmware-gateway/adapters/sqlite/page_carver.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "firmware-gateway/adapters/sqlite/journal_file.hpp"
#include "firmware-gateway/journal/crc32c.hpp"

namespace sqlite {

using journal::Row;

namespace {

constexpr std::uint64_t kWalHeaderBytes = 32;
constexpr std::uint64_t kFrameHeaderBytes = 24;
constexpr std::uint64_t kFileHeaderBytes = 100;
constexpr base::BytesView kMagic("SQLite format 3\0", 16);
constexpr char kTableLeaf = 0x0D;
// No record is larger (16 KiB an event, with room to spare): a payload that claims more is no row.
constexpr std::uint64_t kPayloadMax = 1U << 20U;

std::uint64_t big_endian(base::BytesView bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8U) | static_cast<std::uint8_t>(c);
  return value;
}

// Reads SQLite's varints and fields; once beyond the end, everything is zero and bad() is true.
class Reader {
 public:
  Reader(base::BytesView bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int i = 0; i < 9; ++i) {
      const auto byte = static_cast<std::uint8_t>(big_endian(take(1)));
      if (i == 8) return (value << 8U) | byte;
      value = (value << 7U) | (byte & 0x7FU);
      if ((byte & 0x80U) == 0) return value;
    }
    return value;
  }
  base::BytesView take(std::uint64_t count) {
    if (at_ > bytes_.size() || count > bytes_.size() - at_) {
      bad_ = true;
      return {};
    }
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool bad() const { return bad_; }

 private:
  base::BytesView bytes_;
  std::size_t at_;
  bool bad_ = false;
};

std::uint64_t integer_bytes(std::uint64_t serial_type) {
  static constexpr std::uint64_t kBytes[] = {0, 1, 2, 3, 4, 6, 8};
  return serial_type <= 6 ? kBytes[serial_type] : 0;
}

// Sign-extended, as SQLite stores integers in as few bytes as they need.
std::uint64_t integer(Reader& reader, std::uint64_t serial_type) {
  if (serial_type == 9) return 1;
  const std::uint64_t count = integer_bytes(serial_type);
  if (count == 0) return 0;
  const std::uint64_t value = big_endian(reader.take(count));
  const auto shift = static_cast<unsigned>(64 - 8 * count);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}

bool page_size_is_valid(std::uint64_t bytes) { return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0; }

std::uint64_t size_of(int fd) {
  struct stat file{};
  return fd >= 0 && ::fstat(fd, &file) == 0 ? static_cast<std::uint64_t>(file.st_size) : 0;
}

bool read_at(int fd, std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
  bytes.resize(count);
  return fd >= 0 && ::pread(fd, bytes.data(), count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
}

}  // namespace

PageCarver::PageCarver(const std::filesystem::path& database)
    : database_(::open(database.c_str(), O_RDONLY | O_CLOEXEC)),
      wal_(::open(wal_of(database).c_str(), O_RDONLY | O_CLOEXEC)),
      database_bytes_(size_of(database_)),
      wal_bytes_(size_of(wal_)) {
  find_page_size();
  map_wal();
}

PageCarver::~PageCarver() {
  if (database_ >= 0) ::close(database_);
  if (wal_ >= 0) ::close(wal_);
}

void PageCarver::find_page_size() {
  base::Bytes bytes;
  std::uint64_t size = 0;
  if (read_at(database_, 0, 16, bytes) && bytes == kMagic && read_at(database_, 16, 2, bytes))
    size = big_endian(bytes) == 1 ? 65536 : big_endian(bytes);
  if (!page_size_is_valid(size) && read_at(wal_, 8, 4, bytes)) size = big_endian(bytes);
  page_bytes_ = page_size_is_valid(size) ? static_cast<std::uint32_t>(size) : kPageBytes;
}

void PageCarver::map_wal() {
  base::Bytes header;
  const std::uint64_t frame_bytes = kFrameHeaderBytes + page_bytes_;
  const std::uint64_t pages_max = (database_bytes_ + wal_bytes_) / page_bytes_ + 1;
  wal_frame_of_.assign(pages_max + 1, 0);
  for (std::uint64_t at = kWalHeaderBytes; at + frame_bytes <= wal_bytes_; at += frame_bytes) {
    if (!read_at(wal_, at, 4, header)) continue;
    const std::uint64_t number = big_endian(header);
    if (number < wal_frame_of_.size()) wal_frame_of_[number] = at + kFrameHeaderBytes;
  }
}

std::vector<Row> PageCarver::carve(const std::function<bool(Row)>& wanted) {
  const std::uint64_t frame_bytes = kFrameHeaderBytes + page_bytes_;
  for (std::uint64_t at = kWalHeaderBytes; at + frame_bytes <= wal_bytes_; at += frame_bytes) {
    carve_page(true, at + kFrameHeaderBytes, wanted);
  }
  for (std::uint64_t at = 0; at + page_bytes_ <= database_bytes_; at += page_bytes_) carve_page(false, at, wanted);
  // Of one row the first that was found: the WAL's, from its beginning.
  const auto rank = [](const Place& place) {
    return std::tuple(place.row, !place.in_wal, place.page_offset, place.cell_offset);
  };
  std::sort(places_.begin(), places_.end(), [&rank](const Place& a, const Place& b) { return rank(a) < rank(b); });
  const auto same_row = [](const Place& a, const Place& b) { return a.row == b.row; };
  places_.erase(std::unique(places_.begin(), places_.end(), same_row), places_.end());
  std::vector<Row> rows;
  rows.reserve(places_.size());
  for (const Place& place : places_) rows.push_back(place.row);
  return rows;
}

void PageCarver::carve_page(bool in_wal, std::uint64_t offset, const std::function<bool(Row)>& wanted) {
  base::Bytes page;
  if (!load(in_wal, offset, page)) return;
  const std::size_t header = !in_wal && offset == 0 ? kFileHeaderBytes : 0;
  if (page[header] != kTableLeaf) return;
  const std::uint64_t cells = big_endian(base::BytesView(page).substr(header + 3, 2));
  for (std::uint64_t i = 0; i < (page_bytes_ - header - 8) / 2; ++i) {
    const auto at = static_cast<std::uint32_t>(big_endian(base::BytesView(page).substr(header + 8 + 2 * i, 2)));
    const auto found = cell(page, at);
    // The count may be damaged: as long as rows are found behind it, they are rows.
    if (!found && i >= cells) break;
    if (found && wanted(found->row)) places_.push_back({found->row, in_wal, offset, at});
  }
}

std::optional<FoundRow> PageCarver::row(Row row) {
  const auto place = std::lower_bound(places_.begin(), places_.end(), row,
                                      [](const Place& at, Row number) { return at.row < number; });
  if (place == places_.end() || place->row != row) return std::nullopt;
  base::Bytes page;
  if (!load(place->in_wal, place->page_offset, page)) return std::nullopt;
  auto found = cell(page, place->cell_offset);
  if (!found || found->row != row) return std::nullopt;
  return std::move(found->found);
}

bool PageCarver::load(bool in_wal, std::uint64_t offset, base::Bytes& page) const {
  return read_at(in_wal ? wal_ : database_, offset, page_bytes_, page);
}

// A cell of rows: payload size, row number, then a record of NULL (the row number's place), key hash, CRC and blob.
std::optional<PageCarver::Cell> PageCarver::cell(const base::Bytes& page, std::size_t offset) const {
  Reader reader(page, offset);
  const std::uint64_t size = reader.varint();
  const Row row(reader.varint());
  if (reader.bad() || size < 5 || size > kPayloadMax) return std::nullopt;
  const auto bytes = payload(page, reader.at(), size);
  if (!bytes) return std::nullopt;
  Reader fields(*bytes, 0);
  const std::uint64_t header_bytes = fields.varint();
  if (fields.varint() != 0) return std::nullopt;
  const std::uint64_t hash_type = fields.varint();
  const std::uint64_t crc_type = fields.varint();
  const std::uint64_t record_type = fields.varint();
  if (fields.bad() || fields.at() != header_bytes || record_type < 12 || record_type % 2 != 0) return std::nullopt;
  Cell cell{row, {integer(fields, hash_type), {}}};
  const std::uint64_t crc = integer(fields, crc_type);
  cell.found.record = base::Bytes(fields.take((record_type - 12) / 2));
  if (fields.bad()) return std::nullopt;
  if (journal::row_crc(row.value(), cell.found.key_hash, cell.found.record) != crc) return std::nullopt;
  return cell;
}

// Follows the overflow pages (section 1.6); how much stays on the leaf is the format's own arithmetic.
std::optional<base::Bytes> PageCarver::payload(const base::Bytes& page, std::size_t at, std::uint64_t size) const {
  const std::uint64_t usable = page_bytes_;
  const std::uint64_t local_max = usable - 35;
  if (size <= local_max) {
    if (at + size > page.size()) return std::nullopt;
    return page.substr(at, size);
  }
  const std::uint64_t local_min = (usable - 12) * 32 / 255 - 23;
  const std::uint64_t spilled = local_min + (size - local_min) % (usable - 4);
  const std::uint64_t local = spilled <= local_max ? spilled : local_min;
  if (at + local + 4 > page.size()) return std::nullopt;
  base::Bytes bytes = page.substr(at, local);
  auto next = static_cast<std::uint32_t>(big_endian(base::BytesView(page).substr(at + local, 4)));
  base::Bytes overflow;
  while (bytes.size() < size) {
    if (next == 0 || !load_numbered(next, overflow)) return std::nullopt;
    next = static_cast<std::uint32_t>(big_endian(base::BytesView(overflow).substr(0, 4)));
    bytes.append(overflow, 4, std::min<std::uint64_t>(usable - 4, size - bytes.size()));
  }
  return bytes;
}

bool PageCarver::load_numbered(std::uint32_t number, base::Bytes& page) const {
  if (number < wal_frame_of_.size() && wal_frame_of_[number] != 0) return load(true, wal_frame_of_[number], page);
  return load(false, static_cast<std::uint64_t>(number - 1) * page_bytes_, page);
}

}  // namespace sqlite
