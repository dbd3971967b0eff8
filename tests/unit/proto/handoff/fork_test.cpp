// When the stream is not where the journal left it: restored images, clones, new disks, rolled-back streams, salvages.
#include <doctest/doctest.h>

#include "tests/support/handoff/gateway_bench.hpp"

using namespace support;
using handoff::AlarmKind;
using handoff::SenderState;

namespace {

bool alarmed(const GatewayBench& gateway, AlarmKind kind) {
  return std::find(gateway.alarms.begin(), gateway.alarms.end(), kind) != gateway.alarms.end();
}

using Details = std::vector<std::pair<std::string, std::string>>;

std::optional<Details> shrunk(const GatewayBench& gateway) {
  for (const handoff::AppendNotice& notice : gateway.notices) {
    if (notice.name == "duplicate_window_shrunk") return notice.details;
  }
  return std::nullopt;
}

// Progress in an epoch that is not this journal's, with the runs of `known`.
handoff::Progress foreign(GatewayBench& gateway, handoff::Progress known, std::uint64_t seq = 40) {
  known.place = {gateway.random.id<handoff::Epoch>(), Seq(seq), base::Digest{}};
  return known;
}

handoff::Progress with_unknown_runs(GatewayBench& gateway, std::size_t runs) {
  handoff::Progress progress = foreign(gateway, {.gateway_id = "shop-1"});
  for (std::size_t i = 0; i < runs; ++i) progress.set_run({gateway.random.id<handoff::Run>(), 3, base::Digest{}});
  return progress;
}

}  // namespace

TEST_CASE(
    "fork: rows that the run counts cover are in the stream, the rest go into an epoch that supersedes it [H-40]") {
  GatewayBench gateway;
  gateway.append(5);
  const handoff::Progress stored = foreign(gateway, gateway.progress(3));
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  REQUIRE(gateway.stored.size() == 1);
  const handoff::EpochStart& start = gateway.stored[0].start;
  CHECK(start.first_row == Row(4));
  CHECK(start.supersedes == stored.place);
  CHECK_FALSE(start.lost);
  CHECK_FALSE(gateway.stored[0].run);
  CHECK(gateway.last_hello().new_epoch());
  CHECK(gateway.last_hello().supersedes().seq() == 40);
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+2");
  CHECK(gateway.batches()[0].run_index() == 3);
  CHECK_FALSE(gateway.batches()[0].possible_repeat());
}

TEST_CASE("fork: counts of several runs cover up to the newest one [H-40]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.reset();
  gateway.append(3);
  const handoff::Progress stored = foreign(gateway, gateway.progress(5));
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.at(0).start.first_row == Row(6));
}

TEST_CASE("fork: an epoch is on disk before its Hello [H-41]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.connect();
  const std::size_t said = gateway.hellos().size();
  gateway.journal_answers = false;
  const handoff::Progress stored = with_unknown_runs(gateway, 1);
  gateway.hear(gateway.answer(stored));
  gateway.pass(seconds(20));
  CHECK(gateway.hellos().size() == said);
  gateway.journal.start_epoch(gateway.stored.at(0).start, gateway.stored.at(0).run);
  gateway.sender->on_epoch_stored(gateway.now);
  gateway.settle();
  CHECK(gateway.hellos().size() == said + 1);
  CHECK(gateway.last_hello().epoch() == gateway.journal.epoch().epoch.view());
}

TEST_CASE("fork: a refused attempt is computed anew, as a fresh epoch [H-42]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.connect();
  gateway.hear(gateway.answer(foreign(gateway, gateway.progress(1))));
  const handoff::EpochStart first = gateway.stored.at(0).start;
  const std::uint64_t nonce = gateway.last_hello().nonce();
  // Meanwhile more was published under the old epoch: rows 2 and 3 of the same run.
  handoff::Progress newer = foreign(gateway, {.gateway_id = "shop-1"}, 41);
  const handoff::Segments segments(gateway.journal.segments());
  handoff::Mark mark{};
  for (Row row(1); row <= Row(3); ++row) {
    mark = handoff::advance(platform::hasher(), segments, gateway.journal.epoch(), mark, gateway.journal.at(row));
  }
  newer.set_run({segments.of(Row(1)).run, 3, mark.run_digest});
  gateway.hear(gateway.answer(newer));
  const handoff::EpochStart second = gateway.stored.at(1).start;
  CHECK(second.epoch != first.epoch);
  CHECK(second.first_row == Row(4));
  CHECK(second.supersedes == newer.place);
  CHECK(gateway.last_hello().nonce() != nonce);
}

TEST_CASE(
    "fork: an attempt that was accepted after all covers what it began after, and its loss is not told twice [H-42] "
    "[H-46]") {
  GatewayBench gateway;
  gateway.append(6);
  gateway.stream_from(6);
  gateway.append(2);
  gateway.trim(Row(4));
  gateway.reset();
  gateway.connect();
  handoff::Progress rolled_back = foreign(gateway, {.gateway_id = "shop-1"}, 0);
  gateway.hear(gateway.answer(rolled_back));
  const handoff::EpochStart first = gateway.stored.back().start;
  REQUIRE(first.lost);
  gateway.hear(gateway.answer(foreign(gateway, {.gateway_id = "shop-1"}, 0)));  // a stale bridge
  handoff::Progress accepted{.gateway_id = "shop-1"};
  accepted.place = {first.epoch, Seq(0), handoff::chain_start(platform::hasher(), first.epoch)};
  gateway.hear(gateway.answer(accepted));
  CHECK(gateway.stored.back().start.first_row == first.first_row);
  CHECK_FALSE(gateway.stored.back().start.lost);
}

TEST_CASE("fork: a mark beyond the start of an epoch that was never accepted is not believed [H-43]") {
  GatewayBench gateway;
  gateway.append(4);
  handoff::JournalState state = gateway.journal.open(gateway.random);
  state.acked = {.row = Row(3)};  // of an older epoch: its digests mean nothing here
  gateway.sender->on_opened(state, gateway.now);
  CHECK(gateway.sender->acked() == Row(0));
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(4)));
  CHECK(gateway.sender->state() == SenderState::streaming);
  CHECK(gateway.sender->acked() == Row(4));
}

TEST_CASE(
    "fork: a count beyond the run's length is doubtful: after what was acked, as a new run, possibly repeated [H-44]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(2);
  handoff::Progress stored = foreign(gateway, gateway.progress(2));
  const handoff::Run run = stored.runs.back().run;
  stored.set_run({run, 9, base::Digest{}});
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(stored));
  REQUIRE(gateway.stored.size() == 2);
  CHECK(gateway.stored[0].start.first_row == Row(3));
  REQUIRE(gateway.stored[0].run);
  CHECK(gateway.stored[0].run->possible_repeat);
  CHECK(gateway.stored[0].run->run != run);
  CHECK(gateway.stored[1].run->first_row == Row(6));
  CHECK_FALSE(gateway.stored[1].run->possible_repeat);
  CHECK(gateway.last_hello().run() == gateway.stored[1].run->run.view());
  gateway.sent.clear();
  gateway.append(1);
  gateway.pass(seconds(1));
  gateway.hear(gateway.answer(gateway.progress(0)));
  gateway.hear(GatewayBench::place(gateway.progress(3)));
  const auto batches = gateway.batches();
  REQUIRE(gateway.sent_seqs() == "1+3 4+1");
  CHECK(batches[0].possible_repeat());
  CHECK(batches[0].run_index() == 0);
  CHECK_FALSE(batches[1].possible_repeat());  // appended after the answer: it cannot have been published
}

TEST_CASE(
    "fork: rows under the name of an opening that has none here came from a copy of the running box: a new run "
    "[H-44]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.reset();
  gateway.connect();
  handoff::Progress stored = foreign(gateway, gateway.progress(3));
  const base::Bytes opening = gateway.last_hello().run();
  handoff::Run run;
  std::copy(opening.begin(), opening.end(), run.bytes.begin());
  stored.set_run({run, 2, base::Digest{}});
  gateway.hear(gateway.answer(stored));
  REQUIRE(gateway.stored.size() == 1);
  CHECK(gateway.stored[0].start.first_row == Row(4));
  CHECK(gateway.stored[0].start.lost.has_value());
  REQUIRE(gateway.stored[0].run);
  CHECK(gateway.stored[0].run->run != run);
  CHECK(gateway.last_hello().run() == gateway.stored[0].run->run.view());
  CHECK(alarmed(gateway, AlarmKind::image_restored));
}

TEST_CASE("fork: another digest at the count is doubtful, too [H-44]") {
  GatewayBench gateway;
  gateway.append(5);
  handoff::Progress stored = foreign(gateway, gateway.progress(3));
  stored.set_run({stored.runs.back().run, 3, base::Digest{}});
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.at(0).start.first_row == Row(1));
  CHECK(gateway.stored.at(0).run->possible_repeat);
}

TEST_CASE("fork: no known run is proof that nothing is in the stream, unless the list overflowed [H-44]") {
  GatewayBench known;
  known.append(2);
  known.connect();
  known.hear(known.answer(with_unknown_runs(known, 16)));
  CHECK(known.stored.at(0).start.first_row == Row(1));
  CHECK_FALSE(known.stored.at(0).run);

  GatewayBench blind;
  blind.append(2);
  blind.connect();
  blind.hear(blind.answer(with_unknown_runs(blind, 17)));
  CHECK(blind.stored.at(0).start.first_row == Row(1));
  CHECK(blind.stored.at(0).run->possible_repeat);
}

TEST_CASE("fork: a restored image whose old run the stream has outgrown does not mark what is new [H-44] [H-47]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.stream_from(3);
  const ModelJournal image = gateway.journal;
  gateway.append(4);
  const handoff::Progress live = gateway.progress(7);
  gateway.journal = image;
  gateway.reset();
  gateway.append(2);
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(live));
  REQUIRE(gateway.stored.size() == 1);
  CHECK(gateway.stored[0].start.first_row == Row(4));
  CHECK_FALSE(gateway.stored[0].run);
  CHECK(gateway.stored[0].start.lost == handoff::Lost{"restored_image", Seq(8), Seq(0)});
  CHECK(alarmed(gateway, AlarmKind::image_restored));
}

TEST_CASE("fork: an image that was stopped before it was taken neither repeats nor loses what it had pending [H-40]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(2);
  const ModelJournal image = gateway.journal;
  gateway.reset();  // the live box goes on as a new run
  gateway.append(3);
  const handoff::Progress live = gateway.progress(8);
  gateway.journal = image;
  gateway.reset();
  gateway.append(1);
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(live));
  CHECK(gateway.stored.at(0).start.first_row == Row(6));
  CHECK_FALSE(gateway.stored.at(0).run);
}

TEST_CASE("fork: a restored image of a stopped box tells which repeats it cannot recognise, once [H-92]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(5);
  const ModelJournal image = gateway.journal;
  gateway.reset();
  gateway.append(3);
  const handoff::Progress live = gateway.progress(8);
  gateway.journal = image;
  gateway.reset();
  gateway.append(1);
  gateway.connect();
  gateway.hear(gateway.answer(live));
  CHECK(gateway.stored.back().start.lacks_from == Seq(6));
  // Refused: others have come meanwhile. The epoch is told by its superseded one all the same.
  handoff::Progress later = live;
  later.place.seq = Seq(9);
  later.runs.back().count = 4;
  gateway.hear(gateway.answer(later));
  CHECK_FALSE(shrunk(gateway));
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(shrunk(gateway) == Details{{"reason", "journal_behind_stream"},
                                   {"window_seconds", "0"},
                                   {"epoch", base::to_hex(live.place.epoch.view())},
                                   {"first_seq", "6"},
                                   {"last_seq", "9"}});
  CHECK(gateway.stored.back().start.accepted);
  CHECK_FALSE(gateway.stored.back().start.lacks_from);
  gateway.notices.clear();
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.notices.empty());
}

TEST_CASE("fork: what the journal lacks is told after a restart, too, when its epoch was accepted meanwhile [H-92]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.connect();
  handoff::Progress other = with_unknown_runs(gateway, 1);
  gateway.hear(gateway.answer(other));
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  REQUIRE(shrunk(gateway));
  CHECK(shrunk(gateway)->at(3) == std::pair<std::string, std::string>{"first_seq", "1"});
  CHECK(shrunk(gateway)->back() == std::pair<std::string, std::string>{"earlier_epochs", "possible"});
  CHECK(shrunk(gateway)->at(4) == std::pair<std::string, std::string>{"last_seq", "40"});
}

TEST_CASE("fork: an epoch without rows after what the journal lacks is named without seqs [H-92]") {
  GatewayBench gateway;
  gateway.append(2);
  handoff::Progress other = with_unknown_runs(gateway, 1);
  other.place.seq = Seq(0);
  gateway.connect();
  gateway.hear(gateway.answer(other));
  gateway.hear(gateway.answer(gateway.progress(0)));
  REQUIRE(shrunk(gateway));
  CHECK(shrunk(gateway)->size() == 4);
  CHECK(shrunk(gateway)->back() == std::pair<std::string, std::string>{"earlier_epochs", "possible"});
}

TEST_CASE("fork: other rows under the names of this journal's are rows that it lacks [H-92]") {
  GatewayBench gateway;
  gateway.append(5);
  handoff::Progress stored = foreign(gateway, gateway.progress(3));
  stored.set_run({stored.runs.back().run, 3, base::Digest{}});
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.at(0).start.lacks_from == Seq(1));
}

TEST_CASE("fork: a journal that holds the newest rows of the stream lacks nothing [H-92]") {
  GatewayBench gateway;
  gateway.append(5);
  const handoff::Progress all = gateway.progress(5);
  gateway.stream_from(5);
  gateway.append(1);
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(foreign(gateway, all)));
  CHECK_FALSE(gateway.stored.back().start.lacks_from);
}

TEST_CASE("fork: acks of rows that a roll-back took away settle no doubt about other runs [H-44]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.stream_from(2);
  const handoff::Run old_run = gateway.progress(2).runs.back().run;
  gateway.reset();
  gateway.append(4);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(6)));
  REQUIRE(gateway.sender->acked() == Row(6));
  // Rolled back to a time when another box had outgrown the old run, and the new one was not there yet.
  handoff::Progress stored = foreign(gateway, {.gateway_id = "shop-1"});
  stored.set_run({old_run, 7, base::Digest{}});
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.back().start.first_row == Row(3));
}

TEST_CASE(
    "fork: what another life of the journal may have sent under other names is marked, and keeps its own [H-90]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(2);
  gateway.reset();
  gateway.append(2);
  handoff::Progress other = foreign(gateway, gateway.progress(2));
  const handoff::Run own = other.runs.back().run;
  other.set_run({gateway.random.id<handoff::Run>(), 3, base::Digest{}});
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(other));
  CHECK(gateway.stored.back().start.repeats_through == Row(0));  // a run that was never anything else
  other.runs.back().renamed = true;
  gateway.hear(gateway.answer(other));
  CHECK(gateway.stored.back().start.first_row == Row(3));
  CHECK(gateway.stored.back().start.repeats_through == Row(7));
  CHECK_FALSE(gateway.stored.back().run);
  gateway.append(1);
  gateway.hear(gateway.answer(gateway.progress(0)));
  for (std::uint64_t acked = 1; acked <= 5; ++acked) gateway.hear(GatewayBench::place(gateway.progress(acked)));
  const auto batches = gateway.batches();
  REQUIRE(batches.size() >= 3);
  CHECK(batches.front().run() == own.view());
  for (const v1::Batch& batch : batches) {
    CHECK(batch.possible_repeat() == (batch.first_seq() <= 5));
    CHECK_FALSE(batch.renamed());
  }
  CHECK(batches.back().first_seq() == 6);
}

TEST_CASE(
    "fork: rows that got a new name are sent as such, and a life that has it marks nothing for it [H-90] [H-91]") {
  GatewayBench gateway;
  gateway.append(3);
  handoff::Progress stored = foreign(gateway, gateway.progress(1));
  stored.set_run({stored.runs.back().run, 9, base::Digest{}});
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  gateway.append(1);
  gateway.hear(gateway.answer(gateway.progress(0)));
  gateway.hear(GatewayBench::place(gateway.progress(3)));
  REQUIRE(gateway.batches().size() == 2);
  CHECK(gateway.batches()[0].renamed());
  CHECK_FALSE(gateway.batches()[1].renamed());
  handoff::Progress known = foreign(gateway, gateway.progress(3));
  REQUIRE(known.runs.back().run == gateway.stored[0].run->run);
  known.runs.back().renamed = true;
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(known));
  CHECK(gateway.stored.back().start.first_row == Row(4));
  CHECK(gateway.stored.back().start.repeats_through == Row(0));
}

TEST_CASE("fork: progress that forgot a renamed run may have had it from this journal [H-90]") {
  GatewayBench gateway;
  gateway.append(3);
  handoff::Progress stored = foreign(gateway, gateway.progress(1));
  stored.renamed_forgotten = true;
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.back().start.first_row == Row(2));
  CHECK(gateway.stored.back().start.repeats_through == Row(3));
}

TEST_CASE(
    "fork: what a salvaged journal has trimmed and a roll-back took out of its run is the lost range [H-46] [H-45]") {
  GatewayBench gateway;
  const auto run = gateway.random.id<handoff::Run>();
  handoff::Progress early = foreign(gateway, {.gateway_id = "shop-1"});
  early.set_run({run, 2, std::nullopt});
  // Salvaged when its rows 1 … 3 were trimmed; 4 … 6 since.
  const handoff::Segments segments(
      {{.run = run, .first_row = Row(4), .first_index = handoff::RunIndex(3), .digest_void = true}});
  const handoff::EpochStart epoch{.epoch = gateway.random.id<handoff::Epoch>(), .first_row = Row(4), .accepted = true};
  const handoff::Verdict verdict = handoff::judge(platform::hasher(), early,
                                                  {.epoch = epoch,
                                                   .segments = segments,
                                                   .opening = gateway.random.id<handoff::Run>(),
                                                   .next = Row(10),
                                                   .base = {.row = Row(6)},
                                                   .acked = {.row = Row(9)},
                                                   .acked_ever = Row(9),
                                                   .attempts = {},
                                                   .proved = {}});
  const auto* fork = std::get_if<handoff::Fork>(&verdict);
  REQUIRE(fork != nullptr);
  CHECK(fork->floor.row == Row(6));
  CHECK(fork->lost == handoff::Lost{"stream_rolled_back", Seq(41), Seq(44)});
}

TEST_CASE("fork: runs that a salvage cut are covered by count alone [H-45]") {
  GatewayBench gateway;
  gateway.append(8);
  const handoff::Progress stored = gateway.progress(6);
  gateway.journal.salvage(Row(3), Row(4), "hole", gateway.random);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  // Rows 1 2 hole 5 6 7 8 are now 1 … 7, and the stream has six of the run.
  CHECK(gateway.stored.at(0).start.first_row == Row(6));
  CHECK_FALSE(gateway.stored.at(0).run);
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.batches().at(0).run_index() == 6);
  CHECK(gateway.batches().at(0).run_digest_before().empty());
}

TEST_CASE("fork: a run of which only rows before the hole's end are in the stream covers all runs before it [H-45]") {
  GatewayBench gateway;
  gateway.append(4);
  gateway.reset();
  gateway.append(4);
  const handoff::Progress stored = gateway.progress(6);  // two rows of the second run
  gateway.journal.salvage(Row(4), Row(7), "hole", gateway.random);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.at(0).start.first_row == Row(4));
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.batches().at(0).records().record(0) == "hole");
}

TEST_CASE("fork: a hole that is not yet in the stream goes up in its place [H-45]") {
  GatewayBench gateway;
  gateway.append(8);
  const handoff::Progress stored = gateway.progress(3);
  gateway.journal.salvage(Row(3), Row(5), "hole", gateway.random);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.batches().at(0).records().record(0) == "hole");
}

TEST_CASE("fork: a roll-back below what is retained: the lost range counts on from the superseded place [H-46]") {
  GatewayBench gateway;
  gateway.append(10);
  const handoff::Progress early = gateway.progress(3);
  gateway.stream_from(10);
  gateway.trim(Row(6));
  gateway.reset();
  gateway.append(1);
  gateway.connect();
  gateway.hear(gateway.answer(early));
  const handoff::EpochStart& start = gateway.stored.back().start;
  CHECK(start.first_row == Row(7));
  CHECK(start.lost == handoff::Lost{"stream_rolled_back", Seq(4), Seq(6)});
  CHECK(gateway.last_hello().lost().last_seq() == 6);
  CHECK(alarmed(gateway, AlarmKind::stream_rolled_back));
}

TEST_CASE("fork: a stream that knows nothing any more gets all that is retained, and a loss in rows [H-46]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(5);
  gateway.trim(Row(2));
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(std::nullopt));
  const handoff::EpochStart& start = gateway.stored.back().start;
  CHECK_FALSE(start.supersedes);
  CHECK(start.first_row == Row(3));
  CHECK(start.lost == handoff::Lost{"stream_rolled_back", Seq(1), Seq(2)});
  CHECK_FALSE(gateway.last_hello().has_supersedes());
}

TEST_CASE("fork: what a wiped stream had is marked, with the identities that it has; what it never had is not [H-49]") {
  GatewayBench gateway({.batch_events = 10});
  gateway.append(5);
  gateway.stream_from(3);
  const handoff::Run run = gateway.journal.segments().back().run;
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(std::nullopt));
  REQUIRE(gateway.stored.size() == 1);
  CHECK(gateway.stored[0].start.repeats_through == Row(3));
  CHECK_FALSE(gateway.stored[0].run);
  CHECK_FALSE(gateway.stored[0].start.supersedes);
  gateway.reset();  // the mark is on disk with the epoch
  gateway.sent.clear();
  gateway.connect();
  CHECK(gateway.notices.empty());
  gateway.hear(gateway.answer(gateway.progress(0)));
  gateway.hear(GatewayBench::place(gateway.progress(3)));
  REQUIRE(gateway.sent_seqs() == "1+3 4+2");
  const auto batches = gateway.batches();
  CHECK(batches[0].possible_repeat());
  CHECK_FALSE(batches[1].possible_repeat());
  CHECK(batches[0].run() == run.view());
  CHECK(batches[1].run() == run.view());
  CHECK(batches[1].run_index() == 3);
}

TEST_CASE("fork: an epoch that fills a wiped stream again is told in the stream [H-48]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.stream_from(3);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(std::nullopt));
  CHECK(gateway.notices.empty());
  gateway.hear(gateway.answer(gateway.progress(0)));
  REQUIRE(gateway.notices.size() == 1);
  CHECK(gateway.notices[0].name == "journal_epoch_started");
  const std::pair<std::string, std::string> detail{"repeats_through_seq", "3"};
  CHECK(std::count(gateway.notices[0].details.begin(), gateway.notices[0].details.end(), detail) == 1);
}

TEST_CASE("fork: what an old backup of the stream has not, but had, is marked when it forces a new epoch [H-49]") {
  GatewayBench gateway;
  gateway.append(6);
  gateway.stream_from(5);
  const handoff::Progress backup = foreign(gateway, gateway.progress(2));
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.stored.clear();
  gateway.hear(gateway.answer(backup));
  REQUIRE(gateway.stored.size() == 1);
  CHECK(gateway.stored[0].start.first_row == Row(3));
  CHECK(gateway.stored[0].start.repeats_through == Row(5));
  gateway.hear(gateway.answer(gateway.progress(0)));
  gateway.hear(GatewayBench::place(gateway.progress(3)));
  REQUIRE(gateway.sent_seqs() == "1+3 4+1");
  CHECK(gateway.batches()[0].possible_repeat());
  CHECK_FALSE(gateway.batches()[1].possible_repeat());
}

TEST_CASE("fork: a mark outlives further attempts and epochs, and rows below what is trimmed need none [H-49]") {
  GatewayBench gateway;
  gateway.append(6);
  gateway.stream_from(4);
  gateway.trim(Row(2));
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(std::nullopt));
  CHECK(gateway.stored.back().start.first_row == Row(3));
  gateway.hear(gateway.answer(std::nullopt));  // wiped once more: nothing of the attempt was acked
  CHECK(gateway.stored.back().start.repeats_through == Row(4));
  gateway.hear(gateway.answer(with_unknown_runs(gateway, 1)));
  CHECK(gateway.stored.back().start.repeats_through == Row(4));
}

TEST_CASE("fork: rows that go up again in their own epoch are not marked, and in another one they are [H-49] [H-30]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.stream_from(5);
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(2)));
  REQUIRE(gateway.sent_seqs() == "3+3");
  CHECK_FALSE(gateway.batches()[0].possible_repeat());
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(std::nullopt));
  CHECK(gateway.stored.back().start.repeats_through == Row(5));
}

TEST_CASE("fork: a salvaged journal does not slip past what it has trimmed into a stream that was wiped [H-50]") {
  GatewayBench gateway;
  gateway.append(6);
  gateway.stream_from(6);
  gateway.trim(Row(2));
  gateway.journal.salvage(Row(4), Row(4), "hole", gateway.random);
  gateway.reset();
  gateway.connect();
  CHECK_FALSE(gateway.last_hello().new_epoch());
  gateway.hear(gateway.answer(std::nullopt));
  CHECK(gateway.last_hello().new_epoch());
  CHECK(gateway.last_hello().lost().last_seq() == 2);
  CHECK(gateway.stored.back().start.first_row == Row(3));
}

TEST_CASE("fork: rows that were trimmed because they are in the stream are not lost, nor lacking [H-46] [H-92]") {
  GatewayBench gateway;
  gateway.append(5);
  const handoff::Progress all = gateway.progress(5);
  gateway.stream_from(5);
  gateway.trim(Row(5));
  gateway.reset();
  gateway.append(2);
  gateway.connect();
  gateway.hear(gateway.answer(foreign(gateway, all)));
  CHECK(gateway.stored.back().start.first_row == Row(6));
  CHECK_FALSE(gateway.stored.back().start.lost);
  CHECK_FALSE(gateway.stored.back().start.lacks_from);
}

TEST_CASE("fork: a new disk supersedes what is stored and says that nobody knows what is missing [H-47]") {
  GatewayBench gateway;
  gateway.append(2);
  const handoff::Progress stored = with_unknown_runs(gateway, 2);
  gateway.connect();
  gateway.hear(gateway.answer(stored));
  const handoff::EpochStart& start = gateway.stored.at(0).start;
  CHECK(start.first_row == Row(1));
  CHECK(start.supersedes == stored.place);
  CHECK(start.lost == handoff::Lost{"disk_replaced", Seq(41), Seq(0)});
}

TEST_CASE("fork: a salvaged journal of which nothing was committed has told its losses itself [H-47]") {
  GatewayBench gateway;
  gateway.append(5);
  const handoff::Progress nothing = foreign(gateway, {.gateway_id = "shop-1"}, 0);
  gateway.journal.salvage(Row(3), Row(3), "lost: 3", gateway.random);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(nothing));
  CHECK(gateway.stored.at(0).start.first_row == Row(1));
  CHECK(gateway.stored.at(0).start.supersedes == nothing.place);
  CHECK_FALSE(gateway.stored.at(0).start.lost);
}

TEST_CASE("fork: a new disk facing an epoch of which nothing was committed may have lost it all [H-47]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.connect();
  gateway.hear(gateway.answer(foreign(gateway, {.gateway_id = "shop-1"}, 0)));
  CHECK(gateway.stored.at(0).start.lost == handoff::Lost{"disk_replaced", Seq(1), Seq(0)});
}

TEST_CASE("fork: facing its own former epoch, of which nothing was committed, a journal has lost nothing [H-47]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.connect();
  const handoff::Progress accepted = gateway.progress(0);
  gateway.hear(gateway.answer(accepted));
  gateway.connect();
  gateway.hear(gateway.answer(std::nullopt));  // a bridge that slept through a takeover
  REQUIRE(gateway.stored.back().start.epoch != accepted.place.epoch);
  CHECK_FALSE(gateway.stored.back().start.supersedes);
  SUBCASE("at once") {}
  SUBCASE("after a restart") {
    gateway.reset();
    gateway.connect();
  }
  gateway.hear(gateway.answer(accepted));
  CHECK(gateway.stored.back().start.supersedes == accepted.place);
  CHECK(gateway.stored.back().start.first_row == Row(1));
  CHECK_FALSE(gateway.stored.back().start.lost);
}

TEST_CASE("fork: an accepted epoch that follows something is told in the stream, an ordinary beginning is not [H-48]") {
  GatewayBench ordinary;
  ordinary.append(1);
  ordinary.stream_from(0);
  CHECK(ordinary.notices.empty());

  GatewayBench gateway;
  gateway.append(1);
  gateway.connect();
  gateway.hear(gateway.answer(with_unknown_runs(gateway, 1)));
  CHECK(gateway.notices.empty());
  gateway.hear(gateway.answer(gateway.progress(0)));
  REQUIRE(gateway.notices.size() == 2);  // and duplicate_window_shrunk
  CHECK(gateway.notices[0].name == "journal_epoch_started");
  CHECK(gateway.journal.epoch().accepted);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.notices.size() == 2);
}

TEST_CASE("fork: a long way back is read in bounded steps") {
  GatewayBench gateway({.batch_events = 4});
  gateway.append(50);
  gateway.stream_from(50);
  const std::size_t reads = gateway.reads;
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(30)));
  CHECK(gateway.sender->acked() == Row(30));
  CHECK(gateway.reads - reads >= 8);
}
