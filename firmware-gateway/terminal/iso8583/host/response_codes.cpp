#include "firmware-gateway/terminal/iso8583/host/response_codes.hpp"

namespace iso8583 {
namespace {

// The code of 1987, or the action code that says the same in 1993.
std::string_view either(unsigned year, std::string_view code, std::string_view action) {
  return year < 1993 ? code : action;
}

std::string_view cannot_store_code(CannotStore cannot_store, unsigned year) {
  switch (cannot_store) {
    case CannotStore::system_malfunction:
      return either(year, "96", "909");
    case CannotStore::inoperative:
      return either(year, "91", "907");
    case CannotStore::silent:
      return {};
  }
  return {};
}

}  // namespace

std::string_view accepted_code(MessageClass message_class, unsigned year) {
  if (year < 1993) return "00";
  switch (message_class) {
    case MessageClass::reversal:
      return "400";
    case MessageClass::reconciliation:
      return "500";
    case MessageClass::network:
      return "800";
    default:
      return "000";
  }
}

std::string_view out_of_balance_code(std::string_view chosen, unsigned year) {
  return chosen.empty() ? either(year, "95", "501") : chosen;
}

std::string_view format_error_code(unsigned year) { return either(year, "30", "904"); }
std::string_view not_supported_code(unsigned year) { return either(year, "40", "115"); }

std::string_view refused_code(redact::Reason reason, CannotStore cannot_store, unsigned year) {
  switch (reason) {
    case redact::Reason::busy:
    case redact::Reason::storage:
      return cannot_store_code(cannot_store, year);
    case redact::Reason::unknown_terminal:
      return either(year, "58", "120");
    case redact::Reason::card_number_refused:
      return either(year, "63", "122");
    default:
      return format_error_code(year);
  }
}

}  // namespace iso8583
