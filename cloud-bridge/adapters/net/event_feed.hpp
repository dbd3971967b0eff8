// EventFeed: the stream as server-sent events, for any number of readers up to a limit.
//
//   unanswered ──place taken──▶ dirty
//                ──refused──▶ gone, with an answer
//   unplaced ──end found──▶ dirty ──read, write──▶ dirty ──nothing more──▶ clean ──the stream has changed──▶ dirty
//                             ├── buffer full ──▶ throttled ──drained──▶ dirty
//                             └── cannot be read ──▶ told once, asked for again
//
// Invariants:
//   (1) Every reader gets every record from where it began, once, or its connection ends. What the stream itself has
//   let
//       go of is said, in its place.
//   (2) At most one request to the stream is under way, whatever the number of readers; those at the same place share
//       it.
//   (3) Nothing is kept for a slow reader but its place and what its connection's own bounded buffer holds.
//   (4) A reader that is not dirty has been read for since the stream changed last.
//   (5) The stream is watched while there are readers.
//
// Everything happens on the loop thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cloud-bridge/stream/stream.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

// Requests to the stream that may be under way; each one's answer is a page at most.
inline constexpr std::size_t kQuestionsMax = 32;

class EventFeed {
 public:
  // The stream must outlive the feed.
  EventFeed(boost::asio::io_context& io, stream::StreamReader& stream, std::size_t readers_max);
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  [[nodiscard]] bool full() const { return readers_.size() >= readers_max_; }
  [[nodiscard]] std::size_t readers() const { return readers_.size(); }
  // As the stream has it.
  [[nodiscard]] base::Result<stream::Place, std::string> parse(std::string_view text, stream::Bound bound) const {
    return stream_.parse(text, bound);
  }
  // The request is answered when the stream has looked at the place (or cannot look for a while): with the events, or
  // with what `refuse` makes of the reason why it is none.
  using Refuse = std::function<platform::HttpResponse(const std::string& reason)>;
  void open(std::shared_ptr<platform::Responder> responder, stream::Place from, Refuse refuse);
  // About the last `back` records, and what comes from now on.
  void open_at_end(std::shared_ptr<platform::Responder> responder, std::size_t back);
  // Ends every reader's connection.
  void stop();

 private:
  struct Reader {
    std::shared_ptr<platform::Responder> responder{};  // until it is answered
    Refuse refuse{};
    std::shared_ptr<platform::EventStream> connection{};  // from then on
    std::optional<stream::Place> next{};                  // none: the end is still to be found
    std::size_t back = 0;                                 // from that end
    bool dirty = true;                                    // there may be something to read
    bool throttled = false;
    bool told = false;         // that the stream cannot be read
    unsigned quiet_ticks = 0;  // since something was written
  };
  using Key = std::uint64_t;
  // What a reader wants to know: the records at a place, or the place so far from the end.
  using Question = std::variant<stream::Place, std::size_t>;

  [[nodiscard]] static Question question_of(const Reader& reader);
  Key add(Reader reader);
  // Answers the request: from now on there is a connection.
  void accept(Key key);
  void remove(Key key);
  void on_changed();
  void pump();
  [[nodiscard]] std::optional<Key> next_in_turn() const;
  void ask(std::size_t back);
  void ask(const stream::Place& from);
  void on_end(std::size_t back, const base::Result<stream::Place, stream::ReadFailure>& end);
  void on_page(const stream::Place& from, const base::Result<stream::ReadPage, stream::ReadFailure>& page);
  void on_failure(const std::function<bool(const Reader& reader)>& concerns, const stream::ReadFailure& failure);
  [[nodiscard]] std::vector<Key> keys_of(const std::function<bool(const Reader& reader)>& chosen) const;
  [[nodiscard]] bool write(Key key, const std::string& chunk);
  void tick();
  // The same call on this feed, unless it has ended by then.
  template <class Call>
  [[nodiscard]] auto while_alive(Call call) const {
    return [weak = std::weak_ptr<EventFeed*>(self_), call = std::move(call)](auto&&... arguments) {
      const auto self = weak.lock();
      if (self && *self) call(**self, arguments...);
    };
  }

  boost::asio::steady_timer timer_;
  stream::StreamReader& stream_;
  std::size_t readers_max_;
  std::map<Key, Reader> readers_;
  Key next_key_ = 1;
  Key last_served_ = 0;
  std::vector<Question> asked_;  // and not answered yet
  // Callbacks that come after our end find this empty.
  std::shared_ptr<EventFeed*> self_;
};

}  // namespace net
