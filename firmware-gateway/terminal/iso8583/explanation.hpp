// A message as a person reads it, field by field. What is sensitive is masked by redact: nothing here may show more
// than a log might.
#pragma once

#include <string>
#include <string_view>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// "financial advice, repeated by the acquirer (1987)"; empty for what the standard does not know.
[[nodiscard]] std::string mti_words(std::string_view mti);

// What is shown as '*' for each character, whatever its class: card data may have come to lie in it.
struct Hidden {
  bool header = false;
  Bitmap fields;
};

// A line for each field: number, name, value; EMV data with a line for each tag. Control characters are written as
// \u0007.
[[nodiscard]] std::string explain(const Message& message, const Dialect& dialect, const Hidden& hidden = {});

// {"mti": "0200", "fields": {"4": "000000001000", …}}: open fields as they are, others masked; "header" when there is
// one. After an error also {"error": {"part": "field", "field": 4, "position": 38, "reason": "…"}}. What else
// is to be said: {"warning": "…"}.
[[nodiscard]] std::string to_json(const Message& message, const DecodeError* error = nullptr, const Hidden& hidden = {},
                                  std::string_view warning = {});

}  // namespace iso8583
