#include "firmware-gateway/terminal/iso8583/host/dialogue.hpp"

#include <string>
#include <utility>

namespace iso8583 {
namespace {

// Empty stays empty: silence has no frame.
std::string framed(const Framing& framing, std::string_view request_header, base::BytesView message) {
  return message.empty() ? std::string() : std::string(frame_answer(framing, request_header, message));
}

void tell(const terminal::Shape& shape, terminal::Exchange& exchange) {
  exchange.on_refused(redact::Reason::invalid_message);
  exchange.on_unreadable(shape);
}

}  // namespace

HostDialogue::HostDialogue(std::shared_ptr<const Dialect> dialect, std::shared_ptr<HostCounts> counts)
    : dialect_(std::move(dialect)), counts_(std::move(counts)), cutter_(dialect_->framing) {}

terminal::Dialogue::Step HostDialogue::take(terminal::Exchange& exchange) {
  const auto next = cutter_.next();
  if (!next) return hang_up();
  if (!*next) return Step::need_more;
  if ((*next)->keep_alive) {
    exchange.say(std::string(keep_alive(dialect_->framing)));
    return Step::taken;
  }
  ++counts_->messages;
  return take(**next, exchange);
}

terminal::Dialogue::Step HostDialogue::take(const Frame& frame, terminal::Exchange& exchange) {
  const std::string header(frame.header);
  auto reaction = Host(*dialect_).react(frame.message);
  if (const auto* const hung_up = std::get_if<Host::HangUp>(&reaction)) {
    if (!hung_up->shape.empty()) tell(hung_up->shape, exchange);
    return hang_up();
  }
  if (auto* const store = std::get_if<Host::Store>(&reaction)) {
    exchange.store(std::move(store->draft),
                   [dialect = dialect_, header, echo = std::move(store->echo)](const terminal::Answer& answer) {
                     return framed(dialect->framing, header, Host(*dialect).conclude(echo, answer));
                   });
  } else if (const auto* const say = std::get_if<Host::Say>(&reaction)) {
    ++counts_->said_at_once;
    exchange.say(framed(dialect_->framing, header, say->message));
  } else if (const auto* const reject = std::get_if<Host::Reject>(&reaction)) {
    ++counts_->rejected;
    tell(reject->shape, exchange);
    exchange.say(framed(dialect_->framing, header, reject->message));
  } else {
    ++counts_->ignored;
  }
  return Step::taken;
}

terminal::Dialogue::Step HostDialogue::hang_up() {
  ++counts_->hung_up;
  return Step::ended;
}

}  // namespace iso8583
