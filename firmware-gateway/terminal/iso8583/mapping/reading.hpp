// Reading: a message from its bytes, as far as it can be read and believed.
//
//   bytes ──decode──▶ whole, or what stands before it breaks off ──placement_of──▶ in its place, or another dialect's
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"
#include "proto/base/bytes.hpp"

namespace iso8583 {

struct Reading {
  // Whole, or what was read of it.
  Message message;
  // Nothing: it is none, or the message ends before it.
  std::optional<Mti> mti;
  // Where and why the message breaks off, without any value; empty: it is whole.
  std::string broken_off;
  // The same as an event's `incomplete` has it: "field 42 and what follows".
  std::string missing;
  Placement placement;

  [[nodiscard]] bool is_whole() const { return broken_off.empty(); }
  // No value of it may be told or stored.
  [[nodiscard]] bool is_misplaced() const { return is_whole() ? placement.is_wrong() : placement.is_uncertain(); }
  // Why it is not whole, misplaced, or no message.
  [[nodiscard]] std::string trouble() const;
};

[[nodiscard]] Reading read_message(base::BytesView bytes, const Dialect& dialect);

// Whether a request that breaks off says enough to be kept: a transaction what makes it out, a settlement a total.
[[nodiscard]] bool is_made_out(const Reading& reading, const redact::Draft& draft);

// Of a request's draft: what of its message is missing. Totals that may be among it are not relied on.
void tell_missing(redact::Draft& draft, std::string_view missing);

// For a notice: MTI, which fields, why; and unless it is misplaced the values of class open ("field_11" …), without
// what looks like card data.
[[nodiscard]] terminal::Shape shape_of(const Reading& reading);

}  // namespace iso8583
