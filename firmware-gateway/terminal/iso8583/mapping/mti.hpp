// The message type indicator: version, class, function and origin of a message (ISO 8583, clause 4.2 of 1987).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace iso8583 {

enum class MessageClass : std::uint8_t {
  authorization = 1,
  financial = 2,
  file_action = 3,  // at the point of sale: a batch's transactions one by one, after its totals did not agree
  reversal = 4,
  reconciliation = 5,
  administrative = 6,
  fee = 7,
  network = 8,
};

enum class Function : std::uint8_t {
  request = 0,
  request_response = 1,
  advice = 2,
  advice_response = 3,
  notification = 4,
  notification_response = 5,
  instruction = 6,
  instruction_response = 7,
};

struct Mti {
  std::uint8_t version = 0;  // 0: 1987, 1: 1993, 2: 2003, 8: national, 9: private
  MessageClass message_class{};
  Function function{};
  std::uint8_t origin = 0;  // 0 acquirer, 2 issuer, 4 other; 1, 3 and 5 their repeats

  [[nodiscard]] bool is_response() const { return (static_cast<unsigned>(function) & 1U) != 0; }
  [[nodiscard]] bool is_repeat() const { return origin < 6 && (origin & 1U) != 0; }
};

// Nothing: not four digits, or a class or function that is reserved.
[[nodiscard]] std::optional<Mti> read_mti(std::string_view mti);

// The MTI of the response: 0200 → 0210, 0421 → 0430. Of a request, advice, notification or instruction.
[[nodiscard]] std::string response_mti(const Mti& mti);

}  // namespace iso8583
