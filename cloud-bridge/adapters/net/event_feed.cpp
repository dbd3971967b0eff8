#include "cloud-bridge/adapters/net/event_feed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <vector>

namespace net {

namespace {

// Retries what the stream had no time for.
constexpr auto tick_interval = std::chrono::seconds(1);
// A comment in the stream after so many quiet ticks: keeps proxies from closing it, and finds out that a reader has
// gone.
constexpr unsigned keep_alive_ticks = 10;
constexpr std::string_view keep_alive = ": \n\n";
constexpr stream::ReadLimits page_limits{.records = 256, .bytes = 128 * 1024};

std::string render(const stream::ReadPage& page) {
  std::string chunk;
  for (const stream::ReadRecord& read : page.records) {
    fmt::format_to(std::back_inserter(chunk), "id: {}\ndata: {}\n\n", read.position.value(), read.record.value);
  }
  return chunk;
}

}  // namespace

EventFeed::EventFeed(boost::asio::io_context& io, stream::StreamReader& reader, std::function<stream::Position()> last,
                     std::size_t readers_max)
    : timer_(io),
      reader_(reader),
      last_position_(std::move(last)),
      readers_max_(readers_max),
      self_(std::make_shared<EventFeed*>(this)) {
  reader_.watch([this](stream::Position appended) { on_appended(appended); });
  tick();
}

EventFeed::~EventFeed() {
  *self_ = nullptr;
  reader_.watch({});
}

void EventFeed::open(const std::shared_ptr<platform::EventStream>& connection, std::optional<stream::Position> from) {
  last_ = std::max(last_, last_position_());
  const Key key = next_key_++;
  readers_.emplace(key, Reader{.connection = connection, .next = from.value_or(last_.next())});
  connection->on_closed([weak = std::weak_ptr<EventFeed*>(self_), key] {
    if (const auto self = weak.lock(); self && *self) (*self)->readers_.erase(key);
  });
  static_cast<void>(write(key, std::string(keep_alive)));
  pump();
}

void EventFeed::stop() {
  std::vector<std::shared_ptr<platform::EventStream>> connections;
  connections.reserve(readers_.size());
  for (auto& [key, reader] : readers_) connections.push_back(reader.connection);
  readers_.clear();
  for (const auto& connection : connections) connection->close();
  timer_.cancel();
}

void EventFeed::on_appended(stream::Position last) {
  last_ = std::max(last_, last);
  pump();
}

std::optional<EventFeed::Key> EventFeed::next_in_turn() const {
  const auto wanting = [this](const auto& entry) { return wants(entry.second); };
  const auto begin = readers_.upper_bound(last_served_);
  if (const auto found = std::find_if(begin, readers_.end(), wanting); found != readers_.end()) return found->first;
  if (const auto found = std::find_if(readers_.begin(), begin, wanting); found != begin) return found->first;
  return std::nullopt;
}

void EventFeed::pump() {
  if (reading_) return;
  const auto key = next_in_turn();
  if (!key) return;
  last_served_ = *key;
  reading_ = true;
  const stream::Position from = readers_.at(*key).next;
  const std::weak_ptr<EventFeed*> weak = self_;
  reader_.read(from, page_limits, [weak, from, end = last_](base::Result<stream::ReadPage, stream::ReadError> page) {
    if (const auto self = weak.lock(); self && *self) (*self)->on_page(from, end, page);
  });
}

void EventFeed::on_page(stream::Position from, stream::Position end,
                        const base::Result<stream::ReadPage, stream::ReadError>& page) {
  reading_ = false;
  // Down or busy: the next commit or the next tick tries again.
  if (!page) return;
  const std::string chunk = render(*page);
  std::vector<Key> served;
  for (const auto& [key, reader] : readers_) {
    if (reader.next == from && wants(reader)) served.push_back(key);
  }
  for (const Key key : served) {
    // Nothing there although the end was beyond: go on behind that end, or this would never stop. Not behind today's
    // end: what was committed while this read was on its way is still to be read.
    const stream::Position next = page->records.empty() ? end.next() : page->next;
    if (!chunk.empty() && !write(key, chunk)) continue;
    if (const auto found = readers_.find(key); found != readers_.end()) found->second.next = next;
  }
  pump();
}

// False: not taken. The reader is throttled until its connection has room, or gone.
bool EventFeed::write(Key key, const std::string& chunk) {
  const auto found = readers_.find(key);
  if (found == readers_.end()) return false;
  const auto connection = found->second.connection;
  if (connection->write(chunk)) {
    if (const auto still = readers_.find(key); still != readers_.end()) still->second.quiet_ticks = 0;
    return true;
  }
  const auto slow = readers_.find(key);
  if (slow == readers_.end()) return false;
  slow->second.throttled = true;
  connection->on_drained([weak = std::weak_ptr<EventFeed*>(self_), key] {
    const auto self = weak.lock();
    if (!self || !*self) return;
    if (const auto drained = (*self)->readers_.find(key); drained != (*self)->readers_.end()) {
      drained->second.throttled = false;
      (*self)->pump();
    }
  });
  return false;
}

void EventFeed::tick() {
  timer_.expires_after(tick_interval);
  timer_.async_wait([weak = std::weak_ptr<EventFeed*>(self_)](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || !*self) return;
    EventFeed& feed = **self;
    std::vector<Key> quiet;
    for (auto& [key, reader] : feed.readers_) {
      if (++reader.quiet_ticks >= keep_alive_ticks && !reader.throttled) quiet.push_back(key);
    }
    for (const Key key : quiet) static_cast<void>(feed.write(key, std::string(keep_alive)));
    feed.pump();
    feed.tick();
  });
}

}  // namespace net
