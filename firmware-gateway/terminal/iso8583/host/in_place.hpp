// In place: whether what was read of a message that breaks off stands where it should.
//
// Read by a wrong bitmap, or in another dialect than it was written in, a card number or a track comes to lie across
// fields of class open, in pieces that nobody could tell from an RRN or an amount. Then other fields do not hold what
// they must: a time that is none, a track without a card number, a separator in a terminal's id.
#pragma once

#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// False: no value of it may be told or stored.
[[nodiscard]] bool is_in_place(const Message& read, unsigned year);

}  // namespace iso8583
