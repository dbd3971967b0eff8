// EventFeed: the stream as server-sent events, for any number of readers up to a limit.
//
//   behind ──read, write──▶ behind ──nothing more──▶ at the end ──commit──▶ behind
//      └──── buffer full ──▶ throttled ──drained──▶ behind
//
// Invariants:
//   (1) Every reader gets every record at or after where it began, once, in order, or its connection ends.
//   (2) At most one read of the stream is under way, whatever the number of readers; those at the same position share
//   it. (3) Nothing is kept for a slow reader but its position and what its connection's own bounded buffer holds.
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

#include "cloud-bridge/stream/stream.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

class EventFeed {
 public:
  // `last` says the last position of the stream now. Both must outlive the feed.
  EventFeed(boost::asio::io_context& io, stream::StreamReader& reader, std::function<stream::Position()> last,
            std::size_t readers_max);
  ~EventFeed();

  [[nodiscard]] bool full() const { return readers_.size() >= readers_max_; }
  [[nodiscard]] std::size_t readers() const { return readers_.size(); }
  // From this position on; none: only what comes from now on.
  void open(const std::shared_ptr<platform::EventStream>& connection, std::optional<stream::Position> from);
  // Ends every reader's connection.
  void stop();

 private:
  struct Reader {
    std::shared_ptr<platform::EventStream> connection;
    stream::Position next;
    bool throttled = false;
    unsigned quiet_ticks = 0;  // since something was written
  };
  using Key = std::uint64_t;

  void on_appended(stream::Position last);
  void pump();
  [[nodiscard]] bool wants(const Reader& reader) const { return !reader.throttled && reader.next <= last_; }
  [[nodiscard]] std::optional<Key> next_in_turn() const;
  // `end`: the last position when the read was asked for.
  void on_page(stream::Position from, stream::Position end,
               const base::Result<stream::ReadPage, stream::ReadError>& page);
  [[nodiscard]] bool write(Key key, const std::string& chunk);
  void tick();

  boost::asio::steady_timer timer_;
  stream::StreamReader& reader_;
  std::function<stream::Position()> last_position_;
  std::size_t readers_max_;
  std::map<Key, Reader> readers_;
  Key next_key_ = 1;
  Key last_served_ = 0;
  stream::Position last_;
  bool reading_ = false;
  // Callbacks that come after our end find this empty.
  std::shared_ptr<EventFeed*> self_;
};

}  // namespace net
