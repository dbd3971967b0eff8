#include "cloud-bridge/adapters/sqlite/stream_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cloud-bridge/adapters/sqlite/schema.hpp"
#include "cloud-bridge/stream/record.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/text.hpp"

namespace sqlite {
namespace {

// Long enough for a reader that just closes, short enough to count as "stream down" otherwise.
constexpr int kBusyMs = 250;
constexpr int kShrinkWaitMs = 50;
// A log that is reused beats one that grows: its length at which it is copied back.
constexpr int kCheckpointFrames = 2000;
constexpr int kFrameHeader = 24;

std::uint64_t file_bytes(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

bool sync_folder(const std::string& path) {
  const std::string folder = std::filesystem::absolute(path).parent_path();
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool synced = ::fsync(descriptor) == 0;
  ::close(descriptor);
  return synced;
}

// Makes an empty file that its group may read. Only when there is none: closing a descriptor of a live one would drop
// SQLite's locks. SQLite gives the log and its index the same mode.
FileResult<void> create_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (descriptor < 0 && errno == EEXIST) return {};
  if (descriptor < 0) {
    const auto fault = errno == ENOSPC ? StreamFileFault::full : StreamFileFault::io;
    return base::fail(StreamFileError{fault, "cannot create " + path + ": " + std::strerror(errno)});
  }
  ::close(descriptor);
  return {};
}

StreamFileFault fault_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return StreamFileFault::busy;
    case SQLITE_FULL:
      return StreamFileFault::full;
    case SQLITE_CONSTRAINT:
      return StreamFileFault::conflict;
    case SQLITE_CORRUPT:
      return StreamFileFault::damaged;
    case SQLITE_NOTADB:
      return StreamFileFault::refused;
    default:
      return StreamFileFault::io;
  }
}

}  // namespace

FileResult<std::unique_ptr<StreamFile>> StreamFile::open(const std::string& path, const StreamFileLimits& limits) {
  if (auto created = create_file(path); !created) return base::fail(created.error());
  auto database = Database::open(path, SQLITE_OPEN_READWRITE);
  if (!database) {
    return base::fail(
        StreamFileError{fault_of(database.error().code), "cannot open " + path + ": " + database.error().text});
  }
  std::unique_ptr<StreamFile> file(new StreamFile(std::move(*database), path, limits));
  for (const auto step : {&StreamFile::check_identity, &StreamFile::set_up, &StreamFile::settle_log,
                          &StreamFile::create_tables, &StreamFile::prepare_statements, &StreamFile::count}) {
    if (auto done = (file.get()->*step)(); !done) return base::fail(done.error());
  }
  file->measure();
  return file;
}

StreamFile::StreamFile(Database database, std::string path, const StreamFileLimits& limits)
    : database_(std::move(database)), path_(std::move(path)), wal_path_(path_ + "-wal"), limits_(limits) {}

// Before anything is written: a file that is not ours stays as it is.
FileResult<void> StreamFile::check_identity() {
  // Readers without write permission need the log and its index to stay, and closing must never checkpoint a log in
  // doubt.
  int persist = 1;
  sqlite3_file_control(database_.handle(), "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  sqlite3_db_config(database_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_busy_timeout(database_.handle(), kBusyMs);
  const auto tables = database_.integer("SELECT count(*) FROM sqlite_master");
  if (auto done = check(tables); !done) return done;
  const auto application = database_.integer("PRAGMA application_id");
  if (auto done = check(application); !done) return done;
  const auto version = database_.integer("PRAGMA user_version");
  if (auto done = check(version); !done) return done;
  if (*tables > 0 && *application != kApplicationId) {
    return base::fail(StreamFileError{StreamFileFault::refused, path_ + " is an SQLite file of something else"});
  }
  if (*version > kSchemaVersion) {
    return base::fail(StreamFileError{StreamFileFault::refused, path_ + " was written by a newer version (schema " +
                                                                    std::to_string(*version) + ", this one knows " +
                                                                    std::to_string(kSchemaVersion) + ")"});
  }
  return {};
}

FileResult<void> StreamFile::set_up() {
  for (const Setting& setting : kSettings) {
    if (auto done = check(database_.execute(setting.set)); !done) return done;
    const auto value = database_.text(setting.get);
    if (auto done = check(value); !done) return done;
    if (*value != setting.value) {
      return base::fail(StreamFileError{StreamFileFault::refused, path_ + ": " + setting.get + " is '" + *value +
                                                                      "', needed: '" + setting.value + "'"});
    }
  }
  sqlite3_wal_hook(database_.handle(), &StreamFile::on_wal, this);
  return {};
}

// Writes the version even where it stands already: the first commit of an opening proves that the disk takes one.
FileResult<void> StreamFile::create_tables() { return check(database_.execute(kCreateTables)); }

// After a failed sync the log's last frames may stand in the page cache alone, and no later sync takes them to the
// disk; nor is it known here whether one has failed. A checkpoint would take them into the database page by page, and a
// power cut in between leave some there and none in the log. So they are written over themselves first, in a write
// transaction, which keeps every other hand off the log. Its name is synced, too: SQLite tries, and passes over an
// error.
FileResult<void> StreamFile::settle_log() {
  if (auto begun = check(database_.execute("BEGIN IMMEDIATE")); !begun) return begun;
  if (!sync_folder(path_))
    return base::fail(StreamFileError{StreamFileFault::io, "cannot sync the folder of " + path_});
  if (auto rewritten = check(database_.rewrite_log()); !rewritten) return rewritten;
  if (auto ended = check(database_.execute("ROLLBACK")); !ended) return ended;
  if (auto copied = checkpoint(SQLITE_CHECKPOINT_TRUNCATE, kShrinkWaitMs); !copied) return base::fail(copied.error());
  return {};
}

FileResult<void> StreamFile::prepare_statements() {
  const std::pair<Statement*, const char*> statements[] = {{&insert_event_, kInsertEvent},
                                                           {&store_progress_, kStoreProgress},
                                                           {&insert_dead_letter_, kInsertDeadLetter},
                                                           {&store_gateway_, kStoreGateway},
                                                           {&read_, kReadEvents}};
  for (const auto& [statement, sql] : statements) {
    auto prepared = database_.prepare(sql);
    if (!prepared) return base::fail(failure(prepared.error()));
    *statement = std::move(*prepared);
  }
  return {};
}

FileResult<void> StreamFile::count() {
  const auto last = database_.integer("SELECT max(position) FROM events");
  if (auto done = check(last); !done) return done;
  const auto letters = database_.integer("SELECT count(*) FROM dead_letters");
  if (auto done = check(letters); !done) return done;
  const auto foreign = database_.integer("SELECT count(*) FROM dead_letters WHERE epoch = ''");
  if (auto done = check(foreign); !done) return done;
  usage_.last_position = stream::Position(static_cast<std::uint64_t>(*last));
  usage_.dead_letters = static_cast<std::uint64_t>(*letters);
  foreign_dead_letters_ = static_cast<std::uint64_t>(*foreign);
  return {};
}

FileResult<std::vector<tillstream::v1::Progress>> StreamFile::progress() {
  auto statement = database_.prepare("SELECT state FROM progress ORDER BY gateway_id");
  if (!statement) return base::fail(failure(statement.error()));
  std::vector<tillstream::v1::Progress> all;
  int code = statement->step();
  for (; code == SQLITE_ROW; code = statement->step()) {
    const std::string_view state = statement->text(0);
    if (!all.emplace_back().ParseFromArray(state.data(), static_cast<int>(state.size()))) {
      return base::fail(StreamFileError{StreamFileFault::damaged, "a row of progress cannot be read"});
    }
  }
  if (code != SQLITE_DONE) return base::fail(failure());
  return all;
}

FileResult<void> StreamFile::commit(const stream::Transaction& transaction) {
  if (auto begun = check(database_.execute("BEGIN IMMEDIATE")); !begun) return begun;
  if (auto written = write(transaction); !written) return written;
  if (auto committed = check(database_.execute("COMMIT")); !committed) return committed;
  if (database_.has_moved())
    return base::fail(StreamFileError{StreamFileFault::io, "the file was removed or replaced while it was open"});
  measure();
  return {};
}

FileResult<void> StreamFile::write(const stream::Transaction& transaction) {
  const auto each = [this](const auto& rows, auto&& write_one) -> FileResult<void> {
    for (const auto& row : rows) {
      if (auto done = write_one(row); !done) return done;
    }
    return {};
  };
  if (auto done = each(transaction.records, [this](const auto& row) { return insert(row); }); !done) return done;
  if (!transaction.records.empty()) {
    usage_.last_position = stream::Position(static_cast<std::uint64_t>(sqlite3_last_insert_rowid(database_.handle())));
  }
  if (auto done = each(transaction.progress, [this](const auto& row) { return store(row); }); !done) return done;
  if (auto done = each(transaction.dead_letters, [this](const auto& row) { return insert(row); }); !done) return done;
  return each(transaction.gateways, [this](const auto& row) { return store(row); });
}

FileResult<void> StreamFile::insert(const stream::Record& record) {
  headers_.clear();
  stream::append_headers_json(headers_, record);
  insert_event_.bind(1, record.event_id);
  insert_event_.bind(2, record.gateway_id);
  insert_event_.bind_or_null(3, record.epoch);
  record.seq ? insert_event_.bind(4, static_cast<std::int64_t>(*record.seq)) : insert_event_.bind_null(4);
  insert_event_.bind(5, record.key);
  insert_event_.bind(6, record.type);
  insert_event_.bind_or_null(7, record.occurred_at);
  insert_event_.bind_or_null(8, record.received_at);
  insert_event_.bind(9, record.published_at);
  insert_event_.bind(10, headers_);
  insert_event_.bind(11, record.value);
  return run(insert_event_);
}

FileResult<void> StreamFile::store(const tillstream::v1::Progress& progress) {
  blob_.clear();
  if (!progress.SerializeToString(&blob_)) ASSERT(false);
  const std::string epoch = base::to_hex(progress.epoch());
  const std::string digest = base::to_hex(progress.digest());
  store_progress_.bind(1, progress.gateway_id());
  store_progress_.bind(2, epoch);
  store_progress_.bind(3, static_cast<std::int64_t>(progress.seq()));
  store_progress_.bind(4, digest);
  store_progress_.bind_blob(5, blob_);
  return run(store_progress_);
}

FileResult<void> StreamFile::insert(const stream::DeadLetter& letter) {
  const bool foreign = letter.epoch.empty();
  if (foreign && foreign_dead_letters_ >= limits_.foreign_dead_letters_max) {
    ++usage_.dead_letters_dropped_total;
    return {};
  }
  const std::string at = base::to_rfc3339(letter.at);
  insert_dead_letter_.bind(1, letter.gateway_id);
  insert_dead_letter_.bind(2, letter.epoch);
  insert_dead_letter_.bind(3, letter.digest);
  insert_dead_letter_.bind(4, letter.topic);
  insert_dead_letter_.bind(5, letter.reason);
  insert_dead_letter_.bind_or_null(6, letter.detail);
  insert_dead_letter_.bind(7, at);
  insert_dead_letter_.bind(8, static_cast<std::int64_t>(letter.size));
  letter.payload ? insert_dead_letter_.bind_blob(9, *letter.payload) : insert_dead_letter_.bind_null(9);
  if (auto done = run(insert_dead_letter_); !done) return done;
  if (sqlite3_changes(database_.handle()) == 0) return {};  // kept before
  ++usage_.dead_letters;
  if (foreign) ++foreign_dead_letters_;
  return {};
}

FileResult<void> StreamFile::store(const stream::GatewayRow& row) {
  store_gateway_.bind(1, row.gateway_id);
  store_gateway_.bind(2, row.value);
  return run(store_gateway_);
}

FileResult<void> StreamFile::run(Statement& statement) {
  const int code = statement.step();
  if (code != SQLITE_DONE) return base::fail(failure());
  statement.reset();
  return {};
}

FileResult<stream::ReadPage> StreamFile::read(stream::Position from, const stream::ReadLimits& limits) {
  stream::ReadPage page;
  stream::Position next = from;
  std::size_t bytes = 0;
  // Beyond what SQLite can count there is nothing.
  constexpr std::uint64_t kPositionMax = INT64_MAX;
  read_.bind(1, static_cast<std::int64_t>(std::min(from.value(), kPositionMax)));
  read_.bind(2, static_cast<std::int64_t>(limits.records + 1));
  int code = read_.step();
  for (; code == SQLITE_ROW; code = read_.step()) {
    if (!page.records.empty() && (page.records.size() >= limits.records || bytes >= limits.bytes)) {
      page.more = true;
      break;
    }
    StoredValue read = value_at(read_);
    bytes += read.value.size();
    next = read.position.next();
    page.records.push_back({.id = std::to_string(read.position.value()), .value = std::move(read.value)});
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return base::fail(failure());
  read_.reset();
  page.next = stream::place_at(next);
  return page;
}

FileResult<void> StreamFile::checkpoint_when_due() {
  const auto frames_max =
      static_cast<int>(std::min<std::uint64_t>(limits_.wal_bytes_max / kPageSize / 2, kCheckpointFrames));
  if (wal_frames_ < frames_max) next_checkpoint_ = frames_max;
  if (wal_frames_ < next_checkpoint_) return {};
  if (auto copied = checkpoint(SQLITE_CHECKPOINT_PASSIVE, 0); !copied) return base::fail(copied.error());
  // Where a reader holds it up, trying at every commit would only cost syncs.
  next_checkpoint_ = wal_frames_ + frames_max;
  measure();
  return {};
}

std::string_view StreamFile::blocked() const {
  if (usage_.bytes >= limits_.bytes_max) return "full";
  if (usage_.wal_bytes >= limits_.wal_bytes_max) return "reader_holds_snapshot";
  return {};
}

FileResult<void> StreamFile::shrink_log() {
  const auto emptied = checkpoint(SQLITE_CHECKPOINT_TRUNCATE, kShrinkWaitMs);
  if (!emptied) return base::fail(emptied.error());
  if (*emptied) wal_frames_ = 0;
  measure();
  return {};
}

// What it does not manage the next opening does.
void StreamFile::finish() { static_cast<void>(checkpoint(SQLITE_CHECKPOINT_TRUNCATE, kShrinkWaitMs)); }

FileResult<bool> StreamFile::checkpoint(int mode, int wait_ms) {
  sqlite3_busy_timeout(database_.handle(), wait_ms);
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), "main", mode, nullptr, nullptr);
  const SqliteError error = database_.error();
  sqlite3_busy_timeout(database_.handle(), kBusyMs);
  if ((code & 0xff) == SQLITE_BUSY) return false;
  if (code != SQLITE_OK) return base::fail(failure(error));
  return true;
}

void StreamFile::measure() {
  const std::uint64_t wal_file = file_bytes(wal_path_);
  usage_.bytes = file_bytes(path_) + wal_file;
  usage_.wal_bytes = static_cast<std::uint64_t>(wal_frames_) * (kPageSize + kFrameHeader);
}

StreamFileError StreamFile::failure(const SqliteError& error) const {
  return {fault_of(error.code), path_ + ": " + error.text + " (SQLite code " + std::to_string(error.code) + ")"};
}

template <class T>
FileResult<void> StreamFile::check(const SqliteResult<T>& result) {
  if (!result) return base::fail(failure(result.error()));
  return {};
}

int StreamFile::on_wal(void* self, sqlite3* /*database*/, const char* /*name*/, int pages) {
  static_cast<StreamFile*>(self)->wal_frames_ = pages;
  return SQLITE_OK;
}

}  // namespace sqlite
