// Refusal: why an event is not stored, in words for the terminal's developer. Holds no value of the event, nor any name
// that the terminal made up: both may be card data.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/fields.hpp"

namespace redact {

enum class Reason {
  invalid_json,            // 400: cannot be read as JSON
  invalid_protobuf,        // 400: cannot be read as protobuf
  invalid_message,         // 400: cannot be read as a message of the card schemes
  invalid_field,           // 400: one field is wrong or missing
  unknown_terminal,        // 403
  card_number_refused,     // 403: a clear PAN where none is accepted
  not_found,               // 404
  method_not_allowed,      // 405
  conflicting_duplicate,   // 409
  too_large,               // 413
  unsupported_media_type,  // 415
  busy,                    // 503: nothing was stored; again after retry_after
  storage,                 // 503: outcome unknown; again with the same terminal_ref
};

inline constexpr std::size_t reason_count = static_cast<std::size_t>(Reason::storage) + 1;

[[nodiscard]] unsigned status_of(Reason reason);
// "invalid_field", as in the answer's `code`.
[[nodiscard]] std::string_view word(Reason reason);

struct Refusal {
  Reason reason = Reason::invalid_field;
  std::string_view field;  // a known field's name, or empty
  std::string message;
  std::chrono::seconds retry_after{0};  // with busy and storage
};

[[nodiscard]] Refusal invalid(Field field, std::string message);
[[nodiscard]] Refusal invalid_json(std::string message);

}  // namespace redact
