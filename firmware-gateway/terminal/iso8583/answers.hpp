// Answers: how a dialect's host answers, as far as it is not the same everywhere. Only for the gateway in the role of
// the host.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace iso8583 {

// What a terminal is told when its event cannot be stored now. All three make it come again.
enum class CannotStore : std::uint8_t {
  system_malfunction,  // 96; 1993: 909
  inoperative,         // 91; 1993: 907
  silent,              // nothing: it waits for its own timeout
};

struct Answers {
  // Fields that go back as they came, where they came and may.
  std::vector<unsigned> echo{3, 4, 7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 49, 70, 90};
  // Other ones by the answer's MTI.
  std::map<std::string, std::vector<unsigned>, std::less<>> echo_for;
  CannotStore cannot_store = CannotStore::system_malfunction;
  // For authorization and financial requests, which are not ours to approve. Empty: 40; 1993: 115.
  std::string request_code;
  // For a settlement out of balance: the terminal is to send each transaction. Empty: it is accepted all the same.
  std::string out_of_balance;
  // Messages end in a MAC (64, 128), which this gateway cannot make.
  bool mac = false;
};

// Never in an answer, whatever a dialect says: 2, 14, 34, 35, 36, 45, 52, 53, 55, 102, 103, and whatever the dialect
// calls card data.
[[nodiscard]] bool may_echo(unsigned field);

}  // namespace iso8583
