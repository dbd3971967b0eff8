#include "firmware-gateway/redact/refusal.hpp"

#include "proto/base/assert.hpp"

namespace redact {

unsigned status_of(Reason reason) {
  switch (reason) {
    case Reason::invalid_json:
    case Reason::invalid_protobuf:
    case Reason::invalid_message:
    case Reason::invalid_field:
      return 400;
    case Reason::unknown_terminal:
    case Reason::card_number_refused:
      return 403;
    case Reason::not_found:
      return 404;
    case Reason::method_not_allowed:
      return 405;
    case Reason::conflicting_duplicate:
      return 409;
    case Reason::too_large:
      return 413;
    case Reason::unsupported_media_type:
      return 415;
    case Reason::busy:
    case Reason::storage:
      return 503;
  }
  ASSERT(false);
}

std::string_view word(Reason reason) {
  switch (reason) {
    case Reason::invalid_json:
      return "invalid_json";
    case Reason::invalid_protobuf:
      return "invalid_protobuf";
    case Reason::invalid_message:
      return "invalid_message";
    case Reason::invalid_field:
      return "invalid_field";
    case Reason::unknown_terminal:
      return "unknown_terminal";
    case Reason::card_number_refused:
      return "card_number_refused";
    case Reason::not_found:
      return "not_found";
    case Reason::method_not_allowed:
      return "method_not_allowed";
    case Reason::conflicting_duplicate:
      return "conflicting_duplicate";
    case Reason::too_large:
      return "too_large";
    case Reason::unsupported_media_type:
      return "unsupported_media_type";
    case Reason::busy:
      return "busy";
    case Reason::storage:
      return "storage";
  }
  ASSERT(false);
}

Refusal invalid(Field field, std::string message) {
  return {Reason::invalid_field, name_of(field), std::move(message)};
}

Refusal invalid_json(std::string message) { return {Reason::invalid_json, {}, std::move(message)}; }

}  // namespace redact
