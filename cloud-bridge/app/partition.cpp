#include "cloud-bridge/app/partition.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace app {

namespace {

// Messages taken in one go; then the loop's other work has its turn.
constexpr int messages_per_turn = 256;

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

}  // namespace

Partition::Partition(boost::asio::io_context& io, stream::Stream& stream, base::Random& random, bridge::Budget& budget,
                     bridge::Counters& counters, bridge::ShardGroupSettings settings, paho::Settings broker)
    : io_(io),
      timer_(io),
      stream_(stream),
      group_(platform::hasher(), random, budget, counters, std::move(settings)),
      self_(std::make_shared<Partition*>(this)),
      connection_(std::move(broker), [&io, weak = std::weak_ptr<Partition*>(self_)] {
        boost::asio::post(io, [weak] {
          if (const auto self = weak.lock(); self && *self) (*self)->drain();
        });
      }) {}

Partition::~Partition() { *self_ = nullptr; }

void Partition::drain() {
  for (int i = 0; i < messages_per_turn; ++i) {
    auto event = connection_.next();
    if (!event) return pump();
    take(std::move(*event));
  }
  pump();
  boost::asio::post(io_, [weak = std::weak_ptr<Partition*>(self_)] {
    if (const auto self = weak.lock(); self && *self) (*self)->drain();
  });
}

void Partition::take(paho::Event event) {
  const base::Now now = platform::now();
  std::visit(Overloaded{[&](const paho::Online&) {
                          platform::log::info("partition {}: connected to the broker", number().value());
                          group_.on_online(now);
                        },
                        [&](paho::Offline& offline) {
                          platform::log::limited("broker.offline", platform::log::Level::warn,
                                                 "partition {}: no connection to the broker: {}", number().value(),
                                                 offline.reason);
                          group_.on_offline(std::move(offline.reason), now);
                        },
                        [&](const paho::Message& message) { group_.on_message(message.topic, message.payload, now); }},
             event);
}

void Partition::pump() {
  while (auto output = group_.poll(platform::now())) carry_out(std::move(*output));
  arm();
}

void Partition::carry_out(bridge::Output output) {
  std::visit(
      Overloaded{[&](bridge::Connect& connect) { connection_.connect(std::move(connect.filters)); },
                 [&](const bridge::Disconnect&) { connection_.disconnect(); },
                 // What the connection cannot take is counted there; the next ack covers it.
                 [&](const bridge::Send& send) { static_cast<void>(connection_.publish(send.topic, send.payload)); },
                 [&](bridge::Begin& begin) { stream_.begin(number(), begin.id, std::move(begin.transaction)); }},
      output);
}

void Partition::arm() {
  const auto at = group_.wakeup_at();
  if (!at) {
    timer_.cancel();
    return;
  }
  // At least a little later: a machine that asks for a time that is past must not spin.
  const auto wait = std::max<base::Instant::duration>(*at - platform::now().instant, std::chrono::milliseconds(1));
  timer_.expires_after(wait);
  timer_.async_wait([weak = std::weak_ptr<Partition*>(self_)](const boost::system::error_code& error) {
    if (const auto self = weak.lock(); !error && self && *self) (*self)->pump();
  });
}

void Partition::reconnect(paho::Settings broker) {
  connection_.configure(std::move(broker));
  group_.reconnect(platform::now());
  pump();
}

}  // namespace app
