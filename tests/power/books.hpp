// What may be found after a cut, whatever keeps it: at each moment of a story one of some books.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace power {

template <class Books>
using PossibleOf = std::vector<std::shared_ptr<const Books>>;

// From this many operations on, the books are one of these.
template <class Books>
struct MomentOf {
  std::size_t position = 0;
  PossibleOf<Books> books;
};

template <class Books>
[[nodiscard]] const PossibleOf<Books>& books_at(const std::vector<MomentOf<Books>>& moments, std::size_t position) {
  const auto after = std::upper_bound(moments.begin(), moments.end(), position,
                                      [](std::size_t at, const MomentOf<Books>& one) { return at < one.position; });
  REQUIRE(after != moments.begin());
  return std::prev(after)->books;
}

// Which of them it holds, by difference(store, books); none: the test fails, and says how it differs from each.
template <class Store, class Books>
[[nodiscard]] std::shared_ptr<const Books> held_by(Store& store, const PossibleOf<Books>& possible) {
  std::string differences;
  for (const auto& books : possible) {
    const std::string found = difference(store, *books);
    if (found.empty()) return books;
    differences += found + "; ";
  }
  FAIL("it holds none of what it may: ", differences);
  return nullptr;
}

}  // namespace power
