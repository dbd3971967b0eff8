// Host: the gateway as the one that terminals report to (role "answer"). Decides what a message gets, and what its
// answer is once it is known whether the event is stored. Pure, and without a memory: the answer depends on the message
// and, of a settlement, on its stored event, so that a repeat gets the first one's, also after a restart.
//
//   bytes ──react──▶ Say      answer at once: there is nothing to store
//                    Store    submit the draft; conclude() makes the answer of what becomes of it
//                    Reject   answer (format error), and tell in a notice what could be read
//                    Ignore   a response that nobody has asked for
//                    HangUp   nobody can be answered: no MTI, no STAN, no terminal
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/reading.hpp"

namespace iso8583 {

// What an answer repeats of its request. Holds no card data.
struct Echo {
  Mti request;
  std::string header;
  std::vector<std::pair<unsigned, std::string>> fields;
  // It said its totals in fields 74 to 97, and is told in 66 how they compare.
  bool wants_settlement_code = false;
};

class Host {
 public:
  struct Say {
    base::Bytes message;
  };
  struct Store {
    redact::Draft draft;
    Echo echo;
  };
  struct Reject {
    base::Bytes message;
    terminal::Shape shape;
  };
  struct Ignore {};
  struct HangUp {
    // Of a message, but one that nobody could be answered about without repeating card data; empty: of none.
    terminal::Shape shape = {};
  };
  using Reaction = std::variant<Say, Store, Reject, Ignore, HangUp>;

  // The dialect must outlive it.
  explicit Host(const Dialect& dialect) : dialect_(dialect) {}

  [[nodiscard]] Reaction react(base::BytesView bytes) const;
  // The answer to a Store. Empty: silence, as the dialect wants it when nothing can be stored.
  [[nodiscard]] base::Bytes conclude(const Echo& echo, const terminal::Answer& given) const;

 private:
  [[nodiscard]] Reaction react_whole(const Reading& reading) const;
  [[nodiscard]] Reaction react_incomplete(const Reading& reading) const;
  [[nodiscard]] Reaction react_misplaced(const Reading& reading) const;
  [[nodiscard]] Echo echo_of(const Message& message, const Mti& mti) const;
  [[nodiscard]] base::Bytes answer(const Echo& echo, std::string_view code,
                                   std::string_view settlement_code = {}) const;
  [[nodiscard]] base::Bytes conclude(const Echo& echo, const terminal::Settled& settled) const;

  const Dialect& dialect_;
};

}  // namespace iso8583
