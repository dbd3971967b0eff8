#include "firmware-gateway/tap/observer.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"

namespace tap {

using iso8583::Function;
using iso8583::Message;
using iso8583::MessageClass;

namespace {

redact::WrittenTime written(base::UtcTime utc) {
  const auto day = std::chrono::floor<std::chrono::days>(utc);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(utc - day));
  return {.year_of_century = static_cast<std::uint8_t>(static_cast<int>(date.year()) % 100),
          .month = static_cast<std::uint8_t>(static_cast<unsigned>(date.month())),
          .day = static_cast<std::uint8_t>(static_cast<unsigned>(date.day())),
          .hour = static_cast<std::uint8_t>(time.hours().count()),
          .minute = static_cast<std::uint8_t>(time.minutes().count()),
          .second = static_cast<std::uint8_t>(time.seconds().count())};
}

// The beginning of a TLS connection: a handshake record, version 3.x, with a ClientHello (RFC 8446, 5.1 and 4).
enum class Beginning { tls, other, too_short };
Beginning beginning_of(base::BytesView first) {
  constexpr std::size_t hello_at = 5;
  const auto differs = [&](std::size_t at, auto fits) { return first.size() > at && !fits(first[at]); };
  if (differs(0, [](char c) { return c == 22; }) || differs(1, [](char c) { return c == 3; }) ||
      differs(2, [](char c) { return c >= 0 && c <= 4; }) || differs(hello_at, [](char c) { return c == 1; }))
    return Beginning::other;
  return first.size() > hello_at ? Beginning::tls : Beginning::too_short;
}

}  // namespace

Observer::Observer(std::shared_ptr<const iso8583::Dialect> dialect, std::chrono::milliseconds host_timeout,
                   MatchingLimits limits, std::vector<std::string> host_sets)
    : dialect_(std::move(dialect)), host_timeout_(host_timeout), matching_(limits, std::move(host_sets)) {}

void Observer::on_bytes(Connection connection, Direction direction, base::BytesView bytes, base::Now now) {
  auto& lines = connections_[connection];
  if (!lines) lines = std::make_unique<Lines>(dialect_->framing);
  if (lines->lost) return;
  if (direction == Direction::from_host || lines->sniffed) return read(connection, *lines, direction, bytes, now);
  lines->first += bytes;
  const Beginning beginning = beginning_of(lines->first);
  if (beginning == Beginning::too_short) return;
  lines->sniffed = true;
  if (beginning == Beginning::tls) {
    ++counts_.unread;
    trouble_ = "the terminal speaks TLS, and the line has no tls: relayed unread";
    return lose(connection);
  }
  read(connection, *lines, direction, lines->first, now);
  redact::wipe(lines->first);
}

void Observer::read(Connection connection, Lines& lines, Direction direction, base::BytesView bytes, base::Now now) {
  auto& cutter = direction == Direction::from_terminal ? lines.from_terminal : lines.from_host;
  cutter.append(bytes);
  while (true) {
    const auto frame = cutter.next();
    if (!frame) {
      ++counts_.framing_lost;
      trouble_ = std::string("a frame is none of the dialect's: ") + std::string(words_of(frame.error()));
      return lose(connection);
    }
    if (!*frame) return;
    if (!(*frame)->keep_alive) on_frame(connection, direction, **frame, now);
  }
}

void Observer::on_gap(Connection connection, base::Now /*now*/) {
  auto& lines = connections_[connection];
  if (!lines) lines = std::make_unique<Lines>(dialect_->framing);
  if (lines->lost) return;
  ++counts_.incomplete;
  lose(connection);
}

// No answer can be seen any more, and what was kept of it will not be read.
void Observer::lose(Connection connection) {
  auto& lines = connections_.at(connection);
  lines = std::make_unique<Lines>(dialect_->framing);
  lines->lost = true;
  tell_unanswered(matching_.close(connection));
}

void Observer::on_closed(Connection connection) {
  connections_.erase(connection);
  tell_unanswered(matching_.close(connection));
}

void Observer::on_time(base::Instant now) { tell_unanswered(matching_.expire(now - host_timeout_)); }

void Observer::on_stop() { tell_unanswered(matching_.expire(base::Instant::max())); }

void Observer::on_frame(Connection connection, Direction direction, const iso8583::Frame& frame, base::Now now) {
  ++counts_.messages;
  auto message = iso8583::decode(frame.message, *dialect_);
  const auto mti = message ? iso8583::read_mti(message->mti()) : std::nullopt;
  if (!mti) {
    ++counts_.unreadable;
    trouble_ = message ? std::string("its MTI is none") : message.error().text(dialect_->year);
    return;
  }
  if (const auto placement = iso8583::placement_of(*message, frame.message, *dialect_); placement.is_wrong()) {
    ++counts_.unreadable;
    trouble_ = placement.text();
    return;
  }
  if (mti->message_class == MessageClass::network) {
    ++counts_.no_event;
    return;
  }
  if (mti->is_response() == (direction == Direction::from_terminal)) {
    ++counts_.wrong_direction;
    return;
  }
  if (direction == Direction::from_terminal)
    return on_request({.connection = connection,
                       .message = std::move(*message),
                       .mti = *mti,
                       .header = std::string(frame.header),
                       .bytes = frame.message.size(),
                       .seen = now});
  on_answer(connection, *message, *mti, frame.header);
}

void Observer::on_answer(Connection connection, const Message& answer, const iso8583::Mti& mti,
                         std::string_view header) {
  const auto request = matching_.answer(connection, answer, mti, header);
  if (request) {
    ++counts_.answered;
    return tell(*request, &answer);
  }
  if (request.error().differs.empty()) {
    ++counts_.unasked;
    return;
  }
  ++counts_.mismatched;
  trouble_ = fmt::format(
      "an answer has another {} than the open request with its STAN, and is not taken for its answer: it came too "
      "late, or the host sets this itself (then: host_sets)",
      request.error().differs == compared_names.front() ? "TPDU" : fmt::format("field {}", request.error().differs));
}

void Observer::on_request(Request request) {
  if (request.mti.message_class == MessageClass::reversal)
    if (const auto original = iso8583::original_of(request.message, request.mti, dialect_->year))
      tell_unanswered(matching_.reverse(request.message, *original));
  // Nobody answers a notification.
  if (request.mti.function == Function::notification) return tell(request, nullptr);
  const auto given_up = matching_.open(std::move(request));
  counts_.given_up += given_up.size();
  tell_unanswered(given_up);
}

void Observer::tell_unanswered(const std::vector<Request>& requests) {
  counts_.unanswered += requests.size();
  for (const Request& request : requests) tell(request, nullptr);
}

void Observer::tell(const Request& request, const Message* answer) {
  const bool timed_out = answer == nullptr && request.mti.function != Function::notification;
  auto draft = iso8583::to_draft(request.message, request.mti, *dialect_, {.answer = answer, .timed_out = timed_out});
  if (!draft) {
    ++counts_.no_event;
    return;
  }
  // The moment of receipt is the tap's: the gateway may be there only later.
  if (!draft->fields.written_local && !draft->fields.written_utc) draft->fields.written_utc = written(request.seen.utc);
  drafts_.push_back(std::move(*draft));
}

std::optional<redact::Draft> Observer::take() {
  if (drafts_.empty()) return std::nullopt;
  redact::Draft draft = std::move(drafts_.front());
  drafts_.pop_front();
  return draft;
}

std::optional<std::string> Observer::take_trouble() { return std::exchange(trouble_, std::nullopt); }

std::optional<base::Instant> Observer::wakeup_at() const {
  const auto oldest = matching_.oldest();
  return oldest ? std::optional(*oldest + host_timeout_) : std::nullopt;
}

}  // namespace tap
