#include "tests/power/stream_story.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/support/stream/stream_db.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/temp_folder.hpp"

namespace power {

namespace {

constexpr int kTriesMax = 12;
constexpr int kEpoch = 1;
// Checkpoints are frequent: after 32 pages.
constexpr sqlite::StreamFileLimits kLimits{.wal_bytes_max = 512U << 10U};

}  // namespace

std::string difference(sqlite::StreamFile& file, const StreamBooks& books) {
  const auto progress = file.progress();
  if (!progress) return "its progress cannot be read: " + progress.error().text;
  std::map<std::string, std::uint64_t> found;
  for (const auto& row : *progress) found[row.gateway_id()] = row.seq();
  if (found != books.progress) return fmt::format("another progress, of {} gateways", found.size());
  std::size_t next = 0;
  for (bool more = true; more;) {
    const auto page = file.read(stream::Position(next + 1), {});
    if (!page) return "it cannot be read: " + page.error().text;
    for (const auto& record : page->records) {
      if (record.id != std::to_string(next + 1)) return fmt::format("position {} is {}", next + 1, record.id);
      if (next >= books.values.size()) return fmt::format("more than {} records", books.values.size());
      if (record.value != books.values[next]) return fmt::format("position {} has other bytes", next + 1);
      ++next;
    }
    more = page->more;
  }
  if (next != books.values.size()) return fmt::format("{} records, not {}", next, books.values.size());
  if (file.usage().dead_letters != books.dead_letters) return "other dead letters";
  return {};
}

std::string words_of(const std::optional<sqlite::StreamFileError>& error) { return error ? error->text : ""; }

std::optional<sqlite::StreamFileError> Bridge::open() {
  file_.reset();
  if (!lock_) {
    auto lock = sqlite::LockFile::acquire(path_ + ".lock");
    if (!lock) return sqlite::StreamFileError{sqlite::StreamFileFault::io, lock.error()};
    lock_.emplace(std::move(*lock));
  }
  auto file = sqlite::StreamFile::open(path_, kLimits);
  if (!file) return file.error();
  file_ = std::move(*file);
  return std::nullopt;
}

void Bridge::close() {
  file_.reset();
  lock_.reset();
}

stream::Transaction next_transaction(StreamBooks& books, std::size_t gateways, std::size_t events,
                                     std::size_t extra_bytes) {
  stream::Transaction transaction;
  for (std::size_t n = 0; n < gateways; ++n) {
    const std::string gateway = fmt::format("shop-{}", n + 1);
    const std::uint64_t before = books.progress[gateway];
    auto one = test::transaction(gateway, kEpoch, before + 1, before + events);
    for (stream::Record& record : one.records) {
      record.value = fmt::format(R"({{"gateway_id":"{}","seq":{},"text":"{}"}})", gateway, *record.seq,
                                 std::string(*record.seq % 200 + extra_bytes, '.'));
      books.values.push_back(record.value);
      transaction.records.push_back(std::move(record));
    }
    transaction.progress.push_back(std::move(one.progress.front()));
    transaction.gateways.push_back({gateway, fmt::format(R"({{"committed_seq":{}}})", before + events)});
    books.progress[gateway] = before + events;
  }
  return transaction;
}

// --- the story -----------------------------------------------------------------------------------

StreamStory::StreamStory(support::RecordedDisk& disk, const std::filesystem::path& folder)
    : disk_(disk), bridge_(folder) {}

void StreamStory::run(int rounds) {
  tell({books_});
  open_until_it_is();
  settle_books({books_});
  for (int number = 0; number < rounds; ++number) round(number);
  bridge_.file().finish();
  bridge_.close();
}

void StreamStory::round(int number) {
  commit(1, 1);
  commit(3, 5);
  commit_letters();
  restart(number % 2 == 0);
  commit(2, 20);
  // What a foreign reader looks at stays in the log.
  disk_.undisturbed([&] { reader_.emplace(bridge_.path()).hold_snapshot(); });
  commit(1, 30, 500);
  commit(4, 2);
  disk_.undisturbed([&] { reader_.reset(); });
  commit(1, 1, 30'000);
  restart(number % 2 == 1);
  commit(3, 12, 300);
  commit(1, 1);
}

void StreamStory::do_step(const Step& step) {
  for (int tries = 0;; ++tries) {
    REQUIRE(tries < kTriesMax);
    auto after = std::make_shared<StreamBooks>(*books_);
    const std::size_t begin = disk_.position();
    const auto done = step(*after);
    moments_.push_back({begin, {books_, after}});
    if (done) {
      books_ = after;
      tell({books_});
      return checkpoint();
    }
    ++failures_;
    open_until_it_is();
    const bool was_done = held_by(bridge_.file(), PossibleBooks{books_, after}) == after;
    settle_books({was_done ? after : books_});
    if (was_done) return;
  }
}

// After the answer, as the thread has it.
void StreamStory::checkpoint() {
  if (bridge_.file().checkpoint_when_due()) return;
  ++failures_;
  open_until_it_is();
  settle_books({books_});
}

void StreamStory::open_until_it_is() {
  for (int openings = 0;; ++openings) {
    const auto error = bridge_.open();
    if (!error) return;
    ++failures_;
    REQUIRE_MESSAGE(error->fault != sqlite::StreamFileFault::refused, error->text);
    REQUIRE_MESSAGE(openings < kTriesMax, error->text);
  }
}

// Reading may fail, too: then it is opened once more.
void StreamStory::settle_books(const PossibleBooks& possible) {
  while (!bridge_.file().progress() || !bridge_.file().read(stream::Position(1), {})) {
    ++failures_;
    open_until_it_is();
  }
  books_ = held_by(bridge_.file(), possible);
  tell({books_});
}

void StreamStory::commit(std::size_t gateways, std::size_t events, std::size_t extra_bytes) {
  do_step([&](StreamBooks& after) {
    return bridge_.file().commit(next_transaction(after, gateways, events, extra_bytes));
  });
}

void StreamStory::commit_letters() {
  do_step([&](StreamBooks& after) {
    stream::Transaction letters;
    letters.dead_letters.push_back(
        test::dead_letter("shop-1", test::epoch_hex(kEpoch), fmt::format("digest {}", after.dead_letters)));
    ++after.dead_letters;
    return bridge_.file().commit(letters);
  });
}

void StreamStory::restart(bool killed) {
  if (killed) {
    disk_.kill([this] { bridge_.close(); });
  } else {
    bridge_.file().finish();
    bridge_.close();
  }
  open_until_it_is();
  settle_books({books_});
}

Story told(int rounds, std::size_t call, support::DiskFault fault, std::size_t count) {
  const support::TempFolder folder;
  support::RecordedDisk disk(folder.path());
  if (fault != support::DiskFault::none) disk.fail(call, fault, count);
  StreamStory story(disk, folder.path());
  story.run(rounds);
  return {disk.operations(), disk.calls(), story.moments(), disk.failed_at(), story.failures()};
}

}  // namespace power
