#include "cloud-bridge/adapters/net/event_feed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <vector>

namespace net {

namespace {

// Retries what the stream had no time for, or failed to do.
constexpr auto tick_interval = std::chrono::seconds(1);
// A comment in the stream after so many quiet ticks: keeps proxies from closing it, and finds out that a reader has
// gone.
constexpr unsigned keep_alive_ticks = 10;
constexpr std::string_view keep_alive = ": \n\n";
// A stream that cannot be asked lets a request wait for so long; then it is told why in the stream of events.
constexpr unsigned unanswered_ticks_max = 3;
constexpr stream::ReadLimits page_limits{.records = 256, .bytes = 128 * 1024};

// Foreign writers of a topic may break lines, and a bare one would end the event.
void put_lines(std::string& chunk, std::string_view field, std::string_view text) {
  for (;;) {
    const std::size_t line = text.find_first_of("\r\n");
    fmt::format_to(std::back_inserter(chunk), "{}: {}\n", field, text.substr(0, line));
    if (line == std::string_view::npos) return;
    text.remove_prefix(line + 1);
  }
}

void put(std::string& chunk, const stream::ReadRecord& record) {
  fmt::format_to(std::back_inserter(chunk), "id: {}\n", record.id);
  put_lines(chunk, "data", record.value);
  chunk += '\n';
}

// Its own type of event: who listens for records alone is not disturbed. The words are the stream's own.
void put(std::string& chunk, const stream::Removed& removed) {
  fmt::format_to(
      std::back_inserter(chunk),
      "id: {}\nevent: removed\ndata: {{\"notice\":\"records_removed\",\"first\":\"{}\",\"next\":\"{}\"}}\n\n",
      removed.id, removed.first, removed.next);
}

std::string render(const stream::ReadPage& page) {
  std::string chunk;
  for (const stream::Removed& removed : page.removed) put(chunk, removed);
  for (const stream::ReadRecord& record : page.records) put(chunk, record);
  return chunk;
}

std::string comment(std::string_view text) {
  std::string chunk;
  put_lines(chunk, "", text);
  return chunk + '\n';
}

}  // namespace

EventFeed::EventFeed(boost::asio::io_context& io, stream::StreamReader& stream, std::size_t readers_max)
    : timer_(io), stream_(stream), readers_max_(readers_max), self_(std::make_shared<EventFeed*>(this)) {
  tick();
}

EventFeed::~EventFeed() {
  *self_ = nullptr;
  stream_.watch({});
}

void EventFeed::open(std::shared_ptr<platform::Responder> responder, stream::Place from, Refuse refuse) {
  add({.responder = std::move(responder), .refuse = std::move(refuse), .next = std::move(from)});
  pump();
}

void EventFeed::open_at_end(std::shared_ptr<platform::Responder> responder, std::size_t back) {
  accept(add({.responder = std::move(responder), .back = back}));
  pump();
}

EventFeed::Key EventFeed::add(Reader reader) {
  if (readers_.empty()) stream_.watch(while_alive([](EventFeed& self) { self.on_changed(); }));
  const Key key = next_key_++;
  readers_.emplace(key, std::move(reader));
  return key;
}

void EventFeed::accept(Key key) {
  const auto found = readers_.find(key);
  if (found == readers_.end() || found->second.connection) return;
  Reader& reader = found->second;
  const auto connection = std::exchange(reader.responder, {})->stream();
  reader.connection = connection;
  const bool placed = reader.next.has_value();
  connection->on_closed(while_alive([key](EventFeed& self) { self.remove(key); }));
  // Who waits for the end hears this when it is found: from then on nothing is missed.
  if (placed) static_cast<void>(write(key, std::string(keep_alive)));
}

void EventFeed::remove(Key key) {
  if (readers_.erase(key) > 0 && readers_.empty()) stream_.watch({});
}

void EventFeed::stop() {
  const auto gone = std::exchange(readers_, {});
  stream_.watch({});
  for (const auto& [key, reader] : gone) (reader.connection ? reader.connection : reader.responder->stream())->close();
  timer_.cancel();
}

void EventFeed::on_changed() {
  for (auto& [key, reader] : readers_) reader.dirty = true;
  pump();
}

std::optional<EventFeed::Key> EventFeed::next_in_turn() const {
  const auto wanting = [this](const auto& entry) {
    const Reader& reader = entry.second;
    return reader.dirty && !reader.throttled && std::ranges::find(asked_, question_of(reader)) == asked_.end();
  };
  const auto begin = readers_.upper_bound(last_served_);
  if (const auto found = std::find_if(begin, readers_.end(), wanting); found != readers_.end()) return found->first;
  if (const auto found = std::find_if(readers_.begin(), begin, wanting); found != begin) return found->first;
  return std::nullopt;
}

std::vector<EventFeed::Key> EventFeed::keys_of(const std::function<bool(const Reader& reader)>& chosen) const {
  std::vector<Key> keys;
  for (const auto& [key, reader] : readers_) {
    if (chosen(reader)) keys.push_back(key);
  }
  return keys;
}

EventFeed::Question EventFeed::question_of(const Reader& reader) {
  if (reader.next) return *reader.next;
  return reader.back;
}

void EventFeed::pump() {
  while (asked_.size() < kQuestionsMax) {
    const auto key = next_in_turn();
    if (!key) return;
    last_served_ = *key;
    asked_.push_back(question_of(readers_.at(*key)));
    std::visit([this](const auto& question) { ask(question); }, Question(asked_.back()));
  }
}

void EventFeed::ask(std::size_t back) {
  stream_.find_end(back, while_alive([back](EventFeed& self, const auto& end) { self.on_end(back, end); }));
}

void EventFeed::on_end(std::size_t back, const base::Result<stream::Place, stream::ReadFailure>& end) {
  std::erase(asked_, Question(back));
  const auto waiting = [back](const Reader& reader) { return !reader.next && reader.back == back; };
  if (!end) return on_failure(waiting, end.error());
  for (const Key key : keys_of(waiting)) {
    const auto found = readers_.find(key);
    if (found == readers_.end()) continue;
    found->second.next = *end;
    static_cast<void>(write(key, std::string(keep_alive)));
  }
  pump();
}

void EventFeed::ask(const stream::Place& from) {
  // Whatever changes from here on makes them dirty again.
  for (auto& [key, reader] : readers_) {
    if (reader.next == from && !reader.throttled) reader.dirty = false;
  }
  stream_.read(from, page_limits, while_alive([from](EventFeed& self, const auto& page) { self.on_page(from, page); }));
}

void EventFeed::on_page(const stream::Place& from, const base::Result<stream::ReadPage, stream::ReadFailure>& page) {
  std::erase(asked_, Question(from));
  const auto served = [&from](const Reader& reader) { return reader.next == from && !reader.throttled; };
  if (!page) return on_failure(served, page.error());
  const std::string chunk = render(*page);
  for (const Key key : keys_of(served)) {
    accept(key);
    const bool written = chunk.empty() || write(key, chunk);
    const auto found = readers_.find(key);
    if (found == readers_.end()) continue;
    Reader& reader = found->second;
    if (!written) continue;
    reader.dirty = reader.dirty || page->more;
    reader.next = page->next;
    reader.told = false;
  }
  pump();
}

// The next change or the next tick tries again.
void EventFeed::on_failure(const std::function<bool(const Reader& reader)>& concerns,
                           const stream::ReadFailure& failure) {
  for (const Key key : keys_of(concerns)) {
    const auto found = readers_.find(key);
    if (found == readers_.end()) continue;
    found->second.dirty = true;
    if (failure.error == stream::ReadError::busy || std::exchange(found->second.told, true)) continue;
    if (failure.error == stream::ReadError::refused && found->second.responder) {
      const Reader refused = std::move(found->second);
      remove(key);
      refused.responder->send(refused.refuse(failure.reason));
      continue;
    }
    accept(key);
    if (!readers_.contains(key)) continue;
    const auto connection = found->second.connection;
    static_cast<void>(write(key, comment(failure.reason)));
    if (failure.error == stream::ReadError::refused) {
      remove(key);
      connection->close();
    }
  }
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
  slow->second.dirty = true;
  connection->on_drained(while_alive([key](EventFeed& self) {
    const auto drained = self.readers_.find(key);
    if (drained == self.readers_.end()) return;
    drained->second.throttled = false;
    self.pump();
  }));
  return false;
}

void EventFeed::tick() {
  timer_.expires_after(tick_interval);
  timer_.async_wait(while_alive([](EventFeed& self, const boost::system::error_code& error) {
    if (error) return;
    for (auto& [key, reader] : self.readers_) ++reader.quiet_ticks;
    const auto unanswered = [](const Reader& reader) {
      return reader.responder && reader.quiet_ticks >= unanswered_ticks_max;
    };
    for (const Key key : self.keys_of(unanswered)) self.accept(key);
    const auto quiet = [](const Reader& reader) { return reader.quiet_ticks >= keep_alive_ticks && !reader.throttled; };
    for (const Key key : self.keys_of(quiet)) static_cast<void>(self.write(key, std::string(keep_alive)));
    self.pump();
    self.tick();
  }));
}

}  // namespace net
