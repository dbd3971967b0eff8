// nexo's words as ours. The tables stand in the .cpp, and in the README.
#pragma once

#include <optional>
#include <string_view>

namespace terminal::nexo {

// PaymentType → type: "sale", "refund" …; nothing when it is unknown.
[[nodiscard]] std::optional<std::string_view> type_of(std::string_view payment_type);
// Whether the type alone says what the PaymentType was.
[[nodiscard]] bool says_it_all(std::string_view payment_type);
// Response.Result and ErrorCondition → outcome; nothing when Result is unknown or missing.
[[nodiscard]] std::optional<std::string_view> outcome_of(std::string_view result, std::string_view error_condition);
// EntryMode → entry_mode.
[[nodiscard]] std::optional<std::string_view> entry_mode_of(std::string_view entry_mode);
// AuthenticationMethod → cvm.
[[nodiscard]] std::optional<std::string_view> cvm_of(std::string_view authentication_method);
// ReversalReason → reason.
[[nodiscard]] std::optional<std::string_view> reason_of(std::string_view reversal_reason);
// PaymentBrand: Adyen's short names as those that redact gives by IIN; any other as it is.
[[nodiscard]] std::string_view brand_of(std::string_view payment_brand);

}  // namespace terminal::nexo
