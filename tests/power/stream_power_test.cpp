// The embedded stream through power cuts at every moment of a bridge's story, through second ones while it recovers,
// and on a disk that says it has synced and has not.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tests/power/extent.hpp"
#include "tests/power/stream_story.hpp"
#include "tests/support/temp_folder.hpp"

using namespace power;
using support::DiskOperation;
using support::DiskState;
using support::RecordedDisk;
using support::Survival;

namespace {

struct Counts {
  std::size_t dropped = 0;
  std::size_t torn = 0;
  std::size_t killed = 0;
  std::size_t again = 0;  // second cuts, while the stream was opened anew or right after
};

// After a cut the stream opens, holds what it may, and takes the next transaction.
class Recovery {
 public:
  // `state` is the disk's when the bridge starts.
  Recovery(const DiskState& state, const PossibleBooks& possible) : disk_(laid_out(state), state), possible_(possible) {
    Bridge bridge(folder_.path());
    const auto error = bridge.open();
    REQUIRE_MESSAGE(!error, words_of(error));
    found_ = held_by(bridge.file(), possible);
    opened_ = disk_.position();
    auto after = std::make_shared<StreamBooks>(*found_);
    REQUIRE(bridge.file().commit(next_transaction(*after, 2, 2)).has_value());
    committed_ = disk_.position();
    after_ = after;
    CHECK(held_by(bridge.file(), PossibleBooks{after_}) == after_);
  }

  [[nodiscard]] std::size_t operations() const { return disk_.operations().size(); }
  [[nodiscard]] DiskState state_at(std::size_t position) const { return disk_.state_at(position); }
  // What opening showed counts from then on.
  [[nodiscard]] PossibleBooks possible_at(std::size_t position) const {
    if (position < opened_) return possible_;
    if (position < committed_) return {found_, after_};
    return {after_};
  }

 private:
  [[nodiscard]] const std::filesystem::path& laid_out(const DiskState& state) const {
    state.lay_out(folder_.path());
    return folder_.path();
  }

  support::TempFolder folder_;
  RecordedDisk disk_;
  PossibleBooks possible_;
  std::shared_ptr<const StreamBooks> found_;
  std::shared_ptr<const StreamBooks> after_;
  std::size_t opened_ = 0;
  std::size_t committed_ = 0;
};

// Recovers from `state`, and from cuts while it did.
void recover(const DiskState& state, const PossibleBooks& possible, std::uint64_t seed, std::size_t cuts,
             Counts& counts) {
  std::vector<std::pair<DiskState, PossibleBooks>> later;
  {
    const Recovery recovery(state, possible);
    support::SeededRandom random(seed);
    for (std::size_t i = 0; i < cuts; ++i) {
      const std::size_t position = random.below(recovery.operations() + 1);
      const Survival survival{random.one_in(2) ? Survival::Unsynced::dropped : Survival::Unsynced::torn, random.next()};
      later.emplace_back(recovery.state_at(position).cut(survival), recovery.possible_at(position));
    }
  }
  for (const auto& [cut, may_be] : later) {
    ++counts.again;
    CAPTURE(counts.again);
    const Recovery recovery(cut, may_be);
  }
}

bool is_damage(const sqlite::StreamFileError& error) {
  return error.fault == sqlite::StreamFileFault::damaged || error.fault == sqlite::StreamFileFault::refused;
}

// Of reading everything.
std::optional<sqlite::StreamFileError> first_error(sqlite::StreamFile& file) {
  if (const auto progress = file.progress(); !progress) return progress.error();
  stream::Position from(1);
  for (bool more = true; more;) {
    const auto page = file.read(from, {});
    if (!page) return page.error();
    from = stream::position_of(page->next);
    more = page->more;
  }
  return std::nullopt;
}

// What can be found after a cut on a disk that lies.
enum class Outcome : std::uint8_t { whole, earlier, refused, told, mixed };

Outcome outcome_of(const DiskState& state, const std::vector<StreamMoment>& moments, std::size_t position) {
  const support::TempFolder left;
  state.lay_out(left.path());
  Bridge bridge(left.path());
  if (const auto error = bridge.open()) {
    REQUIRE_MESSAGE(is_damage(*error), error->text);
    return Outcome::refused;
  }
  if (const auto error = first_error(bridge.file())) {
    REQUIRE_MESSAGE(is_damage(*error), error->text);
    return Outcome::told;
  }
  const auto is_any_of = [&](const PossibleBooks& books) {
    return std::any_of(books.begin(), books.end(),
                       [&](const auto& one) { return difference(bridge.file(), *one).empty(); });
  };
  if (is_any_of(books_at(moments, position))) return Outcome::whole;
  const bool is_earlier = std::any_of(moments.begin(), moments.end(), [&](const StreamMoment& moment) {
    return moment.position <= position && is_any_of(moment.books);
  });
  return is_earlier ? Outcome::earlier : Outcome::mixed;
}

}  // namespace

TEST_CASE(
    "power: cut at any moment, the stream has what was committed, events and progress together, and nothing else") {
  const Extent extent = extent_wanted();
  const Story story = told(extent.rounds);
  REQUIRE(story.failures == 0);
  Counts counts;
  support::SeededRandom random(1);
  DiskState state;
  for (std::size_t position = 0; position <= story.operations.size(); ++position) {
    CAPTURE(position);
    const PossibleBooks& possible = books_at(story.moments, position);
    if (position == 0 || story.operations[position - 1].syncs()) {
      ++counts.dropped;
      recover(state.cut({}), possible, random.next(), extent.second_cuts, counts);
    }
    for (std::size_t i = 0; i < extent.tears; ++i) {
      ++counts.torn;
      recover(state.cut({Survival::Unsynced::torn, random.next()}), possible, random.next(), 0, counts);
    }
    // The process alone dies, the page cache stays; the power goes while it is opened anew.
    ++counts.killed;
    recover(state, possible, random.next(), extent.second_cuts, counts);
    if (position < story.operations.size()) state.apply(story.operations[position]);
  }
  fmt::print(
      "stream, power: {} moments: {} cuts that drop what is unsynced, {} that tear it, {} kills, {} cuts while it "
      "recovers\n",
      story.operations.size() + 1, counts.dropped, counts.torn, counts.killed, counts.again);
}

// Nobody else can know what such a disk has dropped, and nothing is salvaged here. What is promised: the bridge neither
// dies nor hangs of it, and what SQLite notices is told as damage. The figures say how much goes unnoticed.
TEST_CASE("power: on a disk that says it has synced and has not, the stream opens, or what is damaged is told") {
  const Extent extent = extent_wanted();
  const Story story = told(extent.rounds);
  support::SeededRandom random(1);
  std::map<Outcome, std::size_t> once;
  std::map<Outcome, std::size_t> since;
  const auto after_lies = [&](std::size_t from, std::size_t lies, std::size_t position) {
    DiskState state;
    for (std::size_t i = 0; i < position; ++i) {
      const bool is_lie = story.operations[i].kind == DiskOperation::Kind::sync && i >= from && lies > 0;
      is_lie ? static_cast<void>(--lies) : state.apply(story.operations[i]);
    }
    const bool torn = random.one_in(2);
    const Survival survival{torn ? Survival::Unsynced::torn : Survival::Unsynced::dropped, random.next()};
    return outcome_of(state.cut(survival), story.moments, position);
  };
  for (std::size_t sync = 0; sync < story.operations.size(); ++sync) {
    if (story.operations[sync].kind != DiskOperation::Kind::sync) continue;
    CAPTURE(sync);
    for (std::size_t i = 0; i < extent.lies; ++i) {
      const std::size_t position = sync + 1 + random.below(story.operations.size() - sync);
      CAPTURE(position);
      ++once[after_lies(sync, 1, position)];
      ++since[after_lies(sync, SIZE_MAX, position)];
    }
  }
  for (auto* counts : {&once, &since}) {
    fmt::print(
        "stream, {}: {} cuts lost nothing, {} leave an earlier moment, {} a file that does not open, {} one that "
        "cannot "
        "be read whole, {} a mixture of moments\n",
        counts == &once ? "a sync that is a lie" : "a disk that lies", (*counts)[Outcome::whole],
        (*counts)[Outcome::earlier], (*counts)[Outcome::refused], (*counts)[Outcome::told], (*counts)[Outcome::mixed]);
  }
  CHECK(once[Outcome::whole] > 0);
}
