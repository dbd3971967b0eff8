// TotalsForm: where the terminals of a dialect write the totals of a settlement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace iso8583 {

// What a pair of count and amount stands for.
enum class TotalOf : std::uint8_t { sales, refunds, reversals, refund_reversals, nothing };

inline constexpr std::size_t total_count_digits = 3;
inline constexpr std::size_t total_amount_digits = 12;

struct TotalsForm {
  // Has pairs of a count and an amount, one behind the other; where it is missing, and with 0, they are in 74 to 97.
  unsigned field = 0;
  // In their order. A message may have fewer; what follows the last one is not read.
  std::vector<TotalOf> pairs;
};

}  // namespace iso8583
