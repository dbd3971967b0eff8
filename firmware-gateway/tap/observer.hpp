// Observer: reads along on one line of the tap. Copies of what went either way in, drafts of events out. Pure; what it
// cannot read it counts, and what is relayed never depends on it.
//
//   bytes ──FrameCutter──▶ frames ──read_message──▶ requests, answers ──Matching──▶ pairs ──to_draft──▶ drafts
//                └───────────────────────┴── what cannot be read ──▶ shapes
//
// Bounded: connections are the relay's; a connection keeps one frame either way, requests are Matching's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/tap/matching.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/framing.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/reading.hpp"

namespace tap {

enum class Direction : std::uint8_t { from_terminal, from_host };

struct ObserverCounts {
  std::uint64_t messages = 0;
  std::uint64_t unreadable = 0;       // messages that the dialect does not read, or not far enough to keep them
  std::uint64_t framing_lost = 0;     // connections read no further: their frames are none of the dialect's
  std::uint64_t unread = 0;           // connections read no further: the terminal speaks TLS
  std::uint64_t incomplete = 0;       // connections read no further: parts of their bytes were not copied
  std::uint64_t answered = 0;         // requests with their answers
  std::uint64_t unanswered = 0;       // requests without: not in time, reversed, or the connection ended
  std::uint64_t given_up = 0;         // of these: more were open than there is room for
  std::uint64_t unasked = 0;          // answers to nothing that was open
  std::uint64_t mismatched = 0;       // answers unlike the open request with their STAN: late, or another one's
  std::uint64_t no_event = 0;         // readable, and nothing for the stream: network management, inquiries, totals
  std::uint64_t wrong_direction = 0;  // requests from the host, answers from the terminal
};

class Observer {
 public:
  Observer(std::shared_ptr<const iso8583::Dialect> dialect, std::chrono::milliseconds host_timeout,
           MatchingLimits limits = {}, std::vector<std::string> host_sets = {});

  void on_bytes(Connection connection, Direction direction, base::BytesView bytes, base::Now now);
  // Some of its bytes were not copied: nothing that comes can be cut into messages.
  void on_gap(Connection connection, base::Now now);
  void on_closed(Connection connection);
  void on_time(base::Instant now);
  // The tap stops: what is open stays without an answer.
  void on_stop();

  // What was transacted; or the shape of what could not be read, for a notice. In the order in which it was seen.
  using Finding = std::variant<redact::Draft, terminal::Shape>;
  [[nodiscard]] std::optional<Finding> take();
  // Of the last message that could not be read, or answer that is nobody's: where and why, without any value. Once
  // each.
  [[nodiscard]] std::optional<std::string> take_trouble();
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;
  [[nodiscard]] const ObserverCounts& counts() const { return counts_; }
  [[nodiscard]] std::size_t open_requests() const { return matching_.size(); }

 private:
  struct Lines {
    explicit Lines(const iso8583::Framing& framing) : from_terminal(framing), from_host(framing) {}
    iso8583::FrameCutter from_terminal;
    iso8583::FrameCutter from_host;
    // The terminal's first bytes, until it is known whether they begin TLS.
    base::Bytes first;
    bool sniffed = false;
    bool lost = false;
  };

  void read(Connection connection, Lines& lines, Direction direction, base::BytesView bytes, base::Now now);
  void lose(Connection connection, std::string why);
  void on_frame(Connection connection, Direction direction, const iso8583::Frame& frame, base::Now now);
  void on_request(Request request);
  void on_answer(Connection connection, const iso8583::Reading& reading, std::string_view header);
  void tell(const Request& request, const iso8583::Reading* answer);
  void tell_unread(terminal::Shape shape);
  void tell_unanswered(const std::vector<Request>& requests);

  std::shared_ptr<const iso8583::Dialect> dialect_;
  std::chrono::milliseconds host_timeout_;
  Matching matching_;
  std::map<Connection, std::unique_ptr<Lines>> connections_;
  std::deque<Finding> findings_;
  std::optional<std::string> trouble_;
  ObserverCounts counts_;
};

}  // namespace tap
