// The journal's contract: one suite, run against the fake and against SQLite alike.
#include <doctest/doctest.h>

#include <set>

#include "firmware-gateway/journal/identity.hpp"
#include "tests/contract/journal/fixtures.hpp"

using namespace support;
using namespace std::chrono_literals;
using journal::Admission;
using journal::Appended;
using journal::AppendItem;
using journal::AppendOutcome;
using journal::Candidates;
using journal::Error;
using journal::Priority;
using journal::Refused;
using journal::Row;

#define EVERY_JOURNAL MemoryFixture, SqliteFixture

namespace {

AppendOutcome append_one(journal::Journal& journal, const AppendItem& item) {
  auto outcomes = journal.append({&item, 1});
  REQUIRE(outcomes.has_value());
  REQUIRE(outcomes->size() == 1);
  return std::move(outcomes->front());
}

handoff::Epoch epoch_id(std::uint8_t n) {
  handoff::Epoch epoch;
  epoch.bytes[0] = n;
  return epoch;
}

handoff::Run run_id(std::uint8_t n) {
  handoff::Run run;
  run.bytes[0] = n;
  return run;
}

handoff::EpochStart epoch_from(std::uint8_t n, std::uint64_t first_row) {
  return {epoch_id(n), Row(first_row), false, std::nullopt, std::nullopt};
}

// 64 KiB each, so that a small quota is soon full.
AppendItem big_item(std::uint64_t n, Priority priority) {
  return {.key_hash = n, .priority = priority, .record = base::Bytes(64U << 10U, 'x'), .seen_through = {}};
}

// Appends until one is refused; the number that were stored.
std::uint64_t fill(journal::Journal& journal, std::uint64_t& n, Priority priority) {
  for (std::uint64_t stored = 0;; ++stored) {
    REQUIRE(stored < 10'000);
    const auto outcome = append_one(journal, big_item(++n, priority));
    if (const auto* refused = std::get_if<Refused>(&outcome)) {
      CHECK(refused->error == Error::full);
      return stored;
    }
    REQUIRE(std::holds_alternative<Appended>(outcome));
  }
}

const ContractSettings kSmall{.quota_bytes = 24U << 20U, .reserve_bytes = 4U << 20U, .retention = 1000s};

}  // namespace

TEST_CASE_TEMPLATE("journal: loses nothing that append returned", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 250);
  fixture.reopen();
  append_rows(fixture.journal(), 251, 260, 1);
  fixture.reopen();
  const auto rows = read_all(fixture.journal());
  REQUIRE(rows.size() == 260);
  for (std::uint64_t n = 1; n <= 260; ++n) {
    CHECK(rows[n - 1].row == Row(n));
    CHECK(rows[n - 1].record == record_of(n));
  }
  CHECK(fixture.journal().opened().next == Row(261));
}

TEST_CASE_TEMPLATE("journal: keeps records of any bytes and any size", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  const std::vector<base::Bytes> records = {"", base::Bytes(3, '\0'), base::Bytes(16384, '\xFF'),
                                            base::Bytes(100'000, 'a')};
  std::uint64_t n = 0;
  for (const auto& record : records) {
    CHECK(std::holds_alternative<Appended>(append_one(fixture.journal(), {++n, Priority::money, record, {}})));
  }
  fixture.reopen();
  const auto rows = read_all(fixture.journal());
  REQUIRE(rows.size() == records.size());
  for (std::size_t i = 0; i < records.size(); ++i) CHECK(rows[i].record == records[i]);
}

TEST_CASE_TEMPLATE("journal: never gives a row number twice, not even when all are gone", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 30);
  const auto segments = std::vector{handoff::Segment{fixture.journal().opened().opening, Row(1), {}, false, false}};
  fixture.journal().remember_acked(mark_at(30, fixture.journal().opened().epoch, segments), at_second(0));
  const auto trimmed = fixture.journal().trim(at_second(5000));
  REQUIRE(trimmed.has_value());
  CHECK(trimmed->rows == 30);
  CHECK(trimmed->oldest == Row(31));
  fixture.reopen();
  CHECK(fixture.journal().opened().oldest == Row(31));
  CHECK(fixture.journal().opened().next == Row(31));
  CHECK(fixture.journal().opened().segments.empty());
  append_rows(fixture.journal(), 31, 31);
  CHECK(read_all(fixture.journal()).front().row == Row(31));
}

TEST_CASE_TEMPLATE("journal: reads within its limits, and at least one row", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  for (std::uint64_t n = 1; n <= 10; ++n)
    append_one(fixture.journal(), {n, Priority::money, base::Bytes(100, 'x'), {}});
  CHECK(fixture.journal().read(Row(1), 4, 10'000)->size() == 4);
  CHECK(fixture.journal().read(Row(1), 100, 350)->size() == 3);
  CHECK(fixture.journal().read(Row(1), 100, 10)->size() == 1);
  CHECK(fixture.journal().read(Row(9), 100, 10'000)->size() == 2);
  CHECK(fixture.journal().read(Row(11), 100, 10'000)->empty());
}

TEST_CASE_TEMPLATE("journal: shows what may be a repeat, in the group, later and after a restart", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture;
  const std::vector<AppendItem> group = {item_of(1), item_of(2), item_of(1)};
  const auto outcomes = fixture.journal().append(group);
  REQUIRE(outcomes.has_value());
  CHECK(std::get<Appended>((*outcomes)[0]).row == Row(1));
  CHECK(std::get<Appended>((*outcomes)[1]).row == Row(2));
  REQUIRE(std::holds_alternative<Candidates>((*outcomes)[2]));
  CHECK(std::get<Candidates>((*outcomes)[2]).rows.front().row == Row(1));
  CHECK(std::get<Candidates>((*outcomes)[2]).rows.front().record == record_of(1));
  for (int opening = 0; opening < 2; ++opening) {
    const auto again = append_one(fixture.journal(), item_of(2));
    REQUIRE(std::holds_alternative<Candidates>(again));
    CHECK(std::get<Candidates>(again).rows.size() == 1);
    CHECK(std::get<Candidates>(again).rows.front().record == record_of(2));
    fixture.reopen();
  }
  CHECK(fixture.journal().opened().next == Row(3));
}

TEST_CASE_TEMPLATE("journal: stores what the caller has looked at and found different", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 3);
  AppendItem other = item_of(2);
  other.record = "same key, other content";
  other.seen_through = Row(2);
  CHECK(std::get<Appended>(append_one(fixture.journal(), other)).row == Row(4));
  // Not so when another has come in the meantime; newest first.
  const auto raced = append_one(fixture.journal(), other);
  REQUIRE(std::holds_alternative<Candidates>(raced));
  REQUIRE(std::get<Candidates>(raced).rows.size() == 1);
  CHECK(std::get<Candidates>(raced).rows[0].row == Row(4));
  const auto all = append_one(fixture.journal(), item_of(2));
  REQUIRE(std::get<Candidates>(all).rows.size() == 2);
  CHECK(std::get<Candidates>(all).rows[0].row == Row(4));
  CHECK(std::get<Candidates>(all).rows[1].row == Row(2));
}

TEST_CASE_TEMPLATE("journal: of very many candidates shows each once, round by round", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  constexpr std::uint64_t kSame = 3 * journal::kCandidatesMax + 5;
  AppendItem item = item_of(1);
  for (std::uint64_t n = 1; n <= kSame; ++n) {
    item.seen_through = Row(n);
    REQUIRE(std::get<Appended>(append_one(fixture.journal(), item)).row == Row(n));
  }
  std::set<Row> seen;
  item.seen_through = Row(0);
  for (auto outcome = append_one(fixture.journal(), item); std::holds_alternative<Candidates>(outcome);
       outcome = append_one(fixture.journal(), item)) {
    const auto& rows = std::get<Candidates>(outcome).rows;
    REQUIRE(rows.size() <= journal::kCandidatesMax);
    for (const auto& candidate : rows) CHECK(seen.insert(candidate.row).second);
    item.seen_through = rows.front().row;
  }
  CHECK(seen.size() == kSame);
}

TEST_CASE_TEMPLATE("journal: forgets a repeat with the row that it repeats", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.journal().remember_acked(plain_mark(5), at_second(0));
  CHECK(fixture.journal().trim(at_second(1000))->rows == 5);
  CHECK(std::holds_alternative<Appended>(append_one(fixture.journal(), item_of(5))));
  CHECK(std::holds_alternative<Candidates>(append_one(fixture.journal(), item_of(6))));
}

TEST_CASE_TEMPLATE("journal: trims only what is committed and older than the retention", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 20);
  CHECK(fixture.journal().trim(at_second(1'000'000))->rows == 0);
  fixture.journal().remember_acked(plain_mark(8), at_second(100));
  fixture.journal().remember_acked(plain_mark(12), at_second(200));
  CHECK(fixture.journal().trim(at_second(1099))->rows == 0);
  const auto first = fixture.journal().trim(at_second(1100));
  CHECK(first->rows == 8);
  CHECK(first->oldest == Row(9));
  fixture.reopen();
  CHECK(fixture.journal().trim(at_second(1199))->rows == 0);
  CHECK(fixture.journal().trim(at_second(1'000'000))->rows == 4);
  CHECK(fixture.journal().trim(at_second(1'000'000))->rows == 0);
  CHECK(read_all(fixture.journal()).size() == 8);
}

TEST_CASE_TEMPLATE("journal: trims a long backlog in bounded steps", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 3000, 1000);
  fixture.journal().remember_acked(plain_mark(2900), at_second(0));
  std::uint64_t rows = 0;
  int steps = 0;
  for (bool more = true; more; ++steps) {
    const auto step = fixture.journal().trim(at_second(5000));
    REQUIRE(step.has_value());
    CHECK(step->rows <= 1024);
    rows += step->rows;
    more = step->more;
  }
  CHECK(rows == 2900);
  CHECK(steps >= 3);
  CHECK(read_all(fixture.journal()).front().row == Row(2901));
}

TEST_CASE_TEMPLATE("journal: keeps the digests before its oldest row", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.reopen();
  append_rows(fixture.journal(), 11, 30);
  fixture.reopen();
  const handoff::JournalState state = fixture.journal().opened();
  REQUIRE(state.segments.size() == 2);
  fixture.journal().remember_acked(mark_at(25, state.epoch, state.segments), at_second(0));
  const auto trimmed = fixture.journal().trim(at_second(5000));
  REQUIRE(trimmed->rows == 25);
  CHECK(trimmed->base == mark_at(25, state.epoch, state.segments));
  fixture.reopen();
  CHECK(fixture.journal().opened().base == mark_at(25, state.epoch, state.segments));
  CHECK(fixture.journal().opened().acked == mark_at(25, state.epoch, state.segments));
  CHECK(fixture.journal().opened().segments == std::vector{state.segments[1]});
}

TEST_CASE_TEMPLATE("journal: an acked mark is on disk after flush", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 10);
  const handoff::Mark mark{Row(7), platform::hasher().sha256({"a"}), platform::hasher().sha256({"b"})};
  fixture.journal().remember_acked(mark, at_second(1));
  REQUIRE(fixture.journal().flush().has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().acked == mark);
}

TEST_CASE_TEMPLATE("journal: a lower acked mark is on disk at once, and holds trimming back", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.journal().remember_acked(plain_mark(9), at_second(0));
  REQUIRE(fixture.journal().flush().has_value());
  fixture.journal().remember_acked(plain_mark(4), at_second(1));
  fixture.reopen();
  CHECK(fixture.journal().opened().acked.row == Row(4));
  CHECK(fixture.journal().trim(at_second(100'000))->rows == 4);
  CHECK(fixture.journal().trim(at_second(100'000))->rows == 0);
}

TEST_CASE_TEMPLATE("journal: every opening with rows is a run, one without leaves none", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  const handoff::Run first = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, 5);
  fixture.reopen();
  const handoff::Run empty = fixture.journal().opened().opening;
  fixture.reopen();
  const handoff::Run second = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 6, 7);
  fixture.reopen();
  CHECK(first != second);
  CHECK(empty != second);
  CHECK(fixture.journal().opened().segments == std::vector{handoff::Segment{first, Row(1), {}, false, false},
                                                           handoff::Segment{second, Row(6), {}, false, false}});
}

TEST_CASE_TEMPLATE("journal: an epoch attempt is on disk when start_epoch returns", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 5);
  handoff::EpochStart attempt = epoch_from(9, 4);
  attempt.supersedes = handoff::Place{epoch_id(1), handoff::Seq(77), platform::hasher().sha256({"x"})};
  attempt.lost = handoff::Lost{"disk_replaced", handoff::Seq(78), handoff::Seq(0)};
  REQUIRE(fixture.journal().start_epoch(attempt, std::nullopt).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().epoch == attempt);
  attempt.lacks_from = handoff::Seq(76);
  REQUIRE(fixture.journal().start_epoch(attempt, std::nullopt).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().epoch == attempt);
  attempt.accepted = true;
  attempt.repeats_through = Row(5);
  REQUIRE(fixture.journal().start_epoch(attempt, std::nullopt).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().epoch == attempt);
}

TEST_CASE_TEMPLATE("journal: that an epoch was accepted is stored also when its first rows are trimmed", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 5);
  handoff::EpochStart epoch = epoch_from(9, 1);
  REQUIRE(fixture.journal().start_epoch(epoch, std::nullopt).has_value());
  fixture.journal().remember_acked(plain_mark(3), at_second(0));
  REQUIRE(fixture.journal().trim(at_second(2000))->rows == 3);
  epoch.accepted = true;
  REQUIRE(fixture.journal().start_epoch(epoch, std::nullopt).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().epoch == epoch);
  CHECK(fixture.journal().opened().acked.row == Row(3));
}

TEST_CASE_TEMPLATE("journal: what a terminal was told stays what it is told, whatever epoch follows", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture;
  const handoff::Epoch first = fixture.journal().opened().epoch.epoch;
  append_rows(fixture.journal(), 1, 5);
  REQUIRE(
      fixture.journal().start_epoch(epoch_from(8, 3), std::nullopt).has_value());  // an attempt that nobody was told of
  REQUIRE(fixture.journal().start_epoch(epoch_from(9, 3), std::nullopt).has_value());
  append_rows(fixture.journal(), 6, 7);
  REQUIRE(fixture.journal().start_epoch(epoch_from(10, 7), std::nullopt).has_value());
  append_rows(fixture.journal(), 8, 8);
  fixture.reopen();
  const auto& answered = fixture.journal().opened().answered;
  using journal::AnsweredPlace;
  CHECK(journal::answered_place(answered, Row(1)) == AnsweredPlace{first, handoff::Seq(1)});
  CHECK(journal::answered_place(answered, Row(5)) == AnsweredPlace{first, handoff::Seq(5)});
  CHECK(journal::answered_place(answered, Row(6)) == AnsweredPlace{epoch_id(9), handoff::Seq(4)});
  CHECK(journal::answered_place(answered, Row(7)) == AnsweredPlace{epoch_id(9), handoff::Seq(5)});
  CHECK(journal::answered_place(answered, Row(8)) == AnsweredPlace{epoch_id(10), handoff::Seq(2)});
  CHECK(answered.size() == 3);
}

TEST_CASE_TEMPLATE("journal: a new epoch takes back an acked mark beyond its start", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 20);
  fixture.journal().remember_acked(plain_mark(5), at_second(0));
  REQUIRE(fixture.journal().trim(at_second(2000))->rows == 5);
  fixture.journal().remember_acked(plain_mark(15), at_second(2000));
  REQUIRE(fixture.journal().start_epoch(epoch_from(9, 11), std::nullopt).has_value());
  CHECK(fixture.journal().trim(at_second(100'000))->rows == 0);
  fixture.reopen();
  CHECK(fixture.journal().opened().acked == fixture.journal().opened().base);
  CHECK(fixture.journal().opened().base.row == Row(5));
  // An epoch that begins right there has its own digest there.
  REQUIRE(fixture.journal().start_epoch(epoch_from(10, 6), std::nullopt).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened().base.epoch_digest == handoff::chain_start(platform::hasher(), epoch_id(10)));
}

TEST_CASE_TEMPLATE("journal: rows that get a new run continue it", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  const handoff::Run first = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, 6);
  const handoff::Segment renamed{run_id(7), Row(4), handoff::RunIndex(0), false, true};
  REQUIRE(fixture.journal().start_epoch(epoch_from(9, 4), renamed).has_value());
  append_rows(fixture.journal(), 7, 9);
  fixture.reopen();
  CHECK(fixture.journal().opened().segments == std::vector{handoff::Segment{first, Row(1), {}, false, false}, renamed});
  CHECK(journal::identity_of(fixture.journal().opened().segments, Row(9)) ==
        journal::Identity{run_id(7), handoff::RunIndex(5)});
  // Where none was renamed, it names what comes.
  const handoff::Segment coming{run_id(8), Row(10), handoff::RunIndex(0), false, false};
  REQUIRE(fixture.journal().start_epoch(epoch_from(11, 10), coming).has_value());
  append_rows(fixture.journal(), 10, 10);
  fixture.reopen();
  CHECK(fixture.journal().opened().segments.back() == coming);
}

TEST_CASE_TEMPLATE("journal: tells when an event was sent and when it was committed", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 9);
  fixture.journal().remember_sent(Row(3), at_second(10));
  fixture.journal().remember_acked(plain_mark(2), at_second(20));
  for (int opening = 0; opening < 2; ++opening) {
    const auto committed = fixture.journal().find(item_of(2).key_hash, 10);
    REQUIRE(committed->size() == 1);
    CHECK(committed->front().row == Row(2));
    CHECK(committed->front().record == record_of(2));
    CHECK(committed->front().sent_at == at_second(10));
    CHECK(committed->front().committed_at == at_second(20));
    const auto sent = fixture.journal().find(item_of(3).key_hash, 10);
    CHECK(sent->front().sent_at == at_second(10));
    CHECK(!sent->front().committed_at);
    CHECK(!fixture.journal().find(item_of(4).key_hash, 10)->front().sent_at);
    CHECK(fixture.journal().find(99, 10)->empty());
    REQUIRE(fixture.journal().flush().has_value());
    fixture.reopen();
  }
  // Sent again is not sent first.
  fixture.journal().remember_sent(Row(3), at_second(99));
  CHECK(fixture.journal().find(item_of(3).key_hash, 1)->front().sent_at == at_second(10));
}

TEST_CASE_TEMPLATE("journal: a full one refuses, telemetry first, and nothing is lost", Fixture, EVERY_JOURNAL) {
  Fixture fixture(kSmall);
  std::uint64_t n = 0;
  const std::uint64_t telemetry = fill(fixture.journal(), n, Priority::telemetry);
  CHECK(telemetry > 10);
  CHECK(fixture.journal().usage().admission == Admission::money_only);
  const std::uint64_t money = fill(fixture.journal(), n, Priority::money);
  CHECK(money >= 50);  // the reserve, 64 KiB an event
  CHECK(fixture.journal().usage().admission == Admission::closed);
  CHECK(fixture.journal().usage().bytes <= kSmall.quota_bytes);
  CHECK(read_all(fixture.journal()).size() == telemetry + money);
  fixture.reopen();
  CHECK(read_all(fixture.journal()).size() == telemetry + money);
  CHECK(std::holds_alternative<Refused>(append_one(fixture.journal(), big_item(++n, Priority::money))));
}

TEST_CASE_TEMPLATE("journal: a refusal is no error for what fits beside it", Fixture, EVERY_JOURNAL) {
  Fixture fixture(kSmall);
  std::uint64_t n = 0;
  fill(fixture.journal(), n, Priority::telemetry);
  const std::vector<AppendItem> group = {big_item(n + 1, Priority::telemetry), big_item(n + 2, Priority::money)};
  const auto outcomes = fixture.journal().append(group);
  REQUIRE(outcomes.has_value());
  CHECK(std::holds_alternative<Refused>((*outcomes)[0]));
  CHECK(std::holds_alternative<Appended>((*outcomes)[1]));
}

TEST_CASE_TEMPLATE("journal: one that was full opens again only when there is a gap", Fixture, EVERY_JOURNAL) {
  Fixture fixture(kSmall);
  std::uint64_t n = 0;
  const std::uint64_t rows = fill(fixture.journal(), n, Priority::money);
  // Room for three or four events appears at a time.
  fixture.journal().remember_acked(plain_mark(2), at_second(0));
  CHECK(fixture.journal().trim(at_second(5000))->rows == 2);
  CHECK(std::holds_alternative<Refused>(append_one(fixture.journal(), big_item(++n, Priority::money))));
  fixture.journal().remember_acked(plain_mark(rows), at_second(5000));
  while (fixture.journal().trim(at_second(50'000))->more) continue;
  CHECK(fixture.journal().usage().admission == Admission::open);
  CHECK(std::holds_alternative<Appended>(append_one(fixture.journal(), big_item(++n, Priority::telemetry))));
}

TEST_CASE_TEMPLATE("journal: committed rows give way before an event is refused, and it says so", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture(kSmall);
  std::uint64_t n = 0;
  std::optional<std::chrono::seconds> shrank;
  // Four quotas' worth, each event committed at once.
  for (int i = 0; i < 1600; ++i) {
    const auto outcome = append_one(fixture.journal(), big_item(++n, Priority::telemetry));
    REQUIRE(std::holds_alternative<Appended>(outcome));
    fixture.journal().remember_acked(plain_mark(n), at_second(i / 100));
    if (i % 97 != 0) continue;
    const auto trimmed = fixture.journal().trim(at_second(i / 100));
    if (trimmed->window_shrank_to) shrank = trimmed->window_shrank_to;
  }
  REQUIRE(shrank.has_value());
  CHECK(*shrank < 17s);
  CHECK(fixture.journal().usage().bytes <= kSmall.quota_bytes);
}

TEST_CASE_TEMPLATE("journal: verify sees every row, a bounded number a step", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  append_rows(fixture.journal(), 1, 5000, 1000);
  std::uint64_t rows = 0;
  std::optional<Row> from = Row(0);
  while (from) {
    const auto step = fixture.journal().verify(*from);
    REQUIRE(step.has_value());
    CHECK(step->rows <= journal::kVerifyRowsMax);
    CHECK(step->bad.empty());
    rows += step->rows;
    from = step->next;
  }
  CHECK(rows == 5000);
}

TEST_CASE_TEMPLATE("journal: a tally counts with the row that brings it, and only with that", Fixture, EVERY_JOURNAL) {
  Fixture fixture;
  const auto with_tally = [](std::uint64_t n, journal::Tally tally) {
    AppendItem item = item_of(n);
    item.tally = std::move(tally);
    return item;
  };
  CHECK(fixture.journal().opened_tallies().whole());
  const std::vector<AppendItem> group = {with_tally(1, {.key = "T1", .add = {1, 1250}}),
                                         with_tally(2, {.key = "T2", .add = {1, 300}}),
                                         with_tally(3, {.key = "T1", .add = {1, 50}}), item_of(4)};
  REQUIRE(fixture.journal().append(group).has_value());
  // Repeats, within the group and later.
  const std::vector<AppendItem> repeats = {with_tally(5, {.key = "T1", .add = {1, 7}}),
                                           with_tally(5, {.key = "T1", .add = {1, 7}}),
                                           with_tally(1, {.key = "T1", .add = {1, 1250}})};
  REQUIRE(fixture.journal().append(repeats).has_value());
  // What opening found stays what it found.
  CHECK(fixture.journal().opened_tallies().sums().empty());
  fixture.reopen();
  CHECK(fixture.journal().opened_tallies().whole());
  CHECK(fixture.journal().opened_tallies().find("T1")->numbers == journal::TallyNumbers{3, 1307});
  CHECK(fixture.journal().opened_tallies().find("T2")->numbers == journal::TallyNumbers{1, 300});
  CHECK(fixture.journal().opened_tallies().find("T3")->numbers == journal::TallyNumbers{});

  static_cast<void>(append_one(fixture.journal(), with_tally(6, {.key = "T1", .add = {0, 0, 9}, .reset = true})));
  static_cast<void>(append_one(fixture.journal(), with_tally(7, {.key = "T1", .add = {1, 400}})));
  fixture.reopen();
  CHECK(fixture.journal().opened_tallies().find("T1")->numbers == journal::TallyNumbers{1, 400, 9});
  CHECK(fixture.journal().opened_tallies().find("T2")->numbers == journal::TallyNumbers{1, 300});
}

TEST_CASE_TEMPLATE("journal: a row that is refused adds nothing to a tally", Fixture, EVERY_JOURNAL) {
  Fixture fixture({.quota_bytes = 16U << 20U, .reserve_bytes = 1U << 20U});
  std::uint64_t n = 0;
  std::int64_t stored = 0;
  for (bool full = false; !full;) {
    REQUIRE(n < 1000);
    AppendItem item = big_item(++n, Priority::money);
    item.tally = {.key = "T1", .add = {1}};
    full = std::holds_alternative<Refused>(append_one(fixture.journal(), item));
    if (!full) ++stored;
  }
  fixture.reopen();
  CHECK(fixture.journal().opened_tallies().find("T1")->numbers->front() == stored);
}

TEST_CASE_TEMPLATE("journal: of more tallies than there may be the first are kept, and the others unknown", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture;
  std::vector<AppendItem> items;
  for (std::uint64_t n = 0; n <= journal::kTalliesMax; ++n) {
    items.push_back(item_of(n + 1));
    items.back().tally = {.key = std::to_string(n), .add = {1}};
  }
  REQUIRE(fixture.journal().append(items).has_value());
  fixture.reopen();
  const journal::Tallies& tallies = fixture.journal().opened_tallies();
  CHECK(!tallies.whole());
  CHECK(tallies.sums().size() == journal::kTalliesMax);
  CHECK(tallies.find("17").has_value());
  CHECK(!tallies.find(std::to_string(journal::kTalliesMax)));
}

TEST_CASE_TEMPLATE("journal: tallies stay through trims and a new run, and are unknown from another epoch on", Fixture,
                   EVERY_JOURNAL) {
  Fixture fixture({.retention = 0s});
  AppendItem item = item_of(1);
  item.tally = {.key = "T1", .add = {1, 1250}};
  static_cast<void>(append_one(fixture.journal(), item));
  append_rows(fixture.journal(), 2, 5);
  const handoff::Segment run{run_id(8), Row(3), handoff::RunIndex(0), false, true};
  REQUIRE(fixture.journal().start_epoch(fixture.journal().opened().epoch, run).has_value());
  fixture.reopen();
  CHECK(fixture.journal().opened_tallies().find("T1")->numbers == journal::TallyNumbers{1, 1250});
  fixture.journal().remember_acked(plain_mark(5), at_second(0));
  REQUIRE(fixture.journal().trim(at_second(10)).has_value());
  append_rows(fixture.journal(), 6, 8);
  fixture.reopen();
  CHECK(fixture.journal().opened_tallies().find("T1")->numbers == journal::TallyNumbers{1, 1250});
  CHECK(fixture.journal().opened_tallies().whole());
  REQUIRE(fixture.journal().start_epoch(epoch_from(7, 6), std::nullopt).has_value());
  item = item_of(9);
  item.tally = {.key = "T1", .add = {1, 300}};
  static_cast<void>(append_one(fixture.journal(), item));
  item = item_of(10);
  item.tally = {.key = "T2", .add = {1, 300}, .reset = true};
  static_cast<void>(append_one(fixture.journal(), item));
  fixture.reopen();
  CHECK(!fixture.journal().opened_tallies().whole());
  CHECK(!fixture.journal().opened_tallies().find("T1"));
  CHECK(fixture.journal().opened_tallies().find("T2")->numbers == journal::TallyNumbers{1, 300});
}

TEST_CASE("journal: the fake and the real one agree about any history") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    MemoryFixture fake;
    SqliteFixture real;
    std::uint64_t next = 1;
    std::uint64_t oldest = 1;
    std::uint64_t acked = 0;
    std::int64_t now = 0;
    std::uint8_t epoch = 0;
    const auto both = [&](auto&& act) {
      act(fake.journal());
      act(real.journal());
    };
    for (int step = 0; step < 120; ++step) {
      now += static_cast<std::int64_t>(random.below(200));
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2: {
          std::vector<AppendItem> items;
          for (std::uint64_t i = random.below(20); i > 0; --i) items.push_back(item_of(random.below(4000)));
          const auto a = fake.journal().append(items);
          const auto b = real.journal().append(items);
          REQUIRE(a->size() == b->size());
          for (std::size_t i = 0; i < a->size(); ++i) {
            REQUIRE((*a)[i].index() == (*b)[i].index());
            if (const auto* row = std::get_if<Appended>(&(*a)[i])) {
              REQUIRE(row->row == std::get<Appended>((*b)[i]).row);
              ++next;
            } else if (const auto* known = std::get_if<Candidates>(&(*a)[i])) {
              REQUIRE(known->rows.front().row == std::get<Candidates>((*b)[i]).rows.front().row);
            }
          }
          break;
        }
        case 3:
          if (acked + 1 < next) acked += random.below(next - acked);
          both([&](journal::Journal& journal) { journal.remember_acked(plain_mark(acked), at_second(now)); });
          break;
        case 4: {
          const auto a = fake.journal().trim(at_second(now));
          const auto b = real.journal().trim(at_second(now));
          REQUIRE(a->rows == b->rows);
          REQUIRE(a->base.row == b->base.row);
          oldest = a->oldest.value();
          break;
        }
        case 5: {
          const auto start = epoch_from(++epoch, oldest + random.below(next - oldest + 1));
          std::optional<handoff::Segment> run;
          if (random.one_in(2)) run = handoff::Segment{run_id(epoch), start.first_row, {}, false, true};
          both([&](journal::Journal& journal) { REQUIRE(journal.start_epoch(start, run).has_value()); });
          if (acked >= start.first_row.value()) acked = oldest - 1;
          break;
        }
        case 6:
          both([&](journal::Journal& journal) { REQUIRE(journal.flush().has_value()); });
          fake.reopen();
          real.reopen();
          break;
        default: {
          const std::uint64_t hash = item_of(random.below(4000)).key_hash;
          const auto a = fake.journal().find(hash, 5);
          const auto b = real.journal().find(hash, 5);
          REQUIRE(a->size() == b->size());
          for (std::size_t i = 0; i < a->size(); ++i) {
            REQUIRE((*a)[i].row == (*b)[i].row);
            REQUIRE((*a)[i].committed_at.has_value() == (*b)[i].committed_at.has_value());
          }
        }
      }
    }
    both([](journal::Journal& journal) { REQUIRE(journal.flush().has_value()); });
    fake.reopen();
    real.reopen();
    const auto& a = fake.journal().opened();
    const auto& b = real.journal().opened();
    CHECK(a.oldest == b.oldest);
    CHECK(a.next == b.next);
    CHECK(a.acked.row == b.acked.row);
    CHECK(a.epoch.first_row == b.epoch.first_row);
    REQUIRE(a.segments.size() == b.segments.size());
    for (std::size_t i = 0; i < a.segments.size(); ++i) CHECK(a.segments[i].first_row == b.segments[i].first_row);
    REQUIRE(a.answered.size() == b.answered.size());
    for (std::size_t i = 0; i < a.answered.size(); ++i) CHECK(a.answered[i].from == b.answered[i].from);
    const auto rows_a = read_all(fake.journal());
    const auto rows_b = read_all(real.journal());
    REQUIRE(rows_a.size() == rows_b.size());
    for (std::size_t i = 0; i < rows_a.size(); ++i) REQUIRE(rows_a[i].record == rows_b[i].record);
  }
}
