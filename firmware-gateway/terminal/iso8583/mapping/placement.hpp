// Placement: whether what was read of a message stands where it should.
//
// Read by a wrong bitmap, or in another dialect than it was written in, a card number or a track comes to lie across
// fields of class open, in pieces that nobody could tell from an RRN or an amount. Two things tell it: the bytes
// themselves, in which a card number can be found whole, and then lies in no field that may hold one; and other fields,
// which do not hold what they must: a time that is none, a track without a card number, a separator in a terminal's id.
#pragma once

#include <string>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"
#include "proto/base/bytes.hpp"

namespace iso8583 {

struct Placement {
  // Fields that card data lies in.
  Bitmap card_data;
  // Of these, those that hold none, or that it reaches beyond: no value of the message is what it seems. So when some
  // lies before the fields, in what was read as a bitmap.
  Bitmap astray;
  bool bitmap_astray = false;
  // Fields that do not hold what they must.
  Bitmap implausible;
  // What is implausible, each kind of field counted once.
  unsigned doubts = 0;

  [[nodiscard]] bool card_data_is_astray() const { return bitmap_astray || !astray.empty(); }
  // The message is another dialect's: no value of it may be told or stored.
  [[nodiscard]] bool is_wrong() const { return card_data_is_astray() || doubts >= doubts_max; }
  // The same of a message that breaks off: nothing behind it shows that its lengths are right.
  [[nodiscard]] bool is_uncertain() const { return card_data_is_astray() || doubts > 0; }
  // Why, without any value: "fields 7 49 do not hold what they must …".
  [[nodiscard]] std::string text() const;

  static constexpr unsigned doubts_max = 2;
};

// `bytes` are those that `read` was decoded from.
[[nodiscard]] Placement placement_of(const Message& read, base::BytesView bytes, const Dialect& dialect);

// What an explanation must not show: all of a message that is misplaced; else free text with card data in it, in
// whatever coding.
[[nodiscard]] Hidden hidden_in(const Message& read, const Placement& placement, bool misplaced);

}  // namespace iso8583
