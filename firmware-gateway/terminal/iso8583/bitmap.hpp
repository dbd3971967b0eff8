// A set of field numbers, 1 … 192, as the three bitmaps of a message hold them.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace iso8583 {

class Bitmap {
 public:
  [[nodiscard]] bool has(unsigned number) const { return (words_.at(word(number)) & bit(number)) != 0; }
  void add(unsigned number) { words_.at(word(number)) |= bit(number); }
  void remove(unsigned number) { words_.at(word(number)) &= ~bit(number); }
  [[nodiscard]] bool empty() const { return words_ == std::array<std::uint64_t, 3>{}; }
  [[nodiscard]] std::size_t count() const {
    std::size_t count = 0;
    for (const std::uint64_t bits : words_) count += static_cast<std::size_t>(std::popcount(bits));
    return count;
  }
  // Whether any of the 64 fields of bitmap 0, 1 or 2 is in it.
  [[nodiscard]] bool any_of(std::size_t bitmap) const { return words_.at(bitmap) != 0; }
  // The 64 bits of one bitmap, the first field highest, as they go on the wire.
  [[nodiscard]] std::uint64_t word_of(std::size_t bitmap) const { return words_.at(bitmap); }
  void set_word(std::size_t bitmap, std::uint64_t bits) { words_.at(bitmap) = bits; }

  [[nodiscard]] std::size_t count_below(unsigned number) const {
    const std::size_t whole = word(number);
    std::size_t count = 0;
    for (std::size_t i = 0; i < whole; ++i) count += static_cast<std::size_t>(std::popcount(words_.at(i)));
    const std::uint64_t above = bit(number) | (bit(number) - 1);
    return count + static_cast<std::size_t>(std::popcount(words_.at(whole) & ~above));
  }
  // Only those below `number`.
  [[nodiscard]] Bitmap below(unsigned number) const {
    Bitmap kept = *this;
    for (unsigned each = kept.next(number - 1); each != 0; each = kept.next(each)) kept.remove(each);
    return kept;
  }

  // The next number above `number`, 0 when there is none.
  [[nodiscard]] unsigned next(unsigned number) const {
    for (std::size_t i = number / bits_each, skip = number % bits_each; i < words_.size(); ++i, skip = 0) {
      const std::uint64_t rest = words_[i] << skip >> skip;
      if (rest != 0) return static_cast<unsigned>(i * bits_each) + static_cast<unsigned>(std::countl_zero(rest)) + 1;
    }
    return 0;
  }

 private:
  static constexpr std::size_t bits_each = 64;
  static std::size_t word(unsigned number) { return (number - 1) / bits_each; }
  static std::uint64_t bit(unsigned number) { return std::uint64_t{1} << (bits_each - 1 - (number - 1) % bits_each); }

  std::array<std::uint64_t, 3> words_{};
};

}  // namespace iso8583
