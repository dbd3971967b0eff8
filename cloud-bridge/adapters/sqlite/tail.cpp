#include "cloud-bridge/adapters/sqlite/tail.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "cloud-bridge/adapters/sqlite/database.hpp"
#include "cloud-bridge/adapters/sqlite/schema.hpp"

namespace sqlite {
namespace {

constexpr int kBusyMs = 5000;
constexpr std::int64_t kPageRecords = 500;
// How often a follower looks for more: a query of the last page, some ten microseconds.
constexpr std::chrono::milliseconds kFollowEvery{20};

struct Opened {
  Database database;
  Statement read;
};

std::unexpected<std::string> failed(const std::string& path, const SqliteError& error) {
  return base::fail("cannot read " + path + ": " + error.text);
}

std::expected<Opened, std::string> open(const std::string& path) {
  auto database = Database::open(path, SQLITE_OPEN_READONLY);
  if (!database) return failed(path, database.error());
  sqlite3_busy_timeout(database->handle(), kBusyMs);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const auto application = database->integer("PRAGMA application_id");
  if (!application) return failed(path, application.error());
  if (*application != kApplicationId)
    return base::fail(path + " is no stream (or none yet: the bridge makes it when it first runs)");
  auto read = database->prepare(kReadEvents);
  if (!read) return failed(path, read.error());
  return Opened{std::move(*database), std::move(*read)};
}

// Appends the next page's lines; the position after it.
std::expected<stream::Position, std::string> read_page(Opened& opened, const std::string& path, stream::Position from,
                                                       std::string& lines) {
  constexpr std::uint64_t kPositionMax = INT64_MAX;
  opened.read.bind(1, static_cast<std::int64_t>(std::min(from.value(), kPositionMax)));
  opened.read.bind(2, kPageRecords);
  int code = opened.read.step();
  for (; code == SQLITE_ROW; code = opened.read.step()) {
    const StoredValue read = value_at(opened.read);
    lines += tail_line(read.position, read.value);
    from = read.position.next();
  }
  const SqliteError error = opened.database.error();
  opened.read.reset();
  if (code != SQLITE_DONE) return failed(path, error);
  return from;
}

}  // namespace

std::string tail_line(stream::Position position, std::string_view value) {
  std::string line = "{\"position\":" + std::to_string(position.value());
  if (value.size() > 2) {
    line += ',';
    line.append(value.substr(1));
  } else {
    line += '}';
  }
  line += '\n';
  return line;
}

std::expected<void, std::string> tail(const TailSettings& settings,
                                      const std::function<bool(std::string_view lines)>& write,
                                      const std::function<bool()>& stopped) {
  auto opened = open(settings.path);
  if (!opened) return base::fail(opened.error());
  stream::Position from = settings.from;
  std::string lines;
  while (!stopped()) {
    lines.clear();
    const auto next = read_page(*opened, settings.path, from, lines);
    if (!next) return base::fail(next.error());
    from = *next;
    if (!lines.empty()) {
      if (!write(lines)) return {};
    } else if (settings.follow) {
      std::this_thread::sleep_for(kFollowEvery);
    } else {
      return {};
    }
  }
  return {};
}

}  // namespace sqlite
