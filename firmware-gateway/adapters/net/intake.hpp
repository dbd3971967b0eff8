// Intake: the gateway as the doors see it. Events in, answers back, on the loop's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"

namespace net {

class Intake {
 public:
  using Answered = std::function<void(terminal::Answer)>;

  virtual ~Intake() = default;
  // `answered` is called exactly once, later or at once.
  virtual void submit(redact::Draft draft, redact::Channel channel, Answered answered) = 0;
  // A door has refused something itself, before it was an event. For the count.
  virtual void on_refused(redact::Reason reason) = 0;
  // Something has happened that could not be read: tell it in the stream.
  virtual void on_unreadable(const terminal::Shape& shape) = 0;
  // A message that is not for a gateway, answered without an event. For the count.
  virtual void on_ignored() = 0;
  // The currency configured for a terminal, or "".
  [[nodiscard]] virtual std::string currency_of(std::string_view terminal_id) const = 0;
};

}  // namespace net
