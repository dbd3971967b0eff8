#include "firmware-gateway/adapters/mosquitto/connection.hpp"

#include <mqtt_protocol.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "proto/base/assert.hpp"

namespace mqtt {

namespace {

using namespace std::chrono_literals;

// Before CONNACK libmosquitto always wants to write, its CONNECT being queued behind the handshake: polling for that
// would spin. So the handshake is driven by what the broker sends, and by this tick.
constexpr auto handshake_tick = 100ms;
constexpr auto keep_alive_tick = 500ms;
// One read takes one packet when nothing is in flight; OpenSSL may hold more that poll() does not see.
constexpr int reads_max = 1'000;
constexpr int packets_a_write = 64;

std::string error_text(int number) { return std::generic_category().message(number); }

}  // namespace

// libmosquitto calls these inside loop_read, loop_write, loop_misc and publish.
struct Connection::Callbacks {
  static void on_connect(struct ::mosquitto* /*handle*/, void* self, int code, int /*flags*/,
                         const mosquitto_property* properties) noexcept {
    static_cast<Connection*>(self)->on_connack(code, properties);
  }
  static void on_subscribe(struct ::mosquitto* /*handle*/, void* self, int /*id*/, int count, const int* granted,
                           const mosquitto_property* /*properties*/) noexcept {
    static_cast<Connection*>(self)->on_suback({granted, granted + count});
  }
  static void on_message(struct ::mosquitto* /*handle*/, void* self, const mosquitto_message* message,
                         const mosquitto_property* /*properties*/) noexcept {
    auto& connection = *static_cast<Connection*>(self);
    base::Bytes payload(static_cast<const char*>(message->payload), static_cast<std::size_t>(message->payloadlen));
    connection.on_event_(
        uplink::Received{.attempt = connection.attempt_, .topic = message->topic, .payload = std::move(payload)});
  }
  static void on_publish(struct ::mosquitto* /*handle*/, void* self, int id, int code,
                         const mosquitto_property* /*properties*/) noexcept {
    auto& connection = *static_cast<Connection*>(self);
    const auto open = connection.open_publishes_.extract(id);
    connection.on_event_(uplink::Published{.attempt = connection.attempt_,
                                           .reason_code = static_cast<std::uint8_t>(code),
                                           .bytes = open ? open.mapped() : 0});
  }
  static void on_disconnect(struct ::mosquitto* /*handle*/, void* self, int code,
                            const mosquitto_property* /*properties*/) noexcept {
    // Codes from 0x80 are the broker's own (MQTT 5, DISCONNECT); lower ones are libmosquitto's, which check()
    // describes.
    if (code < 0x80) return;
    static_cast<Connection*>(self)->end(
        fmt::format("the broker ended the connection: {} (0x{:02x})", mosquitto_reason_string(code), code));
  }
  static void on_log(struct ::mosquitto* /*handle*/, void* self, int level, const char* text) noexcept {
    if (level == MOSQ_LOG_ERR) static_cast<Connection*>(self)->last_log_ = text;
  }
};

Connection::Connection(const ConnectionSettings& settings, std::unique_ptr<platform::TlsClientContext> tls,
                       uplink::Attempt attempt, std::function<void(uplink::LinkEvent)> on_event)
    : settings_(settings),
      tls_(std::move(tls)),
      attempt_(attempt),
      on_event_(std::move(on_event)),
      handle_(mosquitto_new(settings.client_id.c_str(), true, this)) {
  ASSERT(handle_ != nullptr);
  mosquitto_int_option(handle_, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(handle_, MOSQ_OPT_TCP_NODELAY, 1);
  if (tls_) {
    mosquitto_int_option(handle_, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    mosquitto_void_option(handle_, MOSQ_OPT_SSL_CTX, tls_->native());
  }
  if (!settings_.username.empty()) {
    const char* const password = settings_.password.empty() ? nullptr : settings_.password.c_str();
    mosquitto_username_pw_set(handle_, settings_.username.c_str(), password);
  }
  mosquitto_connect_v5_callback_set(handle_, &Callbacks::on_connect);
  mosquitto_subscribe_v5_callback_set(handle_, &Callbacks::on_subscribe);
  mosquitto_message_v5_callback_set(handle_, &Callbacks::on_message);
  mosquitto_publish_v5_callback_set(handle_, &Callbacks::on_publish);
  mosquitto_disconnect_v5_callback_set(handle_, &Callbacks::on_disconnect);
  mosquitto_log_callback_set(handle_, &Callbacks::on_log);
  const int rc = mosquitto_connect_async(handle_, settings_.address.c_str(), settings_.port,
                                         static_cast<int>(settings_.keep_alive.count()));
  check(rc, "connect");
}

Connection::~Connection() { mosquitto_destroy(handle_); }

int Connection::descriptor() const { return mosquitto_socket(handle_); }

short Connection::poll_events() const {
  if (phase_ == Phase::tcp) return POLLOUT;
  const bool wants_write = phase_ != Phase::handshake && mosquitto_want_write(handle_);
  return static_cast<short>(wants_write ? POLLIN | POLLOUT : POLLIN);
}

std::chrono::milliseconds Connection::patience() const {
  if (phase_ == Phase::tcp) return keep_alive_tick;
  return phase_ == Phase::handshake ? handshake_tick : keep_alive_tick;
}

void Connection::step(short seen) {
  if (phase_ == Phase::tcp) step_tcp(seen);
  if (phase_ == Phase::tcp || phase_ == Phase::over) return;
  read_all();
  // Twice: the first may only end the handshake.
  if (phase_ != Phase::over) check(mosquitto_loop_write(handle_, packets_a_write), "write");
  if (phase_ == Phase::handshake) check(mosquitto_loop_write(handle_, packets_a_write), "write");
  // During the handshake libmosquitto takes a closed socket for one that is not ready yet, for ever.
  if (phase_ == Phase::handshake && (seen & (POLLHUP | POLLERR)) != 0) {
    end(describe(MOSQ_ERR_CONN_LOST, "handshake"));
  }
  if (phase_ == Phase::up || phase_ == Phase::subscribing) check(mosquitto_loop_misc(handle_), "keep alive");
}

void Connection::step_tcp(short seen) {
  if (seen == 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  // OpenSSL may have fetched the error already, trying to shake hands on a socket that was still connecting.
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  const bool connected = ::getpeername(descriptor(), reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
  if (error == 0 && connected) {
    phase_ = Phase::handshake;
    return;
  }
  const std::string text = error != 0 ? error_text(error) : "refused, or not reachable";
  end(fmt::format("connect {} port {}: {}", settings_.address, settings_.port, text));
}

void Connection::read_all() {
  for (int reads = 0; reads < reads_max && phase_ != Phase::over; ++reads) {
    errno = 0;
    check(mosquitto_loop_read(handle_, 1), "read");
    if (phase_ == Phase::over) return;
    const auto* ssl = static_cast<const SSL*>(mosquitto_ssl_get(handle_));
    if (ssl == nullptr || SSL_pending(ssl) == 0) return;
  }
}

void Connection::check(int rc, const char* doing) {
  if (rc != MOSQ_ERR_SUCCESS && rc != MOSQ_ERR_CONN_PENDING) end(describe(rc, doing));
}

std::string Connection::describe(int rc, const char* doing) const {
  const int number = errno;
  if (tls_ && !tls_->verify_error().empty()) return tls_->verify_error();
  std::string text = rc == MOSQ_ERR_ERRNO ? error_text(number) : mosquitto_strerror(rc);
  if (rc == MOSQ_ERR_KEEPALIVE) text = "the broker does not answer pings";
  if (!last_log_.empty()) text += fmt::format(" ({})", last_log_);
  return fmt::format("{} {} port {}: {}", doing, settings_.address, settings_.port, text);
}

void Connection::end(std::string reason) {
  if (phase_ == Phase::over) return;
  reached_ = reached_ || (tls_ && !tls_->verify_error().empty());
  phase_ = Phase::over;
  reason_ = std::move(reason);
}

void Connection::on_connack(int reason_code, const mosquitto_property* properties) {
  reached_ = true;
  if (reason_code != 0) {
    const char* const text = mosquitto_reason_string(reason_code);
    return end(fmt::format("the broker refused the connection: {} (0x{:02x})", text, reason_code));
  }
  std::uint16_t receive_maximum = 65'535;
  std::uint32_t packet_bytes_max = 0;
  mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
  mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &packet_bytes_max, false);
  connected_ = {.attempt = attempt_, .receive_maximum = receive_maximum, .packet_bytes_max = packet_bytes_max};
  phase_ = Phase::subscribing;
  subscribe_next();
}

void Connection::subscribe_next() {
  if (subscribed_ == settings_.subscriptions.size()) {
    phase_ = Phase::up;
    return on_event_(connected_);
  }
  check(mosquitto_subscribe(handle_, nullptr, settings_.subscriptions[subscribed_].c_str(), 0), "subscribe");
}

void Connection::on_suback(const std::vector<int>& granted) {
  if (phase_ != Phase::subscribing) return;
  const std::string& topic = settings_.subscriptions[subscribed_];
  for (const int code : granted) {
    if (code >= 0x80) {
      return end(fmt::format("the broker refused to let us hear {}: {} (0x{:02x})", topic,
                             mosquitto_reason_string(code), code));
    }
  }
  ++subscribed_;
  subscribe_next();
}

void Connection::publish(const std::string& topic, const base::Bytes& payload) {
  if (phase_ != Phase::up) return;
  int id = 0;
  const int rc = mosquitto_publish_v5(handle_, &id, topic.c_str(), static_cast<int>(payload.size()), payload.data(), 1,
                                      false, nullptr);
  // The broker will never take it, however often it is sent: the machine hears a refusal, not a lost connection.
  if (rc == MOSQ_ERR_OVERSIZE_PACKET) {
    return on_event_(
        uplink::Published{.attempt = attempt_, .reason_code = uplink::packet_too_large, .bytes = payload.size()});
  }
  if (rc == MOSQ_ERR_SUCCESS) open_publishes_[id] = payload.size();
  check(rc, "publish");
}

void Connection::disconnect() {
  if (phase_ == Phase::up || phase_ == Phase::subscribing) {
    mosquitto_disconnect_v5(handle_, 0, nullptr);
    mosquitto_loop_write(handle_, packets_a_write);
  }
  end("disconnected");
}

}  // namespace mqtt
