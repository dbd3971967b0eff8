// Tallies: running sums that the journal keeps beside its rows. A row may bring something to add to one of them: it
// counts in the transaction that appends the row, and only when the row is appended. What the numbers say is the
// owner's affair.
//
// Invariants:
//   (1) A sum is exact or unknown, never wrong: what overflows, or begins where nobody knows what was before, is
//   unknown until its next reset. (2) There are at most kTalliesMax sums. One more is not kept, and from then on a key
//   that has none is unknown, too.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace journal {

inline constexpr std::size_t kTallyNumbers = 10;
inline constexpr std::size_t kTalliesMax = 1024;
inline constexpr std::size_t kTallyKeyBytesMax = 320;

using TallyNumbers = std::array<std::int64_t, kTallyNumbers>;

// What a row adds to the sum of `key`; `reset`: after setting it to zero.
struct Tally {
  std::string key;
  TallyNumbers add{};
  bool reset = false;
};

struct TallySum {
  std::string key;
  std::optional<TallyNumbers> numbers = std::nullopt;  // none: unknown
  // Since its last reset the journal was salvaged: the sum is exact, but rows that it counts may be lost.
  bool salvaged = false;

  friend bool operator==(const TallySum&, const TallySum&) = default;
};

class Tallies {
 public:
  Tallies() = default;
  // `whole`: a key that has no sum has added nothing yet. Else nobody knows it.
  explicit Tallies(bool whole) : whole_(whole) {}

  // The place of the sum that changed; nothing: it is not kept.
  std::optional<std::size_t> add(const Tally& tally);
  // Takes a sum as it was stored, behind those that are there. False: it cannot be one.
  [[nodiscard]] bool restore(TallySum sum);
  // Nothing: unknown.
  [[nodiscard]] std::optional<TallySum> find(std::string_view key) const;

  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] const std::vector<TallySum>& sums() const { return sums_; }
  // What a salvage keeps of them.
  [[nodiscard]] Tallies salvaged() const;

  friend bool operator==(const Tallies& a, const Tallies& b) { return a.whole_ == b.whole_ && a.sums_ == b.sums_; }

 private:
  bool whole_ = false;
  std::vector<TallySum> sums_;
  std::map<std::string, std::size_t, std::less<>> places_;
};

}  // namespace journal
