#include "firmware-gateway/terminal/iso8583/mapping/tables.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace iso8583 {
namespace {

struct PurposeRow {
  std::string_view code;
  Purpose purpose;
};
// Whole codes first, then by their first digit.
constexpr auto purposes = std::to_array<PurposeRow>({
    {"00", Purpose::sale},               // goods and services
    {"01", Purpose::cash_advance},       // withdrawal
    {"02", Purpose::debit_adjustment},   //
    {"09", Purpose::sale},               // goods and services with cash-back
    {"17", Purpose::cash_advance},       // at a counter
    {"20", Purpose::refund},             // returns
    {"22", Purpose::credit_adjustment},  //
    {"0", Purpose::sale},                // debits
    {"1", Purpose::sale},                //
    {"2", Purpose::refund},              // credits
    {"3", Purpose::inquiry},             //
    {"4", Purpose::transfer},            //
    {"5", Purpose::sale},                // payment of a bill
});

struct DecisionRow {
  std::string_view code;
  Decision decision;
};
constexpr Decision approved{.outcome = "approved", .authorized_by = ""};
constexpr Decision partial{.outcome = "partial", .authorized_by = ""};
constexpr Decision declined{.outcome = "declined", .authorized_by = ""};
constexpr Decision failed{.outcome = "failed", .authorized_by = ""};
constexpr Decision approved_offline{.outcome = "approved", .authorized_by = "offline"};
constexpr Decision declined_offline{.outcome = "declined", .authorized_by = "offline"};

// What is in neither table is a refusal.
constexpr auto decisions_1987 = std::to_array<DecisionRow>({
    {"00", approved},          // approved
    {"08", approved},          // honour with identification
    {"10", partial},           // approved for a part
    {"11", approved},          // VIP
    {"16", approved},          // update track 3
    {"85", approved},          // nothing speaks against it
    {"Y1", approved_offline},  // by the card
    {"Y3", approved_offline},  // by the card, no host reached
    {"Z1", declined_offline},  //
    {"Z3", declined_offline},  //
    {"06", failed},            // error
    {"30", failed},            // format error
    {"68", failed},            // response too late
    {"90", failed},            // cut-off in progress
    {"91", failed},            // issuer or switch inoperative
    {"92", failed},            // cannot be routed
    {"94", failed},            // duplicate
    {"96", failed},            // system malfunction
});
// Action codes; 0xx approve, 9xx are about the message and the way, but for its first.
constexpr auto decisions_1993 = std::to_array<DecisionRow>({
    {"002", partial},   // approved for a part
    {"400", approved},  // reversal accepted
    {"900", approved},  // advice acknowledged
    {"901", approved},  // advice acknowledged, no financial liability
    {"0", approved},    //
    {"9", failed},      //
});

struct WordRow {
  std::string_view code;
  std::string_view word;
};
constexpr auto entry_modes_1987 = std::to_array<WordRow>({
    {"01", "manual"},
    {"02", "stripe"},
    {"05", "chip"},
    {"07", "contactless"},
    {"79", "manual"},  // the chip and then the stripe could not be read
    {"80", "fallback"},
    {"81", "ecommerce"},
    {"90", "stripe"},
    {"91", "contactless"},  // with the stripe's data
    {"95", "chip"},         // card verification may be unreliable
});
constexpr auto entry_modes_1993 = std::to_array<WordRow>({
    {"1", "manual"},
    {"2", "stripe"},
    {"5", "chip"},
    {"6", "manual"},
    {"8", "contactless"},
    {"9", "ecommerce"},
    {"A", "contactless"},
    {"B", "stripe"},
    {"M", "contactless"},
});
constexpr std::size_t input_mode_1993 = 6;
constexpr std::size_t field_22_bytes_1993 = 12;

// EMV book 3, annex C3: the method that was performed, without the bit for "if it fails, go on".
constexpr auto verification_methods = std::to_array<WordRow>({
    {"01", "pin"},
    {"02", "pin"},
    {"03", "pin"},
    {"04", "pin"},
    {"05", "pin"},
    {"1E", "signature"},
    {"1F", "none"},
    {"20", "device"},
});

constexpr auto reversal_reasons = std::to_array<WordRow>({
    {"17", "customer"},
    {"21", "merchant"},
    {"22", "malfunction"},
    {"68", "timeout"},
    {"91", "timeout"},
    {"96", "malfunction"},
    {"4000", "customer"},
    {"4001", "malfunction"},
    {"4006", "timeout"},
    {"4007", "malfunction"},
    {"4021", "timeout"},
});

// The row of the whole code, else that of its first character.
template <class Row, std::size_t N>
const Row* find(const std::array<Row, N>& rows, std::string_view code) {
  if (code.empty()) return nullptr;
  for (const std::string_view wanted : {code, code.substr(0, 1)}) {
    const auto row = std::ranges::find(rows, wanted, &Row::code);
    if (row != rows.end()) return &*row;
  }
  return nullptr;
}

template <std::size_t N>
std::string_view word_of(const std::array<WordRow, N>& rows, std::string_view code) {
  const auto row = std::ranges::find(rows, code, &WordRow::code);
  return row == rows.end() ? std::string_view() : row->word;
}

}  // namespace

Purpose purpose_of(std::string_view processing_code) {
  const auto* const row = find(purposes, processing_code.substr(0, 2));
  return row == nullptr ? Purpose::unknown : row->purpose;
}

std::string_view type_of(Purpose purpose, MessageClass message_class, bool preauthorized, bool completes) {
  if (purpose == Purpose::debit_adjustment || purpose == Purpose::credit_adjustment) return "adjustment";
  if (message_class == MessageClass::authorization || preauthorized) return "authorization";
  if (purpose == Purpose::refund) return "refund";
  if (purpose == Purpose::cash_advance) return "cash_advance";
  return completes ? "completion" : "sale";
}

Decision decision_of(std::string_view response_code) {
  if (response_code.empty()) return {};
  const bool is_action_code = response_code.size() == 3;
  const auto* const row = is_action_code ? find(decisions_1993, response_code) : find(decisions_1987, response_code);
  return row == nullptr ? declined : row->decision;
}

std::string_view entry_mode_of(std::string_view field_22) {
  if (field_22.size() == field_22_bytes_1993) return word_of(entry_modes_1993, field_22.substr(input_mode_1993, 1));
  // Three digits, or four where a dialect widens them.
  if (field_22.size() == 4 && field_22.front() == '0') field_22.remove_prefix(1);
  return field_22.size() == 3 ? word_of(entry_modes_1987, field_22.substr(0, 2)) : std::string_view();
}

std::string_view cvm_of(std::string_view cvm_results_hex) {
  if (cvm_results_hex.size() < 2) return {};
  // Bit 7 of the first byte says what to do after a failure.
  std::string_view first = cvm_results_hex.substr(0, 2);
  constexpr std::string_view high = "0123456789ABCDEF";
  const std::size_t nibble = high.find(first[0]);
  if (nibble == std::string_view::npos) return {};
  const std::array<char, 2> method = {high[nibble & 0x3U], first[1]};
  return word_of(verification_methods, std::string_view(method.data(), method.size()));
}

std::string_view reversal_reason_of(std::string_view code) { return word_of(reversal_reasons, code); }

}  // namespace iso8583
