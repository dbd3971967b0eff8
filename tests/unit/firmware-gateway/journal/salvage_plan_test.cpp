#include <doctest/doctest.h>

#include "firmware-gateway/journal/salvage_plan.hpp"
#include "proto/platform/system.hpp"

using handoff::Run;
using handoff::RunIndex;
using handoff::Seq;
using journal::Catalog;
using journal::CopyStep;
using journal::Identity;
using journal::NoticeStep;
using journal::Readable;
using journal::Row;
using journal::RowRange;
using journal::SalvagePlan;

namespace {

template <class Id>
Id id(std::uint8_t n) {
  Id made;
  made.bytes[0] = n;
  return made;
}

const handoff::Epoch kOldEpoch = id<handoff::Epoch>(1);
const journal::SalvageIds kIds{id<handoff::Epoch>(100), id<Run>(101), id<Run>(102), {}};

// Rows 1 to 10 are run 1, from 11 on run 2; all were answered in kOldEpoch.
Catalog old_catalog(std::uint64_t acked) {
  Catalog catalog = journal::new_catalog("shop", {9}, kOldEpoch, platform::hasher());
  catalog.segments = {{id<Run>(1), Row(1), RunIndex(0), false, false},
                      {id<Run>(2), Row(11), RunIndex(0), false, false}};
  catalog.acked = handoff::Mark{Row(acked), {}, {}};
  return catalog;
}

SalvagePlan plan(const Readable& readable) {
  return journal::plan_salvage(readable, "shop", kIds, "journal.damaged.db", base::UtcTime{}, platform::hasher());
}

std::optional<Identity> identity(const SalvagePlan& made, std::uint64_t row) {
  return journal::identity_of(made.catalog.segments, Row(row));
}

const NoticeStep* notice(const SalvagePlan& made, std::size_t step) {
  return std::get_if<NoticeStep>(&made.steps.at(step));
}
const CopyStep* copy(const SalvagePlan& made, std::size_t step) { return std::get_if<CopyStep>(&made.steps.at(step)); }

}  // namespace

TEST_CASE("salvage plan: rows keep their identities, and a hole its place and its last row's identity") {
  const auto made = plan({old_catalog(0), {{Row(1), Row(3)}, {Row(7), Row(20)}}, Row(20)});
  REQUIRE(made.steps.size() == 4);
  // More may be in the stream than the mark says: the repeats of what is gone are not known, lost or not.
  CHECK(std::get<journal::ForgottenStep>(made.steps[3]).forgotten.rows == 3);
  CHECK_FALSE(std::get<journal::ForgottenStep>(made.steps[3]).forgotten.more);
  CHECK(copy(made, 0)->rows == RowRange{Row(1), Row(3)});
  CHECK(copy(made, 0)->to == Row(1));
  REQUIRE(notice(made, 1) != nullptr);
  CHECK(notice(made, 1)->to == Row(4));
  CHECK(notice(made, 1)->loss.first == Row(4));
  CHECK(notice(made, 1)->loss.last == Row(6));
  CHECK(notice(made, 1)->loss.first_answered == journal::AnsweredPlace{kOldEpoch, Seq(4)});
  CHECK(notice(made, 1)->loss.last_answered == journal::AnsweredPlace{kOldEpoch, Seq(6)});
  CHECK(copy(made, 2)->to == Row(5));
  CHECK(made.rows_kept == 17);
  CHECK(made.holes == 1);
  CHECK(identity(made, 3) == Identity{id<Run>(1), RunIndex(2)});
  CHECK(identity(made, 4) == Identity{id<Run>(1), RunIndex(5)});
  CHECK(identity(made, 5) == Identity{id<Run>(1), RunIndex(6)});
  CHECK(identity(made, 8) == Identity{id<Run>(1), RunIndex(9)});
  CHECK(identity(made, 9) == Identity{id<Run>(2), RunIndex(0)});
  for (const auto& segment : made.catalog.segments) CHECK(segment.digest_void);
  CHECK(journal::answered_place(made.catalog.answered, Row(5)) == journal::AnsweredPlace{kOldEpoch, Seq(7)});
}

TEST_CASE("salvage plan: the new epoch begins after the acked row, wherever that has moved to") {
  const auto made = plan({old_catalog(9), {{Row(1), Row(3)}, {Row(7), Row(20)}}, Row(20)});
  // Rows 4 to 6 are in the stream: no loss, but their repeats are not known any more.
  REQUIRE(made.steps.size() == 3);
  CHECK(made.holes == 0);
  CHECK(made.forgotten == 3);
  REQUIRE(std::holds_alternative<journal::ForgottenStep>(made.steps[2]));
  CHECK(std::get<journal::ForgottenStep>(made.steps[2]).forgotten.rows == 3);
  CHECK(std::get<journal::ForgottenStep>(made.steps[2]).to == Row(18));
  CHECK(identity(made, 18) == Identity{kIds.notices, RunIndex(0)});
  CHECK(made.catalog.acked->row == Row(6));
  CHECK(made.catalog.epoch->first_row == Row(7));
  CHECK(made.catalog.epoch->epoch == kIds.epoch);
  CHECK(!made.catalog.epoch->accepted);
  CHECK(made.catalog.whole());
}

TEST_CASE("salvage plan: of a hole that reaches beyond the acked row only that part is told") {
  const auto made = plan({old_catalog(5), {{Row(1), Row(3)}, {Row(9), Row(12)}}, Row(12)});
  REQUIRE(notice(made, 1) != nullptr);
  CHECK(notice(made, 1)->loss.first == Row(6));
  CHECK(notice(made, 1)->loss.last == Row(8));
  CHECK(made.catalog.acked->row == Row(3));
  CHECK(made.catalog.epoch->first_row == Row(4));
}

TEST_CASE("salvage plan: a hole over a run's end is named by the later run") {
  const auto made = plan({old_catalog(0), {{Row(1), Row(8)}, {Row(13), Row(15)}}, Row(15)});
  CHECK(identity(made, 9) == Identity{id<Run>(2), RunIndex(1)});
  CHECK(identity(made, 10) == Identity{id<Run>(2), RunIndex(2)});
}

TEST_CASE("salvage plan: rows that are known to have been at the end are told as a hole") {
  const auto made = plan({old_catalog(0), {{Row(1), Row(8)}}, Row(12)});
  REQUIRE(notice(made, 1) != nullptr);
  CHECK(notice(made, 1)->loss.last == Row(12));
  CHECK(identity(made, 9) == Identity{id<Run>(2), RunIndex(1)});
}

TEST_CASE("salvage plan: an unknown end is told under an identity that no stream can have") {
  const auto made = plan({old_catalog(0), {{Row(1), Row(8)}}, std::nullopt});
  REQUIRE(notice(made, 1) != nullptr);
  CHECK(!notice(made, 1)->loss.last);
  CHECK(notice(made, 1)->loss.first == Row(9));
  CHECK(identity(made, 9) == Identity{kIds.notices, RunIndex(0)});
  // What is in the stream beyond the last row that could be read is not told as lost.
  CHECK(notice(plan({old_catalog(30), {{Row(1), Row(8)}}, std::nullopt}), 1)->loss.first == Row(31));
}

TEST_CASE("salvage plan: rows without a known identity become a run of possible repeats") {
  Readable readable{old_catalog(0), {{Row(1), Row(4)}, {Row(6), Row(12)}}, Row(12)};
  readable.catalog.segments = {{id<Run>(2), Row(11), RunIndex(0), false, false}};
  const auto made = plan(readable);
  CHECK(identity(made, 1) == Identity{kIds.orphans, RunIndex(0)});
  CHECK(identity(made, 5) == Identity{kIds.orphans, RunIndex(4)});
  CHECK(identity(made, 10) == Identity{kIds.orphans, RunIndex(9)});
  CHECK(identity(made, 11) == Identity{id<Run>(2), RunIndex(0)});
  CHECK(journal::segment_at(made.catalog.segments, Row(1))->possible_repeat);
  CHECK(!journal::segment_at(made.catalog.segments, Row(11))->possible_repeat);
}

TEST_CASE("salvage plan: with nothing readable two notices are left, and the journal is whole") {
  const auto made = plan({Catalog{}, {}, std::nullopt});
  REQUIRE(made.steps.size() == 2);
  CHECK(std::get<journal::ForgottenStep>(made.steps[1]).forgotten.rows == 0);
  CHECK(std::get<journal::ForgottenStep>(made.steps[1]).forgotten.more);
  CHECK(notice(made, 0)->to == Row(1));
  CHECK(notice(made, 0)->loss.first == Row(1));
  CHECK(!notice(made, 0)->loss.first_answered);
  CHECK(made.catalog.whole());
  CHECK(made.catalog.gateway_id == "shop");
  CHECK(made.catalog.epoch->first_row == Row(1));
}

TEST_CASE("salvage plan: rows that were trimmed before the damage are no loss") {
  Readable readable{old_catalog(12), {{Row(11), Row(20)}}, Row(20)};
  readable.catalog.base = handoff::Mark{Row(10), {}, {}};
  const auto made = plan(readable);
  CHECK(made.holes == 0);
  CHECK(made.catalog.acked->row == Row(2));
  CHECK(identity(made, 1) == Identity{id<Run>(2), RunIndex(0)});
}

TEST_CASE("salvage plan: where neither catalog nor tree says how the rows begin, those before the first are told") {
  Readable readable{Catalog{}, {{Row(13), Row(20)}}, Row(20)};
  const auto made = plan(readable);
  REQUIRE(notice(made, 0) != nullptr);
  CHECK(notice(made, 0)->loss.first == Row(1));
  CHECK(notice(made, 0)->loss.last == Row(12));
  CHECK(notice(made, 0)->loss.perhaps_trimmed);
  readable.begins_with_first = true;
  CHECK(plan(readable).holes == 0);
}

TEST_CASE("salvage plan: an unknown end and forgotten rows are told apart, under identities of their own") {
  Readable readable{old_catalog(30), {{Row(1), Row(8)}}, std::nullopt};
  readable.forgotten = 5;
  const auto made = plan(readable);
  REQUIRE(made.steps.size() == 3);
  CHECK(!notice(made, 1)->loss.last);
  CHECK(made.forgotten == 5 + 22);
  CHECK(identity(made, 9) == Identity{kIds.notices, RunIndex(0)});
  CHECK(identity(made, 10) == Identity{kIds.notices, RunIndex(1)});
}
