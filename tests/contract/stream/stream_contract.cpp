// What every stream promises, whatever keeps it. Written against the interface alone; completions are pumped by a test
// loop.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/contract/stream/stream_rig.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/stream/test_loop.hpp"

namespace {

using namespace test;
using stream::Partition;
using stream::Position;
using stream::TransactionId;

constexpr Partition kPartition{0};

// One bridge's life with the stream. Destroying it without close() is a crash, as far as a process can play one.
class Life {
 public:
  explicit Life(StreamRig& rig) : started_(rig.start(loop.post())) {
    outside([this] { started_.stream->open(owner); });
  }

  [[nodiscard]] bool become_owner() {
    return loop.run_until([this] { return owner.owned; });
  }
  void begin(stream::Transaction transaction) {
    REQUIRE(stream().may_begin(kPartition));
    outside([&] { stream().begin(kPartition, TransactionId(++last_id_), std::move(transaction)); });
  }
  [[nodiscard]] bool await_commit() {
    return loop.run_until([this] { return !owner.committed.empty() && owner.committed.back() == last_id_; });
  }
  [[nodiscard]] bool commit(stream::Transaction transaction) {
    begin(std::move(transaction));
    return await_commit();
  }
  [[nodiscard]] bool await_loss() {
    return loop.run_until([this] { return !owner.losses.empty(); });
  }
  [[nodiscard]] bool close() {
    bool done = false;
    outside([&] { stream().close([&done] { done = true; }); });
    return loop.run_until([&done] { return done; });
  }
  [[nodiscard]] base::Result<stream::ReadPage, stream::ReadError> read(Position from, stream::ReadLimits limits = {}) {
    std::optional<base::Result<stream::ReadPage, stream::ReadError>> page;
    outside([&] { started_.reader->read(from, limits, [&page](auto result) { page = std::move(result); }); });
    REQUIRE(loop.run_until([&page] { return page.has_value(); }));
    return *page;
  }

  stream::Stream& stream() { return *started_.stream; }
  stream::StreamReader& reader() { return *started_.reader; }

  TestLoop loop;
  RecordingOwner owner;

 private:
  // No callback may come inside a call.
  template <class Call>
  void outside(Call call) {
    owner.inside_call = true;
    call();
    owner.inside_call = false;
    CHECK_FALSE(owner.called_inside);
  }

  StreamRig::Started started_;
  std::uint64_t last_id_ = 0;
};

std::vector<std::uint64_t> seqs(const std::vector<stream::Record>& records, const std::string& gateway, int epoch) {
  std::vector<std::uint64_t> found;
  for (const auto& record : records) {
    if (record.gateway_id == gateway && record.epoch == epoch_hex(epoch) && record.seq) found.push_back(*record.seq);
  }
  return found;
}

std::vector<std::uint64_t> up_to(std::uint64_t last) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t seq = 1; seq <= last; ++seq) all.push_back(seq);
  return all;
}

std::uint64_t progress_of(const std::vector<tillstream::v1::Progress>& all, const std::string& gateway) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& row) { return row.gateway_id() == gateway; });
  return found == all.end() ? 0 : found->seq();
}

}  // namespace

TEST_CASE("stream: nothing may begin before the partition is owned") {
  const auto rig = make_rig();
  Life life(*rig);
  CHECK_FALSE(life.stream().may_begin(kPartition));
  REQUIRE(life.become_owner());
  CHECK(life.owner.progress_found.empty());
  CHECK(life.stream().may_begin(kPartition));
  CHECK(life.stream().status().up);
}

TEST_CASE("stream: what on_committed names is there for other readers, whole and in order") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  auto transaction = test::transaction("shop-1", 1, 1, 3);
  const auto other = test::transaction("shop-2", 7, 1, 2);
  transaction.records.insert(transaction.records.begin() + 1, other.records.begin(), other.records.end());
  transaction.progress.push_back(other.progress.front());
  transaction.dead_letters.push_back(dead_letter("shop-1", "", "d1"));
  transaction.gateways.push_back({"shop-1", R"({"gateway_id":"shop-1"})"});
  REQUIRE(life.commit(transaction));

  const CommittedView view = rig->committed();
  CHECK(view.records == transaction.records);
  CHECK(view.dead_letters == transaction.dead_letters);
  CHECK(view.gateways.at("shop-1") == R"({"gateway_id":"shop-1"})");
}

TEST_CASE("stream: one transaction at a time") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  life.begin(transaction("shop-1", 1, 1, 1));
  CHECK_FALSE(life.stream().may_begin(kPartition));
  REQUIRE(life.await_commit());
  CHECK(life.stream().may_begin(kPartition));
}

TEST_CASE("stream: the next owner finds the progress that was committed last") {
  const auto rig = make_rig();
  const auto last = progress("shop-1", 2, 4);
  {
    Life life(*rig);
    REQUIRE(life.become_owner());
    REQUIRE(life.commit(transaction("shop-1", 1, 1, 9)));
    REQUIRE(life.commit(transaction("shop-2", 1, 1, 5)));
    REQUIRE(life.commit(transaction("shop-1", 2, 1, 4)));
    REQUIRE(life.close());
  }
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.owner.progress_found.size() == 2);
  CHECK(progress_of(life.owner.progress_found, "shop-2") == 5);
  const auto& found = life.owner.progress_found;
  CHECK(std::any_of(found.begin(), found.end(),
                    [&](const auto& row) { return row.SerializeAsString() == last.SerializeAsString(); }));
}

TEST_CASE("stream: a second record of one place fails its whole transaction, loudly") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  auto repeat = transaction("shop-1", 1, 4, 5);
  SUBCASE("already in the stream") { repeat.records.push_back(record("shop-1", 1, 3)); }
  SUBCASE("twice in one transaction") { repeat.records.push_back(record("shop-1", 1, 5)); }
  repeat.dead_letters.push_back(dead_letter("shop-1", "", "d1"));
  repeat.gateways.push_back({"shop-1", "{}"});
  life.begin(repeat);
  REQUIRE(life.await_loss());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.stream().status().last_error.empty());

  REQUIRE(life.become_owner());
  CHECK(progress_of(life.owner.progress_found, "shop-1") == 3);
  const CommittedView view = rig->committed();
  CHECK(seqs(view.records, "shop-1", 1) == up_to(3));
  CHECK(view.dead_letters.empty());
  CHECK(view.gateways.empty());
  CHECK(life.commit(transaction("shop-1", 1, 4, 5)));
}

TEST_CASE("stream: the same seq of another epoch or gateway is another place, and a bridge's notices have none") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  auto transaction = test::transaction("shop-1", 1, 1, 1);
  transaction.records.push_back(record("shop-1", 2, 1));
  transaction.records.push_back(record("shop-2", 1, 1));
  transaction.records.push_back(bridge_notice("shop-1", "n1"));
  transaction.records.push_back(bridge_notice("shop-1", "n2"));
  REQUIRE(life.commit(transaction));
  CHECK(rig->committed().records == transaction.records);
}

TEST_CASE("stream: a dead letter is kept once for each gateway, epoch and digest") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  stream::Transaction letters;
  letters.dead_letters = {dead_letter("shop-1", "", "d1"), dead_letter("shop-1", "", "d1")};
  REQUIRE(life.commit(letters));
  letters.dead_letters = {dead_letter("shop-1", "", "d1"), dead_letter("shop-1", "", "d2"),
                          dead_letter("shop-2", "", "d1"), dead_letter("shop-1", epoch_hex(1), "d1")};
  letters.dead_letters.back().payload = std::string("\0\1x", 3);
  REQUIRE(life.commit(letters));
  const auto kept = rig->committed().dead_letters;
  CHECK(kept.size() == 4);
  CHECK(std::count(kept.begin(), kept.end(), letters.dead_letters.back()) == 1);
  CHECK(life.stream().status().dead_letters == 4);
}

TEST_CASE("stream: the newest row of a gateway stands for it") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  stream::Transaction rows;
  rows.gateways = {{"shop-1", R"({"n":1})"}, {"shop-2", R"({"n":2})"}, {"shop-1", R"({"n":3})"}};
  REQUIRE(life.commit(rows));
  CHECK(rig->committed().gateways ==
        std::map<std::string, std::string>{{"shop-1", R"({"n":3})"}, {"shop-2", R"({"n":2})"}});
}

TEST_CASE("stream: a failed commit is a loss, and the progress found afterwards says exactly what is in the stream") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  Fault fault = Fault::certain_failure;
  SUBCASE("certainly not in the stream") { fault = Fault::certain_failure; }
  SUBCASE("perhaps in the stream") { fault = Fault::uncertain_outcome; }
  rig->fail_next_commit(fault);
  life.begin(transaction("shop-1", 1, 4, 40));
  REQUIRE(life.await_loss());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.owner.losses.front().empty());

  REQUIRE(life.become_owner());
  const std::uint64_t through = progress_of(life.owner.progress_found, "shop-1");
  CHECK((through == 3 || through == 40));
  if (fault == Fault::certain_failure) CHECK(through == 3);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through));

  REQUIRE(life.commit(transaction("shop-1", 1, through + 1, 50)));
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(50));
}

TEST_CASE("stream: a crash in the middle of a commit leaves all of it or nothing") {
  const auto rig = make_rig();
  std::uint64_t through = 0;
  for (int round = 0; round < 8; ++round) {
    Life life(*rig);
    REQUIRE(life.become_owner());
    through = progress_of(life.owner.progress_found, "shop-1");
    CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through));
    REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 2)));
    life.begin(transaction("shop-1", 1, through + 3, through + 100));
  }
  Life life(*rig);
  REQUIRE(life.become_owner());
  CHECK(progress_of(life.owner.progress_found, "shop-1") >= 16);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(progress_of(life.owner.progress_found, "shop-1")));
}

TEST_CASE("stream: close finishes what is under way, and calls nothing afterwards") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  life.begin(transaction("shop-1", 1, 1, 20));
  REQUIRE(life.close());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.stream().may_begin(kPartition));
  const int calls = life.owner.calls;
  life.loop.run_pending();
  CHECK(life.owner.calls == calls);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(20));
}

TEST_CASE("stream: a blocked stream says why, takes nothing, and recovers by itself") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  rig->block();
  std::uint64_t through = 0;
  for (int round = 0; round < 100 && life.stream().may_begin(kPartition); ++round, through += 100) {
    REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 100)));
  }
  CHECK_FALSE(life.stream().may_begin(kPartition));
  CHECK(life.stream().status().up);
  CHECK_FALSE(life.stream().status().blocked.empty());
  CHECK(life.owner.losses.empty());

  rig->unblock();
  REQUIRE(life.loop.run_until([&] { return life.owner.times_ready > 0; }));
  CHECK(life.stream().status().blocked.empty());
  REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 1)));
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through + 1));
}

TEST_CASE("stream: a reader goes through all records in bounded pages, from any position") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto empty = life.read(Position(0));
  REQUIRE(empty.has_value());
  CHECK(empty->records.empty());
  CHECK_FALSE(empty->more);

  const auto transaction = test::transaction("shop-1", 1, 1, 25);
  REQUIRE(life.commit(transaction));
  std::vector<stream::Record> seen;
  std::vector<Position> positions;
  Position from(0);
  for (bool more = true; more;) {
    const auto page = life.read(from, {.records = 10, .bytes = 1 << 20});
    REQUIRE(page.has_value());
    CHECK(page->records.size() <= 10);
    for (const auto& read : page->records) {
      seen.push_back(read.record);
      positions.push_back(read.position);
    }
    from = page->next;
    more = page->more;
  }
  CHECK(seen == transaction.records);
  CHECK(std::is_sorted(positions.begin(), positions.end()));
  CHECK(std::adjacent_find(positions.begin(), positions.end()) == positions.end());
  CHECK(positions.front() > Position(0));

  SUBCASE("a position is where it starts") {
    const auto page = life.read(positions[7], {.records = 1, .bytes = 1});
    REQUIRE(page->records.size() == 1);
    CHECK(page->records.front().position == positions[7]);
    CHECK(page->next > positions[7]);
    CHECK(page->next <= positions[8]);
  }
  SUBCASE("bytes bound a page, and one record always fits") {
    const std::size_t value = seen.front().value.size();
    CHECK(life.read(Position(0), {.records = 100, .bytes = 3 * value})->records.size() < 6);
    CHECK(life.read(Position(0), {.records = 100, .bytes = 1})->records.size() == 1);
  }
  SUBCASE("the end is found again when more comes") {
    CHECK(life.read(from)->records.empty());
    REQUIRE(life.commit(test::transaction("shop-1", 1, 26, 26)));
    const auto page = life.read(from);
    REQUIRE(page->records.size() == 1);
    CHECK(*page->records.front().record.seq == 26);
  }
  SUBCASE("far beyond the end there is nothing") { CHECK(life.read(Position(UINT64_MAX))->records.empty()); }
}

TEST_CASE("stream: a watcher hears of each commit that appended, with the last position") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  std::vector<Position> heard;
  life.reader().watch([&heard](Position last) { heard.push_back(last); });
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  stream::Transaction quiet;
  quiet.gateways = {{"shop-1", "{}"}};
  REQUIRE(life.commit(quiet));
  REQUIRE(life.commit(transaction("shop-1", 1, 4, 4)));
  life.loop.run_pending();
  REQUIRE(heard.size() == 2);
  CHECK(heard[0] < heard[1]);
  CHECK(life.read(heard[1])->records.size() == 1);
  CHECK(life.stream().status().last_position == heard[1]);

  life.reader().watch({});
  REQUIRE(life.commit(transaction("shop-1", 1, 5, 5)));
  life.loop.run_pending();
  CHECK(heard.size() == 2);
}

TEST_CASE("stream: reads that wait are answered while transactions go on, and when it closes") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  int answered = 0;
  int asked = 0;
  std::uint64_t through = 0;
  for (; through < 20; ++through) {
    life.begin(transaction("shop-1", 1, through + 1, through + 1));
    for (int i = 0; i < 3; ++i, ++asked) {
      life.reader().read(Position(0), {}, [&answered](const auto& /*page*/) { ++answered; });
    }
    REQUIRE(life.await_commit());
  }
  REQUIRE(life.close());
  CHECK(answered == asked);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(20));
}
