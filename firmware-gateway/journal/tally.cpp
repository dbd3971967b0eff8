#include "firmware-gateway/journal/tally.hpp"

#include <utility>

#include "proto/base/assert.hpp"

namespace journal {
namespace {

void add_to(std::optional<TallyNumbers>& sum, const TallyNumbers& numbers) {
  if (!sum) return;
  bool fits = true;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::int64_t& number = sum->at(i);
    fits = !__builtin_add_overflow(number, numbers.at(i), &number) && fits;
  }
  if (!fits) sum.reset();
}

}  // namespace

std::optional<std::size_t> Tallies::add(const Tally& tally) {
  ASSERT(tally.key.size() <= kTallyKeyBytesMax);
  auto found = places_.find(tally.key);
  if (found == places_.end()) {
    if (!whole_ && !tally.reset) return std::nullopt;
    if (!restore({.key = tally.key, .numbers = TallyNumbers{}})) {
      whole_ = false;
      return std::nullopt;
    }
    found = places_.find(tally.key);
  }
  TallySum& sum = sums_[found->second];
  if (tally.reset) sum = {.key = tally.key, .numbers = TallyNumbers{}};
  add_to(sum.numbers, tally.add);
  return found->second;
}

bool Tallies::restore(TallySum sum) {
  if (sums_.size() == kTalliesMax || sum.key.size() > kTallyKeyBytesMax) return false;
  if (!places_.emplace(sum.key, sums_.size()).second) return false;
  sums_.push_back(std::move(sum));
  return true;
}

std::optional<TallySum> Tallies::find(std::string_view key) const {
  if (const auto found = places_.find(key); found != places_.end()) {
    const TallySum& sum = sums_[found->second];
    return sum.numbers ? std::optional(sum) : std::nullopt;
  }
  if (!whole_) return std::nullopt;
  return TallySum{.key = std::string(key), .numbers = TallyNumbers{}};
}

Tallies Tallies::salvaged() const {
  Tallies kept = *this;
  kept.whole_ = false;
  for (TallySum& sum : kept.sums_) sum.salvaged = true;
  return kept;
}

}  // namespace journal
