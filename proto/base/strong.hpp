// Strong: a number that cannot be confused with another kind of number. `using Seq = base::Strong<struct SeqTag>;`
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace base {

template <class Tag, class Rep = std::uint64_t>
class Strong {
 public:
  using rep = Rep;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr Strong next() const { return Strong(value_ + 1); }

  friend constexpr auto operator<=>(Strong, Strong) = default;
  friend constexpr Strong operator+(Strong a, Rep n) { return Strong(a.value_ + n); }
  friend constexpr Strong operator-(Strong a, Rep n) { return Strong(a.value_ - n); }
  friend constexpr Rep operator-(Strong a, Strong b) { return a.value_ - b.value_; }
  constexpr Strong& operator++() {
    ++value_;
    return *this;
  }

 private:
  Rep value_{};
};

}  // namespace base

template <class Tag, class Rep>
struct std::hash<base::Strong<Tag, Rep>> {
  std::size_t operator()(base::Strong<Tag, Rep> strong) const noexcept { return std::hash<Rep>{}(strong.value()); }
};
