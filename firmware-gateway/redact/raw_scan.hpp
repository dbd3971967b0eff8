// Finding card data in the bytes of a message of which nobody can be sure how it is to be read: where a card number or
// a track lies in ASCII, in EBCDIC, or in packed digits.
//
// Only by signs that chance seldom makes: a number before a track's separator and an expiry, behind its EMV tag, or
// behind its length where the caller says that one may stand. So a message without card data has none found in it.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "firmware-gateway/redact/scan.hpp"

namespace redact {

// What a reading of the message, be it right or wrong, says.
struct RawHints {
  // Where a card number's length may begin, in two digits, or in one byte.
  std::vector<std::size_t> lengths_at;
  std::vector<std::size_t> binary_lengths_at;
  // Fields that are tracks.
  std::vector<Finding> tracks;
};

// In no order; may overlap.
[[nodiscard]] std::vector<Finding> find_raw_card_data(std::string_view bytes, const RawHints& hints);

}  // namespace redact
