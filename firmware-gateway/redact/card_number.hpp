// Reading what a terminal gives as card_number: a clear PAN, or one that is masked already.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/secret.hpp"

namespace redact {

struct CardNumber {
  // Digits only; empty when it came masked.
  Secret pan;
  std::string last4;       // empty: masked, too
  std::string_view brand;  // by IIN; empty: not known
};

// Whether there are enough clear digits for a PAN: what must not come over an untrusted line, valid or not.
[[nodiscard]] bool is_clear(std::string_view text);

// A PAN of 12 to 19 digits that passes Luhn, with single blanks or dashes between groups; or a masked one: at most the
// first eight digits, then mask characters (* x X # . • · _ and the like), then the last four digits or mask
// characters. Nothing for anything else.
[[nodiscard]] std::optional<CardNumber> read_card_number(std::string_view text);

}  // namespace redact
