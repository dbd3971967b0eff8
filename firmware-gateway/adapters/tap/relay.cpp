#include "firmware-gateway/adapters/tap/relay.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <list>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "firmware-gateway/redact/secret.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/tls_context.hpp"

namespace tap {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using TlsContext = std::shared_ptr<ssl::context>;

constexpr std::size_t buffer_bytes = 16UL * 1024;
constexpr auto connect_patience = std::chrono::seconds(20);
constexpr auto handshake_patience = std::chrono::seconds(20);
constexpr auto farewell_patience = std::chrono::seconds(1);
constexpr auto accept_pause = std::chrono::milliseconds(100);
// A peer that is gone without a word is found after two minutes.
constexpr int keep_alive_idle_seconds = 60;
constexpr int keep_alive_interval_seconds = 10;
constexpr int keep_alive_probes = 6;

std::expected<TlsContext, std::string> make_host_context(const HostTls& files) {
  try {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    ::SSL_CTX_set_options(context->native_handle(), SSL_OP_CLEANSE_PLAINTEXT);
    static_cast<void>(::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION));
    context->set_verify_mode(ssl::verify_peer);
    if (files.ca.empty()) {
      context->set_default_verify_paths();
    } else {
      context->load_verify_file(files.ca);
    }
    if (!files.certificate.empty()) {
      context->use_certificate_chain_file(files.certificate);
      context->use_private_key_file(files.key, ssl::context::pem);
    }
    return context;
  } catch (const boost::system::system_error& error) {
    return std::unexpected(fmt::format("host_tls: {}", error.code().message()));
  }
}

struct Shared {
  RelaySettings settings;
  std::size_t line = 0;
  HandOver& hand_over;
  TlsContext tls = {};
  TlsContext host_tls = {};
  RelayCounts counts = {};
  std::mutex trouble_mutex = {};
  std::optional<std::string> trouble = {};
  bool stopping = false;

  void tell(std::string what) {
    const std::lock_guard lock(trouble_mutex);
    trouble = std::move(what);
  }
};

void set_options(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  using Option = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  socket.set_option(Option(keep_alive_idle_seconds), ignored);
  using Interval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  socket.set_option(Interval(keep_alive_interval_seconds), ignored);
  using Probes = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  socket.set_option(Probes(keep_alive_probes), ignored);
}

// The peer sees a reset.
void reset(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

class Session {
 public:
  virtual ~Session() = default;
  virtual void start() = 0;
  virtual void abort() = 0;
};

template <class Stream>
class StreamSession final : public Session, public std::enable_shared_from_this<StreamSession<Stream>> {
 public:
  static constexpr bool is_tls = !std::is_same_v<Stream, tcp::socket>;

  StreamSession(std::shared_ptr<Shared> shared, Connection connection, Stream terminal, Stream host)
      : shared_(std::move(shared)),
        tls_(shared_->tls),
        host_tls_(shared_->host_tls),
        copies_(shared_->hand_over, shared_->line, connection),
        terminal_(std::move(terminal)),
        host_(std::move(host)),
        resolver_(socket(terminal_).get_executor()),
        timer_(socket(terminal_).get_executor()) {
    ++shared_->counts.connections;
  }
  StreamSession(const StreamSession&) = delete;
  StreamSession& operator=(const StreamSession&) = delete;
  ~StreamSession() override { end(); }

  void start() override {
    limit(connect_patience);
    error_code not_numeric;
    const auto address = asio::ip::make_address(shared_->settings.host, not_numeric);
    if (!not_numeric) return connect(tcp::endpoint(address, shared_->settings.port));
    resolver_.async_resolve(
        shared_->settings.host, std::to_string(shared_->settings.port),
        [self = this->shared_from_this()](const error_code& error, const tcp::resolver::results_type& found) {
          if (self->ended_) return;
          if (error) return self->cannot_reach(error);
          self->connect(found);
        });
  }

  void abort() override {
    if (ended_) return;
    end();
    reset(socket(terminal_));
    reset(socket(host_));
  }

 private:
  enum class Stage : std::uint8_t { connecting, host_tls, terminal_tls, relaying };

  // One way through: read, written, and only then copied.
  struct Way {
    Stream& from;
    Stream& to;
    Direction direction{};
    std::atomic<std::uint64_t>& bytes;
    std::array<char, buffer_bytes> buffer{};
    bool done = false;
  };

  [[nodiscard]] static tcp::socket& socket(Stream& stream) {
    if constexpr (is_tls) {
      return stream.next_layer();
    } else {
      return stream;
    }
  }

  void limit(std::chrono::seconds patience) {
    timer_.expires_after(patience);
    timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
      if (error || self->ended_) return;
      const error_code late = asio::error::timed_out;
      if (self->stage_ == Stage::connecting) self->cannot_reach(late);
      if (self->stage_ == Stage::host_tls) self->no_tls_with_host(late);
      if (self->stage_ == Stage::terminal_tls) self->no_tls_with_terminal(late);
      self->abort();
    });
  }

  void cannot_reach(const error_code& error) {
    ++shared_->counts.unreachable;
    shared_->tell(
        fmt::format("{}:{} cannot be reached: {}", shared_->settings.host, shared_->settings.port, error.message()));
    abort();
  }

  void no_tls_with_host(const error_code& error) {
    ++shared_->counts.host_handshakes_failed;
    shared_->tell(
        fmt::format("TLS with the host {}:{}: {}", shared_->settings.host, shared_->settings.port, error.message()));
    abort();
  }

  void no_tls_with_terminal(const error_code& error) {
    ++shared_->counts.terminal_handshakes_failed;
    shared_->tell(fmt::format("TLS with a terminal: {}", error.message()));
    abort();
  }

  void connect(const tcp::endpoint& endpoint) {
    socket(host_).async_connect(
        endpoint, [self = this->shared_from_this()](const error_code& error) { self->on_connected(error); });
  }
  void connect(const tcp::resolver::results_type& endpoints) {
    asio::async_connect(socket(host_), endpoints,
                        [self = this->shared_from_this()](const error_code& error, const tcp::endpoint& /*found*/) {
                          self->on_connected(error);
                        });
  }

  void on_connected(const error_code& error) {
    if (ended_) return;
    if (error) return cannot_reach(error);
    set_options(socket(host_));
    if constexpr (is_tls) {
      shake_hands_with_host();
    } else {
      relay();
    }
  }

  void shake_hands_with_host() {
    limit(handshake_patience);
    stage_ = Stage::host_tls;
    const std::string& name = shared_->settings.host;
    error_code not_numeric;
    static_cast<void>(asio::ip::make_address(name, not_numeric));
    if (not_numeric) static_cast<void>(::SSL_set_tlsext_host_name(host_.native_handle(), name.c_str()));
    host_.set_verify_callback(ssl::host_name_verification(name));
    host_.async_handshake(ssl::stream_base::client, [self = this->shared_from_this()](const error_code& error) {
      if (self->ended_) return;
      if (error) return self->no_tls_with_host(error);
      self->shake_hands_with_terminal();
    });
  }

  void shake_hands_with_terminal() {
    stage_ = Stage::terminal_tls;
    terminal_.async_handshake(ssl::stream_base::server, [self = this->shared_from_this()](const error_code& error) {
      if (self->ended_) return;
      if (error) return self->no_tls_with_terminal(error);
      self->relay();
    });
  }

  void relay() {
    stage_ = Stage::relaying;
    timer_.cancel();
    pump(up_);
    pump(down_);
  }

  void pump(Way& way) {
    way.from.async_read_some(asio::buffer(way.buffer),
                             [self = this->shared_from_this(), &way](const error_code& error, std::size_t count) {
                               if (self->ended_ || self->parting_) return;
                               if (error) return self->on_end(way, error);
                               asio::async_write(way.to, asio::buffer(way.buffer.data(), count),
                                                 [self, &way, count](const error_code& failed, std::size_t) {
                                                   redact::wipe(way.buffer.data(), count);
                                                   if (self->ended_ || self->parting_) return;
                                                   if (!failed) return self->pump(way);
                                                   ++self->shared_->counts.reset;
                                                   self->abort();
                                                 });
                               way.bytes += count;
                               self->copies_.copy(way.direction, {way.buffer.data(), count});
                             });
  }

  void on_end(Way& way, const error_code& error) {
    way.done = true;
    if constexpr (is_tls) {
      if (error == asio::error::eof || error == ssl::error::stream_truncated) return part(way.to);
    } else if (error == asio::error::eof) {
      error_code ignored;
      way.to.shutdown(tcp::socket::shutdown_send, ignored);
      if (up_.done && down_.done) return close();
      return watch(way.from);
    }
    ++shared_->counts.reset;
    abort();
  }

  // A side that has ended is read no more: that it is gone altogether, to which the other one may still be sending,
  // shows as an error only. The other one's keep-alive would be answered by us for ever.
  void watch(Stream& stream) {
    socket(stream).async_wait(tcp::socket::wait_error, [self = this->shared_from_this()](const error_code& error) {
      if (error || self->ended_) return;
      ++self->shared_->counts.reset;
      self->abort();
    });
  }

  // Says farewell to the side that has not ended.
  void part(Stream& stream) {
    if constexpr (is_tls) {
      parting_ = true;
      socket(stream).cancel();
      limit(farewell_patience);
      stream.async_shutdown([self = this->shared_from_this()](const error_code& /*any*/) { self->close(); });
    }
  }

  void close() {
    if (ended_) return;
    end();
    error_code ignored;
    socket(terminal_).close(ignored);
    socket(host_).close(ignored);
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    timer_.cancel();
    resolver_.cancel();
    copies_.end();
    --shared_->counts.connections;
  }

  std::shared_ptr<Shared> shared_;
  TlsContext tls_;
  TlsContext host_tls_;
  CopySide copies_;
  Stream terminal_;
  Stream host_;
  tcp::resolver resolver_;
  asio::steady_timer timer_;
  Way up_{.from = terminal_,
          .to = host_,
          .direction = Direction::from_terminal,
          .bytes = shared_->counts.bytes_from_terminal};
  Way down_{
      .from = host_, .to = terminal_, .direction = Direction::from_host, .bytes = shared_->counts.bytes_from_host};
  Stage stage_ = Stage::connecting;
  bool parting_ = false;
  bool ended_ = false;
};

using PlainSession = StreamSession<tcp::socket>;
using TlsSession = StreamSession<ssl::stream<tcp::socket>>;

class AsioRelay final : public Relay {
 public:
  AsioRelay(asio::io_context& io, std::shared_ptr<Shared> shared)
      : io_(io), shared_(std::move(shared)), acceptor_(io), pause_(io) {}
  AsioRelay(const AsioRelay&) = delete;
  AsioRelay& operator=(const AsioRelay&) = delete;
  ~AsioRelay() override {
    stop();
    *alive_ = false;
  }

  [[nodiscard]] error_code listen(const platform::ListenAddress& address) {
    error_code error;
    const auto host = asio::ip::make_address(address.host, error);
    if (error) return error;
    const tcp::endpoint endpoint(host, address.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return error;
    const auto bound = acceptor_.local_endpoint(error);
    if (error) return error;
    address_ = platform::ListenAddress{.host = bound.address().to_string(), .port = bound.port()}.text();
    accept();
    return {};
  }

  [[nodiscard]] std::string address() const override { return address_; }
  [[nodiscard]] const RelayCounts& counts() const override { return shared_->counts; }

  [[nodiscard]] std::optional<std::string> take_trouble() override {
    const std::lock_guard lock(shared_->trouble_mutex);
    return std::exchange(shared_->trouble, std::nullopt);
  }

  [[nodiscard]] std::expected<void, std::string> reload_tls() override {
    if (!shared_->settings.tls) return {};
    auto tls = platform::make_tls_context(*shared_->settings.tls);
    if (!tls) return std::unexpected(tls.error());
    auto host_tls = make_host_context(*shared_->settings.host_tls);
    if (!host_tls) return std::unexpected(host_tls.error());
    shared_->tls = std::move(*tls);
    shared_->host_tls = std::move(*host_tls);
    return {};
  }

  void stop_accepting() override {
    shared_->stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

  void stop() override {
    stop_accepting();
    for (const auto& weak : sessions_)
      if (const auto session = weak.lock()) session->abort();
  }

 private:
  void accept() {
    acceptor_.async_accept([this, alive = alive_](const error_code& error, tcp::socket socket) {
      if (!*alive || shared_->stopping) return;
      // Out of descriptors: those who are served go on, and new ones wait.
      if (error) return accept_later();
      admit(std::move(socket));
      accept();
    });
  }

  void accept_later() {
    ++shared_->counts.accept_pauses;
    pause_.expires_after(accept_pause);
    pause_.async_wait([this, alive = alive_](const error_code& error) {
      if (*alive && !error && !shared_->stopping) accept();
    });
  }

  void admit(tcp::socket socket) {
    if (shared_->counts.connections >= shared_->settings.max_connections) {
      ++shared_->counts.refused;
      return reset(socket);
    }
    ++shared_->counts.accepted;
    set_options(socket);
    std::shared_ptr<Session> session;
    if (shared_->tls) {
      session = std::make_shared<TlsSession>(shared_, next_connection_,
                                             ssl::stream<tcp::socket>(std::move(socket), *shared_->tls),
                                             ssl::stream<tcp::socket>(tcp::socket(io_), *shared_->host_tls));
    } else {
      session = std::make_shared<PlainSession>(shared_, next_connection_, std::move(socket), tcp::socket(io_));
    }
    ++next_connection_;
    sessions_.remove_if([](const auto& weak) { return weak.expired(); });
    sessions_.push_back(session);
    session->start();
  }

  asio::io_context& io_;
  std::shared_ptr<Shared> shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::string address_;
  Connection next_connection_ = 1;
  std::list<std::weak_ptr<Session>> sessions_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::expected<std::unique_ptr<Relay>, std::string> Relay::start(asio::io_context& io, const RelaySettings& settings,
                                                                std::size_t line, HandOver& hand_over) {
  const auto address = platform::parse_listen_address(settings.listen);
  if (!address) return std::unexpected(settings.listen + ": " + address.error());
  auto relay = std::make_unique<AsioRelay>(io, std::make_shared<Shared>(settings, line, hand_over));
  if (auto loaded = relay->reload_tls(); !loaded) return std::unexpected(loaded.error());
  if (const error_code error = relay->listen(*address))
    return std::unexpected(platform::listen_error(settings.listen, error.value()));
  return relay;
}

}  // namespace tap
