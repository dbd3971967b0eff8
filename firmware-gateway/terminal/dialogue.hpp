// Dialogue: what is spoken on one connection of terminals, by a protocol that pipelines requests and answers them in
// order. Bytes in, requests out through the Exchange; no sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"

namespace terminal {

// A message's shape, for a notice: names and printable values without card data.
using Shape = std::map<std::string, std::string>;

// Under this name; a value that cannot be shown, in hexadecimal, under the name with _hex.
void add_to(Shape& shape, const std::string& name, std::string_view value);

// What a dialogue can do about the request that it has taken.
class Exchange {
 public:
  // An answer in the protocol's bytes; empty: nothing is said, and the next answer may go.
  using Words = std::function<std::string(const Answer&)>;

  virtual ~Exchange() = default;
  virtual void say(std::string bytes) = 0;
  // Stores the event; `words` makes the answer, once.
  virtual void store(redact::Draft draft, Words words) = 0;
  // For the counts: the dialogue itself has refused a request.
  virtual void on_refused(redact::Reason reason) = 0;
  // A request that has happened could not be read: tell it in the stream.
  virtual void on_unreadable(const Shape& shape) = 0;
};

class Dialogue {
 public:
  enum class Step {
    need_more,  // no whole request is there
    taken,
    ended,  // nothing more can be understood: the connection ends when what was taken is answered
  };

  virtual ~Dialogue() = default;
  virtual void add(std::string_view bytes) = 0;
  // Takes the next request: at most one say() or store().
  [[nodiscard]] virtual Step take(Exchange& exchange) = 0;
  // A request has begun and has not ended. Asked after need_more.
  [[nodiscard]] virtual bool amid_request() const = 0;
};

using MakeDialogue = std::function<std::unique_ptr<Dialogue>()>;

}  // namespace terminal
