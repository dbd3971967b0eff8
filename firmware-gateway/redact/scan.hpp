// Finding card data in free text: card numbers in any grouping, and track data.
//
// A card number is 13 to 19 digits, whole or in groups (blanks, dashes, dots and the like between them), that begin and
// end where a group does, have a known IIN with one of its lengths, and pass Luhn. Digits of other scripts count as
// digits. Within an unbroken run that is longer than a card number, its beginning and its end are looked at, too (a PAN
// with its expiry date behind it, a TLV tag before it). Track 1 and track 2 data is found by its separators and taken
// whole, up to its end sentinel.
//
// A false hit costs a masked word; a missed card number costs far more. See the README for what is known to collide.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace redact {

// Bytes begin … end of the text.
struct Finding {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// In the order of the text, not overlapping.
[[nodiscard]] std::vector<Finding> find_card_data(std::string_view text);

// Whether a card number may stand anywhere within a run of digits, whatever is around it: for what was read by lengths
// that may be wrong. In a long run chance alone says yes now and then.
[[nodiscard]] bool may_hold_pan(std::string_view text);

// The mark for one finding; it is given the found bytes.
using Mark = std::function<std::string(std::string_view found)>;

// Replaces each finding by its mark, wipes the original bytes, and says how many there were.
std::size_t mask_card_data(std::string& text, const Mark& mark);

}  // namespace redact
