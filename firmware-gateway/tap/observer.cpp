#include "firmware-gateway/tap/observer.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace tap {

using iso8583::Function;
using iso8583::Message;
using iso8583::MessageClass;

namespace {

constexpr unsigned stan_field = 11;
constexpr unsigned response_field = 39;

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

// Whole, or with what is needed: a request with what makes it out, an answer with the host's word.
bool can_be_told(const iso8583::Reading& reading, const iso8583::Dialect& dialect) {
  if (!reading.mti || reading.is_misplaced()) return false;
  if (reading.is_whole() || reading.mti->message_class == MessageClass::network) return true;
  if (reading.mti->is_response())
    return !text_of(reading.message, stan_field).empty() && !text_of(reading.message, response_field).empty();
  const auto draft = iso8583::to_draft(reading.message, *reading.mti, dialect, {});
  return draft && is_made_out(reading, *draft);
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
    return lose(connection, "the terminal speaks TLS, and the line has no tls: relayed unread");
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
      return lose(connection, fmt::format("a frame is none of the dialect's: {}", words_of(frame.error())));
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
  lose(connection, "parts of what a connection carried were not copied: it is read no further");
}

// No answer can be seen any more, and what was kept of it will not be read.
void Observer::lose(Connection connection, std::string why) {
  auto& lines = connections_.at(connection);
  lines = std::make_unique<Lines>(dialect_->framing);
  lines->lost = true;
  tell_unanswered(matching_.close(connection));
  tell_unread({{"reason", std::move(why)}});
}

void Observer::on_closed(Connection connection) {
  connections_.erase(connection);
  tell_unanswered(matching_.close(connection));
}

void Observer::on_time(base::Instant now) { tell_unanswered(matching_.expire(now - host_timeout_)); }

void Observer::on_stop() { tell_unanswered(matching_.expire(base::Instant::max())); }

void Observer::on_frame(Connection connection, Direction direction, const iso8583::Frame& frame, base::Now now) {
  ++counts_.messages;
  iso8583::Reading reading = iso8583::read_message(frame.message, *dialect_);
  if (!can_be_told(reading, *dialect_)) {
    ++counts_.unreadable;
    return tell_unread(shape_of(reading));
  }
  if (reading.mti->message_class == MessageClass::network) {
    ++counts_.no_event;
    return;
  }
  if (reading.mti->is_response() == (direction == Direction::from_terminal)) {
    ++counts_.wrong_direction;
    return;
  }
  if (direction == Direction::from_host) return on_answer(connection, reading, frame.header);
  on_request({.connection = connection,
              .message = std::move(reading.message),
              .mti = *reading.mti,
              .missing = std::move(reading.missing),
              .header = std::string(frame.header),
              .bytes = frame.message.size(),
              .seen = now});
}

void Observer::on_answer(Connection connection, const iso8583::Reading& reading, std::string_view header) {
  const auto request = matching_.answer(connection, reading.message, *reading.mti, header);
  if (request) {
    ++counts_.answered;
    return tell(*request, &reading);
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

void Observer::tell(const Request& request, const iso8583::Reading* answer) {
  const bool timed_out = answer == nullptr && request.mti.function != Function::notification;
  auto draft = iso8583::to_draft(request.message, request.mti, *dialect_,
                                 {.answer = answer == nullptr ? nullptr : &answer->message, .timed_out = timed_out});
  if (!draft) {
    ++counts_.no_event;
    return;
  }
  redact::Fields& fields = draft->fields;
  if (!request.missing.empty()) iso8583::tell_missing(*draft, request.missing);
  if (answer != nullptr && !answer->is_whole()) fields.incomplete.push_back("iso8583 answer: " + answer->missing);
  // The moment of receipt is the tap's: the gateway may be there only later.
  if (!fields.written_local && !fields.written_utc) fields.written_utc = written(request.seen.utc);
  findings_.emplace_back(std::move(*draft));
}

void Observer::tell_unread(terminal::Shape shape) {
  trouble_ = shape.at("reason");
  findings_.emplace_back(std::move(shape));
}

std::optional<Observer::Finding> Observer::take() {
  if (findings_.empty()) return std::nullopt;
  Finding finding = std::move(findings_.front());
  findings_.pop_front();
  return finding;
}

std::optional<std::string> Observer::take_trouble() { return std::exchange(trouble_, std::nullopt); }

std::optional<base::Instant> Observer::wakeup_at() const {
  const auto oldest = matching_.oldest();
  return oldest ? std::optional(*oldest + host_timeout_) : std::nullopt;
}

}  // namespace tap
