#include "firmware-gateway/adapters/mosquitto/mosquitto_link.hpp"

#include <poll.h>
#include <pthread.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "firmware-gateway/adapters/mosquitto/connection.hpp"
#include "firmware-gateway/adapters/mosquitto/resolver.hpp"
#include "firmware-gateway/adapters/mosquitto/wakeup.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/private_file.hpp"

namespace mqtt {

namespace {

struct Publish {
  uplink::Attempt attempt = 0;
  std::string topic;
  base::Bytes payload;
};

// What the other thread asks for.
struct Orders {
  std::optional<uplink::Attempt> connect;
  std::optional<uplink::Attempt> disconnect;
  std::vector<Publish> publishes;
  bool stop = false;
};

// Signals are for the main thread.
std::thread start_thread_without_signals(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

void initialise_library() {
  static const int initialised = mosquitto_lib_init();
  ASSERT(initialised == MOSQ_ERR_SUCCESS);
}

}  // namespace

class MosquittoLink::Worker {
 public:
  Worker(const BrokerSettings& settings, std::function<void()> notify)
      : settings_(settings), notify_(std::move(notify)), wakeup_(std::make_shared<Wakeup>()), resolver_(wakeup_) {
    initialise_library();
    thread_ = start_thread_without_signals([this] { run(); });
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    order([](Orders& orders) { orders.stop = true; });
    thread_.join();
  }

  template <class Change>
  void order(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change(orders_);
    }
    wakeup_->signal();
  }
  std::vector<uplink::LinkEvent> take_events() {
    const std::lock_guard lock(mutex_);
    received_queued_ = 0;
    return std::exchange(events_, {});
  }
  void replace_settings(const BrokerSettings& settings) {
    const std::lock_guard lock(mutex_);
    settings_ = settings;
  }
  std::uint64_t dropped() const { return dropped_; }
  bool lookup_hangs() const { return lookup_hangs_; }

 private:
  void run() noexcept;
  [[nodiscard]] Orders take_orders();
  void obey(Orders orders);
  void begin(uplink::Attempt attempt);
  void try_next_address();
  void end_attempt(std::string reason);
  void wait();
  void emit(uplink::LinkEvent event);
  [[nodiscard]] BrokerSettings settings();

  // Shared, under mutex_.
  std::mutex mutex_;
  BrokerSettings settings_;
  Orders orders_;
  std::vector<uplink::LinkEvent> events_;
  std::size_t received_queued_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> lookup_hangs_{false};

  // The thread's own.
  std::function<void()> notify_;
  std::shared_ptr<Wakeup> wakeup_;
  Resolver resolver_;
  std::optional<uplink::Attempt> attempt_;
  BrokerSettings attempt_settings_;
  bool resolving_ = false;
  std::deque<std::string> addresses_;
  std::string last_reason_;
  std::unique_ptr<Connection> connection_;
  std::thread thread_;
};

void MosquittoLink::Worker::run() noexcept {
  for (;;) {
    Orders orders = take_orders();
    if (orders.stop) break;
    obey(std::move(orders));
    if (resolving_) {
      if (auto resolved = resolver_.take()) {
        resolving_ = false;
        addresses_.assign(resolved->addresses.begin(), resolved->addresses.end());
        last_reason_ = resolved->error;
        try_next_address();
      }
    }
    if (connection_ && connection_->phase() == Connection::Phase::over) {
      last_reason_ = connection_->reason();
      if (!connection_->worth_another_address()) addresses_.clear();
      try_next_address();
    }
    lookup_hangs_ = resolver_.busy();
    wait();
  }
  if (connection_) connection_->disconnect();
  connection_.reset();
}

Orders MosquittoLink::Worker::take_orders() {
  const std::lock_guard lock(mutex_);
  return std::exchange(orders_, {});
}

void MosquittoLink::Worker::obey(Orders orders) {
  // In this order: what was published before the good-bye still goes out, and the next attempt comes after it.
  for (const Publish& publish : orders.publishes) {
    if (connection_ && attempt_ == publish.attempt) connection_->publish(publish.topic, publish.payload);
  }
  if (orders.disconnect && attempt_ == orders.disconnect) {
    if (connection_) connection_->disconnect();
    end_attempt("disconnected");
  }
  if (orders.connect) begin(*orders.connect);
}

void MosquittoLink::Worker::begin(uplink::Attempt attempt) {
  ASSERT(!attempt_);
  attempt_ = attempt;
  attempt_settings_ = settings();
  resolving_ = true;
  resolver_.start(attempt_settings_.host, attempt_settings_.port);
}

void MosquittoLink::Worker::try_next_address() {
  connection_.reset();
  if (!attempt_) return;
  if (addresses_.empty()) return end_attempt(last_reason_);
  const BrokerSettings& broker = attempt_settings_;
  std::unique_ptr<platform::TlsClientContext> tls;
  if (broker.tls) {
    auto opened = platform::TlsClientContext::open({.ca = broker.ca,
                                                    .certificate = broker.certificate,
                                                    .key = broker.key,
                                                    .host = broker.host,
                                                    .table = "uplink"});
    if (!opened) return end_attempt(opened.error());
    tls = std::move(*opened);
  }
  std::string password;
  if (!broker.password_file.empty()) {
    auto line = platform::read_secret(broker.password_file);
    if (!line) return end_attempt(fmt::format("uplink.password_file {}: cannot be read", broker.password_file));
    password = std::move(*line);
  }
  const ConnectionSettings settings{.address = addresses_.front(),
                                    .port = broker.port,
                                    .client_id = broker.client_id,
                                    .username = broker.username,
                                    .password = std::move(password),
                                    .subscriptions = broker.subscriptions,
                                    .keep_alive = broker.keep_alive};
  addresses_.pop_front();
  connection_ = std::make_unique<Connection>(settings, std::move(tls), *attempt_,
                                             [this](uplink::LinkEvent event) { emit(std::move(event)); });
}

void MosquittoLink::Worker::end_attempt(std::string reason) {
  connection_.reset();
  addresses_.clear();
  resolving_ = false;
  if (!attempt_) return;
  emit(uplink::Lost{.attempt = *std::exchange(attempt_, std::nullopt), .reason = std::move(reason)});
}

void MosquittoLink::Worker::wait() {
  std::array<pollfd, 2> polled{};
  polled[0] = {.fd = wakeup_->descriptor(), .events = POLLIN, .revents = 0};
  nfds_t count = 1;
  int timeout = -1;
  if (connection_) {
    // Over before it began (connect refused at once): go round again.
    if (connection_->phase() == Connection::Phase::over) return;
    polled[1] = {.fd = connection_->descriptor(), .events = connection_->poll_events(), .revents = 0};
    count = 2;
    timeout = static_cast<int>(connection_->patience().count());
  }
  const int ready = ::poll(polled.data(), count, timeout);
  if (ready < 0 && errno != EINTR) ASSERT(false && "poll");
  if (polled[0].revents != 0) wakeup_->clear();
  if (connection_) connection_->step(polled[1].revents);
}

void MosquittoLink::Worker::emit(uplink::LinkEvent event) {
  {
    const std::lock_guard lock(mutex_);
    if (std::holds_alternative<uplink::Received>(event)) {
      if (received_queued_ == received_queued_max) {
        ++dropped_;
        return;
      }
      ++received_queued_;
    }
    events_.push_back(std::move(event));
  }
  notify_();
}

BrokerSettings MosquittoLink::Worker::settings() {
  const std::lock_guard lock(mutex_);
  return settings_;
}

MosquittoLink::MosquittoLink(const BrokerSettings& settings, std::function<void()> notify)
    : worker_(std::make_unique<Worker>(settings, std::move(notify))) {}
MosquittoLink::~MosquittoLink() = default;

void MosquittoLink::connect(uplink::Attempt attempt) {
  worker_->order([attempt](Orders& orders) { orders.connect = attempt; });
}

void MosquittoLink::disconnect(uplink::Attempt attempt) {
  worker_->order([attempt](Orders& orders) { orders.disconnect = attempt; });
}

void MosquittoLink::publish(uplink::Attempt attempt, const std::string& topic, base::Bytes payload) {
  worker_->order([&](Orders& orders) {
    ASSERT(orders.publishes.size() < publishes_queued_max);
    orders.publishes.push_back({.attempt = attempt, .topic = topic, .payload = std::move(payload)});
  });
}

std::vector<uplink::LinkEvent> MosquittoLink::take_events() { return worker_->take_events(); }
void MosquittoLink::replace_settings(const BrokerSettings& settings) { worker_->replace_settings(settings); }
std::uint64_t MosquittoLink::dropped() const { return worker_->dropped(); }
bool MosquittoLink::lookup_hangs() const { return worker_->lookup_hangs(); }

}  // namespace mqtt
