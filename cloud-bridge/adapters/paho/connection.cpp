#include "cloud-bridge/adapters/paho/connection.hpp"

#include <fmt/format.h>
#include <mqtt/async_client.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "cloud-bridge/adapters/paho/nodelay.hpp"
#include "cloud-bridge/adapters/paho/probe.hpp"
#include "proto/platform/private_file.hpp"

namespace paho {

namespace {

constexpr auto disconnect_timeout = std::chrono::milliseconds(500);
// How often the waiting thread looks whether it should stop; nothing else depends on it.
constexpr auto patience = std::chrono::milliseconds(100);
// What finding out why an attempt has failed may take.
constexpr auto probe_limit = std::chrono::milliseconds(3'000);

std::string uri_of(const Settings& settings) {
  const bool bare_ipv6 = settings.host.find(':') != std::string::npos && settings.host.front() != '[';
  return fmt::format("{}://{}{}{}:{}", settings.tls ? "ssl" : "tcp", bare_ipv6 ? "[" : "", settings.host,
                     bare_ipv6 ? "]" : "", settings.port);
}

std::string password_of(const std::string& path) {
  auto password = platform::read_secret(path);
  if (!password) throw std::runtime_error(fmt::format("cannot read password_file {}", path));
  return *std::move(password);
}

// Without a number of ours Paho takes 100 publishes at a time, and 256 Owner messages are more.
mqtt::create_options create_options_of(const Settings& settings) {
  return {MQTTVERSION_5, static_cast<int>(settings.publishes_max)};
}

}  // namespace

class Connection::Session final : public mqtt::iaction_listener {
 public:
  Session(Settings settings, std::function<void()> wake)
      : settings_(std::move(settings)),
        wake_(std::move(wake)),
        client_(uri_of(settings_), settings_.client_id, create_options_of(settings_), nullptr) {
    client_.set_message_callback([this](const mqtt::const_message_ptr& message) { on_message(*message); });
    client_.set_connection_lost_handler(
        [this](const std::string& cause) { on_lost(cause.empty() ? "the connection to the broker was lost" : cause); });
    client_.set_disconnected_handler([this](const mqtt::properties& /*properties*/, mqtt::ReasonCode code) {
      on_lost(fmt::format("the broker ended the connection: {}", mqtt::exception::reason_code_str(code)));
    });
    worker_ = std::thread([this] { work(); });
  }

  ~Session() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      task_changed_.notify_all();
    }
    worker_.join();
    try {
      client_.disable_callbacks();
    } catch (const mqtt::exception&) {
      // Paho refuses while an attempt is under way. Its callbacks then find us whole until client_ is destroyed, which
      // ends them: client_ stands behind all that they touch.
    }
  }

  void ask_connect(std::vector<std::string> filters) {
    const std::lock_guard lock(mutex_);
    task_ = Task{std::move(filters), true};
    task_changed_.notify_all();
  }

  void ask_disconnect() {
    const std::lock_guard lock(mutex_);
    task_ = Task{{}, false};
    task_changed_.notify_all();
  }

  void configure(Settings settings) {
    const std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
  }

  bool publish(const std::string& topic, const base::Bytes& payload) {
    // Under the lock, so that no connect can begin meanwhile: Paho would keep its own lock through DNS, and us with it.
    const std::lock_guard order(publish_mutex_);
    if (!count_publish()) return false;
    try {
      client_.publish(mqtt::make_message(topic, payload.data(), payload.size(), 0, false), context(), *this);
      return true;
    } catch (const mqtt::exception&) {
      const std::lock_guard lock(mutex_);
      --publishes_;
      ++publishes_dropped_;
      return false;
    }
  }

  std::optional<Event> next() {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return std::nullopt;
    Event event = std::move(queue_.front());
    queue_.pop_front();
    if (const auto* message = std::get_if<Message>(&event)) {
      --messages_waiting_;
      bytes_waiting_ -= message->payload.size() + message->topic.size();
    }
    return event;
  }

  Counters counters() const {
    const std::lock_guard lock(mutex_);
    return {messages_dropped_, publishes_dropped_, messages_waiting_, bytes_waiting_};
  }

 private:
  struct Task {
    std::vector<std::string> filters;
    bool connect = false;
  };
  enum class State { idle, connecting, online };

  // --- Paho's threads ---

  void on_message(const mqtt::message& message) noexcept {
    const mqtt::binary_ref& payload = message.get_payload_ref();
    const std::size_t bytes = payload.size() + message.get_topic().size();
    {
      const std::lock_guard lock(mutex_);
      if (messages_waiting_ >= settings_.queue_messages_max || bytes_waiting_ + bytes > settings_.queue_bytes_max) {
        ++messages_dropped_;
        return;
      }
      ++messages_waiting_;
      bytes_waiting_ += bytes;
    }
    push(Message{message.get_topic(), payload.to_string()});
  }

  void on_lost(const std::string& reason) noexcept {
    {
      const std::lock_guard lock(mutex_);
      lost_reason_ = reason;
      if (state_ != State::online) return;
      state_ = State::idle;
    }
    push(Offline{reason});
  }

  // Of a publish that has been written, or that never will be.
  void on_success(const mqtt::token& token) override { publish_left(token); }
  void on_failure(const mqtt::token& token) override { publish_left(token); }

  void publish_left(const mqtt::token& token) {
    void* const publisher = token.get_user_context();
    const std::lock_guard lock(mutex_);
    if (publisher == context()) --publishes_;
  }

  // --- any thread ---

  // Publishes of an earlier connection don't count in this one, however they end.
  void* context() const {
    return reinterpret_cast<void*>(generation_);  // NOLINT(performance-no-int-to-ptr): a number in Paho's one free word
  }

  void push(Event event) noexcept {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = queue_.empty();
      queue_.push_back(std::move(event));
    }
    if (was_empty) wake_();
  }

  bool count_publish() {
    const std::lock_guard lock(mutex_);
    const bool may = state_ == State::online && publishes_ < settings_.publishes_max;
    ++(may ? publishes_ : publishes_dropped_);
    return may;
  }

  // --- the waiting thread ---

  void work() noexcept {
    while (auto task = wait_for_task()) {
      leave();
      if (task->connect) attempt(task->filters);
    }
    leave();
  }

  std::optional<Task> wait_for_task() {
    std::unique_lock lock(mutex_);
    task_changed_.wait(lock, [this] { return stopping_ || task_; });
    if (stopping_) return std::nullopt;
    return std::exchange(task_, std::nullopt);
  }

  void leave() noexcept {
    {
      const std::scoped_lock lock(publish_mutex_, mutex_);
      state_ = State::idle;
    }
    try {
      if (client_.is_connected()) client_.disconnect(disconnect_timeout)->wait_for(2 * disconnect_timeout);
    } catch (const mqtt::exception&) {
      // It is gone, which is what was wanted.
    }
  }

  void attempt(const std::vector<std::string>& filters) noexcept {
    const Settings settings = begin_attempt();
    try {
      finish(client_.connect(options_of(settings)));
      set_nodelay_towards(settings.port);
      subscribe(filters);
      finish_attempt();
    } catch (const mqtt::exception& exception) {
      // MQTT's own reasons come as return codes from 128 on.
      const int code = exception.get_return_code();
      if (code >= 128)
        return fail_attempt(settings, fmt::format("the broker refuses: {}", mqtt::exception::reason_code_str(code)));
      leave();
      const std::string why = why_unreachable(settings, probe_limit, [this] { return has_other_to_do(); });
      fail_attempt(settings, why.empty() ? exception.what() : why);
    } catch (const std::exception& exception) {
      fail_attempt(settings, exception.what());
    }
  }

  Settings begin_attempt() {
    const std::scoped_lock lock(publish_mutex_, mutex_);
    state_ = State::connecting;
    lost_reason_.clear();
    publishes_ = 0;
    ++generation_;
    return settings_;
  }

  // Waits for a token, unless we are stopping.
  void finish(const mqtt::token_ptr& token) {
    while (!token->wait_for(patience)) {
      const std::lock_guard lock(mutex_);
      if (stopping_) throw std::runtime_error("stopping");
    }
  }

  void subscribe(const std::vector<std::string>& filters) {
    const mqtt::iasync_client::qos_collection qos(filters.size(), 0);
    const auto token = client_.subscribe(mqtt::string_collection::create(filters), qos);
    finish(token);
    // Kept: a range-for does not extend the life of what get_reason_codes() refers into.
    const mqtt::subscribe_response response = token->get_subscribe_response();
    for (const mqtt::ReasonCode code : response.get_reason_codes()) {
      if (code > mqtt::ReasonCode::GRANTED_QOS_2) {
        throw std::runtime_error(
            fmt::format("the broker refuses the subscription: {}", mqtt::exception::reason_code_str(code)));
      }
    }
  }

  void finish_attempt() {
    {
      const std::lock_guard lock(mutex_);
      if (!lost_reason_.empty()) throw std::runtime_error(lost_reason_);
      state_ = State::online;
    }
    push(Online{});
  }

  void fail_attempt(const Settings& settings, std::string_view reason) noexcept {
    leave();
    push(Offline{fmt::format("{}: {}", uri_of(settings), reason)});
  }

  bool has_other_to_do() const {
    const std::lock_guard lock(mutex_);
    return stopping_ || task_;
  }

  static mqtt::connect_options options_of(const Settings& settings) {
    mqtt::connect_options options;
    options.set_mqtt_version(MQTTVERSION_5);
    options.set_clean_start(true);
    options.set_servers(mqtt::string_collection::create(uri_of(settings)));
    options.set_keep_alive_interval(settings.keep_alive);
    options.set_connect_timeout(settings.connect_timeout);
    mqtt::properties properties;
    properties.add(mqtt::property(mqtt::property::MAXIMUM_PACKET_SIZE, settings.message_bytes_max));
    options.set_properties(std::move(properties));
    if (!settings.username.empty()) options.set_user_name(settings.username);
    if (!settings.password_file.empty()) options.set_password(password_of(settings.password_file));
    if (settings.tls) options.set_ssl(tls_of(*settings.tls));
    return options;
  }

  static mqtt::ssl_options tls_of(const Tls& tls) {
    mqtt::ssl_options options;
    if (!tls.ca.empty()) options.set_trust_store(tls.ca);
    if (!tls.certificate.empty()) options.set_key_store(tls.certificate);
    if (!tls.key.empty()) options.set_private_key(tls.key);
    options.set_enable_server_cert_auth(true);
    options.set_verify(true);
    return options;
  }

  mutable std::mutex mutex_;
  std::condition_variable task_changed_;
  std::optional<Task> task_;
  bool stopping_ = false;
  State state_ = State::idle;
  std::string lost_reason_;
  Settings settings_;
  std::deque<Event> queue_;
  std::size_t messages_waiting_ = 0;
  std::size_t bytes_waiting_ = 0;
  std::uint64_t messages_dropped_ = 0;

  std::uint64_t publishes_ = 0;
  std::uint64_t publishes_dropped_ = 0;
  std::uintptr_t generation_ = 0;

  // Taken before mutex_, where both are.
  std::mutex publish_mutex_;

  std::function<void()> wake_;
  mqtt::async_client client_;
  std::thread worker_;
};

Connection::Connection(Settings settings, std::function<void()> wake)
    : session_(std::make_unique<Session>(std::move(settings), std::move(wake))) {}
Connection::~Connection() = default;

void Connection::connect(std::vector<std::string> filters) { session_->ask_connect(std::move(filters)); }
void Connection::disconnect() { session_->ask_disconnect(); }
void Connection::configure(Settings settings) { session_->configure(std::move(settings)); }
bool Connection::publish(const std::string& topic, const base::Bytes& payload) {
  return session_->publish(topic, payload);
}
std::optional<Event> Connection::next() { return session_->next(); }
Counters Connection::counters() const { return session_->counters(); }

}  // namespace paho
