// The journal through power cuts at every moment of a gateway's story, and through second ones while it recovers.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/power/extent.hpp"
#include "tests/power/gateway_story.hpp"
#include "tests/support/temp_folder.hpp"

using namespace power;
using support::DiskState;
using support::RecordedDisk;
using support::Survival;

namespace {

constexpr const char* kStateDir = "state";

struct Counts {
  std::size_t dropped = 0;
  std::size_t torn = 0;
  std::size_t killed = 0;
  std::size_t again = 0;  // second cuts, while the journal was opened anew or right after
};

std::string words_of(const std::optional<sqlite::OpenError>& error) { return error ? error->detail : std::string(); }

// After a cut the journal opens without a salvage, holds what it may, and takes the next row.
class Recovery {
 public:
  // `state` is the disk's when the gateway starts.
  Recovery(const DiskState& state, const Possible& possible, std::uint64_t seed)
      : disk_(laid_out(state), state), possible_(possible) {
    Gateway gateway(folder_.path() / kStateDir, seed);
    const auto error = gateway.open();
    REQUIRE_MESSAGE(!error, words_of(error));
    found_ = held_by(gateway.journal(), possible);
    CHECK(gateway.notices() == 0);
    opened_ = disk_.position();
    Books after = *found_;
    after.made = true;
    if (!found_->made) after.epoch = gateway.journal().opened().epoch;
    if (!found_->made) after.tallies = gateway.journal().opened_tallies();
    after.appending = {gateway.journal().opened().opening, after.next(), handoff::RunIndex(0)};
    const journal::AppendItem next{
        .key_hash = seed, .priority = journal::Priority::money, .record = "the next row", .seen_through = {}};
    after.append(next);
    after_ = std::make_shared<Books>(after);
    const auto outcomes = gateway.journal().append({&next, 1});
    REQUIRE(outcomes.has_value());
    REQUIRE(std::holds_alternative<journal::Appended>(outcomes->front()));
    appended_ = disk_.position();
  }

  [[nodiscard]] std::size_t operations() const { return disk_.operations().size(); }
  [[nodiscard]] DiskState state_at(std::size_t position) const { return disk_.state_at(position); }
  // What opening showed counts from then on.
  [[nodiscard]] Possible possible_at(std::size_t position) const {
    if (position < opened_) return possible_;
    if (position < appended_) return {found_, after_};
    return {after_};
  }

 private:
  [[nodiscard]] const std::filesystem::path& laid_out(const DiskState& state) const {
    state.lay_out(folder_.path());
    return folder_.path();
  }

  support::TempFolder folder_;
  RecordedDisk disk_;
  Possible possible_;
  std::shared_ptr<const Books> found_;
  std::shared_ptr<const Books> after_;
  std::size_t opened_ = 0;
  std::size_t appended_ = 0;
};

// Recovers from `state`, and from cuts while it did.
void recover(const DiskState& state, const Possible& possible, std::uint64_t seed, std::size_t cuts, Counts& counts) {
  std::vector<std::pair<DiskState, Possible>> later;
  {
    const Recovery recovery(state, possible, seed);
    support::SeededRandom random(seed);
    const std::size_t all = recovery.operations() + 1;
    for (std::size_t i = 0; i < std::min(cuts, all); ++i) {
      const std::size_t position = cuts >= all ? i : random.below(all);
      const Survival survival{random.one_in(2) ? Survival::Unsynced::dropped : Survival::Unsynced::torn, random.next()};
      later.emplace_back(recovery.state_at(position).cut(survival), recovery.possible_at(position));
    }
  }
  for (const auto& [cut, may_be] : later) {
    ++counts.again;
    CAPTURE(counts.again);
    const Recovery recovery(cut, may_be, seed + 1);
  }
}

std::size_t number_of(const base::Bytes& record) { return std::stoull(record.substr(sizeof("record"))); }

// Every row is one of the story's, in their order, or a notice. The number of the last one.
std::size_t check_true(sqlite::SqliteJournal& journal, const std::vector<base::Bytes>& records) {
  std::size_t last = 0;
  for (Row row = journal.opened().oldest; row < journal.opened().next; ++row) {
    const auto read = journal.read(row, 1, 1);
    REQUIRE(read.has_value());
    const base::Bytes& record = read->front().record;
    if (record.starts_with("notice")) continue;
    const std::size_t number = number_of(record);
    REQUIRE(number > last);
    REQUIRE(number <= records.size());
    REQUIRE(record == records[number - 1]);
    last = number;
  }
  return last;
}

}  // namespace

TEST_CASE("power: cut at any moment, the journal has every row that was answered, once, in order, and nothing else") {
  const Extent extent = extent_wanted();
  Counts counts;
  std::size_t cut_at = 0;
  for (std::uint64_t seed = 1; seed <= extent.stories; ++seed) {
    CAPTURE(seed);
    const support::TempFolder folder;
    std::vector<support::DiskOperation> operations;
    std::vector<Moment> moments;
    {
      RecordedDisk disk(folder.path());
      GatewayStory story(disk, folder.path() / kStateDir, seed);
      story.run(extent.rounds);
      REQUIRE(story.failures() == 0);
      operations = disk.operations();
      moments = story.moments();
    }
    support::SeededRandom random(seed);
    DiskState state;
    for (std::size_t position = 0; position <= operations.size(); ++position) {
      CAPTURE(position);
      const Possible& possible = books_at(moments, position);
      const bool changed = position == 0 || operations[position - 1].syncs();
      ++cut_at;
      if (changed) {
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
      if (position < operations.size()) state.apply(operations[position]);
    }
  }
  fmt::print(
      "journal, power: {} stories, {} moments: {} cuts that drop what is unsynced, {} that tear it, {} kills, {} cuts "
      "while it recovers\n",
      extent.stories, cut_at, counts.dropped, counts.torn, counts.killed, counts.again);
}

// The weaker promise. What was never on the disk nobody can have; but what is there is true, in order and once, or it
// is told: no row is made up, torn or doubled, and the journal opens.
TEST_CASE("power: on a disk that says it has synced and has not, no row is false, and the journal goes on") {
  const Extent extent = extent_wanted();
  std::size_t cuts = 0;
  std::size_t whole = 0;
  std::size_t shorter = 0;
  std::size_t told = 0;
  for (std::uint64_t seed = 1; seed <= extent.stories; ++seed) {
    const support::TempFolder folder;
    RecordedDisk disk(folder.path());
    GatewayStory story(disk, folder.path() / kStateDir, seed);
    story.run(extent.rounds);
    const std::vector<support::DiskOperation> operations = disk.operations();
    support::SeededRandom random(seed);
    for (std::size_t position = 0; position <= operations.size(); ++position) {
      CAPTURE(seed);
      CAPTURE(position);
      // It begins to lie at some moment before.
      const std::size_t honest = random.below(position + 1);
      DiskState state;
      for (std::size_t i = 0; i < position; ++i) {
        if (i < honest || operations[i].kind != support::DiskOperation::Kind::sync) state.apply(operations[i]);
      }
      ++cuts;
      const support::TempFolder left;
      const bool torn = random.one_in(2);
      state.cut({torn ? Survival::Unsynced::torn : Survival::Unsynced::dropped, random.next()}).lay_out(left.path());
      Gateway gateway(left.path() / kStateDir, seed);
      const auto error = gateway.open();
      REQUIRE_MESSAGE(!error, words_of(error));
      const std::size_t last = check_true(gateway.journal(), story.records());
      const Possible& possible = books_at(story.moments(), position);
      const bool lacks =
          last < number_of(possible.front()->rows.empty() ? "record 0" : possible.front()->rows.back().record);
      (gateway.journal().salvaged() ? told : lacks ? shorter : whole) += 1;
      const journal::AppendItem next{
          .key_hash = seed, .priority = journal::Priority::money, .record = "the next row", .seen_through = {}};
      REQUIRE(gateway.journal().append({&next, 1}).has_value());
    }
  }
  fmt::print(
      "journal, lying disk: {} cuts: {} lost nothing, {} salvaged and told, {} end earlier, as if never "
      "written\n",
      cuts, whole, told, shorter);
}
