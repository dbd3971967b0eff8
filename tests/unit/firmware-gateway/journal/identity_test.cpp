#include <doctest/doctest.h>

#include "firmware-gateway/journal/identity.hpp"
#include "proto/platform/system.hpp"

using handoff::Answered;
using handoff::Epoch;
using handoff::EpochStart;
using handoff::Mark;
using handoff::Run;
using handoff::RunIndex;
using handoff::Segment;
using handoff::Seq;
using journal::Row;

namespace {

template <class Id>
Id id(std::uint8_t n) {
  Id made;
  made.bytes[0] = n;
  return made;
}

Segment segment(std::uint8_t run, std::uint64_t first_row, std::uint64_t first_index = 0) {
  return {id<Run>(run), Row(first_row), RunIndex(first_index), false, false};
}

}  // namespace

TEST_CASE("identity: a row's run and index come from the segment that it is in") {
  const std::vector segments = {segment(1, 10), segment(2, 20, 100)};
  CHECK(!journal::identity_of(segments, Row(9)));
  CHECK(journal::identity_of(segments, Row(10)) == journal::Identity{id<Run>(1), RunIndex(0)});
  CHECK(journal::identity_of(segments, Row(19)) == journal::Identity{id<Run>(1), RunIndex(9)});
  CHECK(journal::identity_of(segments, Row(20)) == journal::Identity{id<Run>(2), RunIndex(100)});
  CHECK(journal::identity_of(segments, Row(99)) == journal::Identity{id<Run>(2), RunIndex(179)});
}

TEST_CASE("identity: a new segment replaces what the list said from its row on") {
  std::vector segments = {segment(1, 1), segment(2, 10), segment(3, 20)};
  journal::put(segments, segment(4, 10));
  CHECK(segments == std::vector{segment(1, 1), segment(4, 10)});
  journal::put(segments, segment(5, 30));
  CHECK(segments.size() == 3);
}

TEST_CASE("identity: pruning keeps the entry that covers the oldest row, and always the last") {
  std::vector segments = {segment(1, 1), segment(2, 10), segment(3, 20)};
  journal::prune(segments, Row(10));
  CHECK(segments == std::vector{segment(2, 10), segment(3, 20)});
  journal::prune(segments, Row(19));
  CHECK(segments.size() == 2);
  journal::prune(segments, Row(500));
  CHECK(segments == std::vector{segment(3, 20)});
}

TEST_CASE("identity: what was answered counts from the epoch's first row") {
  const EpochStart epoch{id<Epoch>(5), Row(11), false, std::nullopt, std::nullopt};
  const std::vector answered = {Answered{Row(1), id<Epoch>(1), Seq(1)}, journal::answered_from(epoch, Row(21))};
  CHECK(journal::answered_place(answered, Row(20)) == journal::AnsweredPlace{id<Epoch>(1), Seq(20)});
  CHECK(journal::answered_place(answered, Row(21)) == journal::AnsweredPlace{id<Epoch>(5), Seq(11)});
}

TEST_CASE("identity: digests begin anew where an epoch or a run begins, and are none where they are void") {
  const base::Hasher& hasher = platform::hasher();
  const EpochStart epoch{id<Epoch>(5), Row(3), false, std::nullopt, std::nullopt};
  const Mark before{Row(1), hasher.sha256({"e"}), hasher.sha256({"r"})};
  const Mark second = journal::advance(hasher, before, epoch, segment(1, 1), "two");
  CHECK(second.row == Row(2));
  CHECK(second.epoch_digest == handoff::chain(hasher, before.epoch_digest, "two"));
  CHECK(second.run_digest == handoff::chain(hasher, before.run_digest, "two"));
  const Mark third = journal::advance(hasher, second, epoch, segment(2, 3), "three");
  CHECK(third.epoch_digest == handoff::chain(hasher, handoff::chain_start(hasher, epoch.epoch), "three"));
  CHECK(third.run_digest == handoff::chain(hasher, handoff::chain_start(hasher, id<Run>(2)), "three"));
  Segment cut = segment(2, 3);
  cut.digest_void = true;
  CHECK(journal::advance(hasher, second, epoch, cut, "three").run_digest == base::Digest{});
}
