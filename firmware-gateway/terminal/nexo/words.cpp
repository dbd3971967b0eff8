#include "firmware-gateway/terminal/nexo/words.hpp"

#include <algorithm>
#include <array>

namespace terminal::nexo {
namespace {

struct Word {
  std::string_view theirs;
  std::string_view ours;
};

constexpr std::array<Word, 15> payment_types{{{"Normal", "sale"},
                                              {"Refund", "refund"},
                                              {"CashAdvance", "cash_advance"},
                                              {"Completion", "completion"},
                                              {"FirstReservation", "authorization"},
                                              {"UpdateReservation", "authorization"},
                                              {"OneTimeReservation", "authorization"},
                                              {"Instalment", "sale"},
                                              {"IssuerInstalment", "sale"},
                                              {"Recurring", "sale"},
                                              {"SplitPayment", "sale"},
                                              {"VoiceAuthorization", "sale"},
                                              {"VoiceAuthorisation", "sale"},
                                              {"CashDeposit", "refund"},
                                              {"PaidOut", "refund"}}};
// From here on PaymentType is kept beside the type.
constexpr std::size_t plain_payment_types = 4;

// What the card's issuer or its rules refused; everything else went wrong before that.
constexpr std::array<std::string_view, 5> declining{"Refusal", "InvalidCard", "WrongPIN", "PaymentRestriction",
                                                    "NotAllowed"};

constexpr std::array<Word, 13> entry_modes{{{"Contactless", "contactless"},
                                            {"Tapped", "contactless"},
                                            {"RFID", "contactless"},
                                            {"Mobile", "contactless"},
                                            {"CLESS_CHIP", "contactless"},
                                            {"CLESS_SWIPE", "contactless"},
                                            {"ICC", "chip"},
                                            {"SynchronousICC", "chip"},
                                            {"MagStripe", "stripe"},
                                            {"MSR", "stripe"},
                                            {"Keyed", "manual"},
                                            {"Manual", "manual"},
                                            {"MKE", "manual"}}};

constexpr std::array<Word, 5> authentication_methods{{{"OfflinePIN", "pin"},
                                                      {"OnLinePIN", "pin"},
                                                      {"PaperSignature", "signature"},
                                                      {"SignatureCapture", "signature"},
                                                      {"Bypass", "none"}}};

constexpr std::array<Word, 4> reversal_reasons{{{"CustCancel", "customer"},
                                                {"MerchantCancel", "merchant"},
                                                {"Malfunction", "malfunction"},
                                                {"Unable2Compl", "malfunction"}}};

constexpr std::array<Word, 2> brands{{{"mc", "mastercard"}, {"cup", "unionpay"}}};

template <std::size_t size>
std::optional<std::string_view> look_up(const std::array<Word, size>& words, std::string_view theirs) {
  const auto found = std::ranges::find(words, theirs, &Word::theirs);
  if (found == words.end()) return std::nullopt;
  return found->ours;
}

}  // namespace

std::optional<std::string_view> type_of(std::string_view payment_type) {
  // nexo's default.
  return payment_type.empty() ? "sale" : look_up(payment_types, payment_type);
}

bool says_it_all(std::string_view payment_type) {
  const auto plain = payment_types.begin() + plain_payment_types;
  return payment_type.empty() || std::find_if(payment_types.begin(), plain, [payment_type](const Word& word) {
                                   return word.theirs == payment_type;
                                 }) != plain;
}

std::optional<std::string_view> outcome_of(std::string_view result, std::string_view error_condition) {
  if (result == "Success") return "approved";
  if (result == "Partial") return "partial";
  if (result != "Failure") return std::nullopt;
  if (error_condition == "InProgress") return "unknown";
  return std::ranges::find(declining, error_condition) != declining.end() ? "declined" : "failed";
}

std::optional<std::string_view> entry_mode_of(std::string_view entry_mode) { return look_up(entry_modes, entry_mode); }

std::optional<std::string_view> cvm_of(std::string_view authentication_method) {
  return look_up(authentication_methods, authentication_method);
}

std::optional<std::string_view> reason_of(std::string_view reversal_reason) {
  return look_up(reversal_reasons, reversal_reason);
}

std::string_view brand_of(std::string_view payment_brand) {
  return look_up(brands, payment_brand).value_or(payment_brand);
}

}  // namespace terminal::nexo
