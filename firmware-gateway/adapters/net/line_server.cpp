#include "firmware-gateway/adapters/net/line_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <list>
#include <utility>
#include <vector>

#include "firmware-gateway/terminal/answer_queue.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/lobby.hpp"
#include "proto/platform/tls_context.hpp"

namespace net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using TlsContext = std::shared_ptr<asio::ssl::context>;

constexpr auto sweep_interval = std::chrono::milliseconds(500);
constexpr auto accept_pause = std::chrono::milliseconds(100);
// An answer that the peer has not taken for so long is no longer ours to wait for at a full door.
constexpr auto stalled = std::chrono::seconds(1);
constexpr std::size_t read_bytes = 16 * 1024;
// Answers gathered into one write.
constexpr std::size_t write_bytes = 64 * 1024;

// What all sessions of a server share.
struct Shared {
  LineSettings settings;
  terminal::MakeDialogue make_dialogue;
  Intake& intake;
  std::size_t connections = 0;
  std::uint64_t dropped = 0;
  std::uint64_t failed_handshakes = 0;
  std::uint64_t accept_pauses = 0;
  bool stopping = false;
};

class Session {
 public:
  virtual ~Session() = default;
  virtual void start() = 0;
  virtual void stop_reading() = 0;
  virtual void sweep(Clock::time_point now) = 0;
  virtual void abort() = 0;
  [[nodiscard]] virtual bool aborted() const = 0;
  [[nodiscard]] virtual const platform::Origin& origin() const = 0;
  // Since when it owes us something: a handshake, a request, the taking of its answers. None: it waits for us.
  [[nodiscard]] virtual std::optional<Clock::time_point> unheard_since(Clock::time_point now) const = 0;
};

void close_socket(tcp::socket& socket) {
  error_code ignored;
  socket.shutdown(tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
}

template <class Stream>
class StreamSession final : public Session,
                            public terminal::Exchange,
                            public std::enable_shared_from_this<StreamSession<Stream>> {
 public:
  StreamSession(std::shared_ptr<Shared> shared, Stream stream, TlsContext tls, const platform::Origin& origin,
                redact::Channel channel)
      : shared_(std::move(shared)),
        tls_(std::move(tls)),
        stream_(std::move(stream)),
        origin_(origin),
        channel_(channel),
        dialogue_(shared_->make_dialogue()) {
    ++shared_->connections;
  }
  StreamSession(const StreamSession&) = delete;
  StreamSession& operator=(const StreamSession&) = delete;
  ~StreamSession() override {
    if (!aborted_) --shared_->connections;
  }

  void start() override {
    if constexpr (std::is_same_v<Stream, tcp::socket>) {
      read();
    } else {
      read_since_ = Clock::now();
      handshaking_ = true;
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](const error_code& error) {
                                if (self->aborted_) return;
                                self->handshaking_ = false;
                                self->read_since_.reset();
                                self->owes_since_ = Clock::now();
                                if (error) {
                                  ++self->shared_->failed_handshakes;
                                  return self->abort();
                                }
                                self->read();
                              });
    }
  }

  // What was read is answered, then the connection ends.
  void stop_reading() override {
    ended_ = true;
    finish_when_done();
  }

  void sweep(Clock::time_point now) override {
    const bool slow_read = read_since_ && now - *read_since_ > shared_->settings.slow_read;
    const bool slow_write = write_since_ && now - *write_since_ > shared_->settings.slow_write;
    if (!slow_read && !slow_write) return;
    ++shared_->dropped;
    if (handshaking_) ++shared_->failed_handshakes;
    abort();
  }

  void abort() override {
    if (aborted_) return;
    aborted_ = true;
    --shared_->connections;
    close_socket(socket());
  }

  [[nodiscard]] bool aborted() const override { return aborted_; }
  [[nodiscard]] const platform::Origin& origin() const override { return origin_; }
  [[nodiscard]] std::optional<Clock::time_point> unheard_since(Clock::time_point now) const override {
    if (write_since_ && now - *write_since_ >= stalled) return write_since_;
    if (write_since_ || answers_.size() > 0) return std::nullopt;
    return read_since_ ? read_since_ : owes_since_;
  }

 private:
  [[nodiscard]] tcp::socket& socket() {
    if constexpr (std::is_same_v<Stream, tcp::socket>) {
      return stream_;
    } else {
      return stream_.next_layer();
    }
  }

  void read() {
    if (reading_ || ended_ || aborted_ || answers_.full()) return;
    reading_ = true;
    stream_.async_read_some(asio::buffer(bytes_),
                            [self = this->shared_from_this()](const error_code& error, std::size_t count) {
                              self->reading_ = false;
                              self->on_read(error, count);
                            });
  }

  void on_read(const error_code& error, std::size_t count) {
    if (aborted_) return;
    if (error) {
      ended_ = true;
      return finish_when_done();
    }
    dialogue_->add({bytes_.data(), count});
    redact::wipe(bytes_.data(), count);
    take_requests();
    read();
  }

  // As many requests as there is room for answers; the rest stays with the dialogue.
  void take_requests() {
    while (!ended_ && !aborted_ && !answers_.full()) {
      const auto step = dialogue_->take(*this);
      if (step == terminal::Dialogue::Step::need_more) break;
      // Of the request that comes after it nobody has waited for anything yet.
      read_since_.reset();
      if (step == terminal::Dialogue::Step::taken) continue;
      ++shared_->dropped;
      ended_ = true;
      finish_when_done();
    }
    const bool amid = dialogue_->amid_request() && !answers_.full();
    if (!amid) {
      read_since_.reset();
    } else if (!read_since_) {
      read_since_ = Clock::now();
    }
  }

  void say(std::string bytes) override {
    answers_.fill(answers_.open(), std::move(bytes));
    write();
  }

  void store(redact::Draft draft, Words words) override {
    const auto slot = answers_.open();
    shared_->intake.submit(
        std::move(draft), channel_,
        [self = this->shared_from_this(), slot, words = std::move(words)](const terminal::Answer& given) {
          self->answers_.fill(slot, words(given));
          self->write();
        });
  }

  void on_refused(redact::Reason reason) override { shared_->intake.on_refused(reason); }
  void on_unreadable(const terminal::Shape& shape) override { shared_->intake.on_unreadable(shape); }

  void write() {
    if (writing_ || aborted_) return;
    out_.clear();
    while (out_.size() < write_bytes) {
      auto frame = answers_.pop();
      if (!frame) break;
      out_ += *frame;
    }
    if (out_.empty()) return finish_when_done();
    writing_ = true;
    write_since_ = Clock::now();
    asio::async_write(stream_, asio::buffer(out_),
                      [self = this->shared_from_this()](const error_code& error, std::size_t) {
                        self->writing_ = false;
                        self->write_since_.reset();
                        self->owes_since_ = Clock::now();
                        if (error) return self->abort();
                        // Room for answers again: requests may wait with the dialogue.
                        self->take_requests();
                        self->write();
                        self->read();
                      });
  }

  void finish_when_done() {
    if (!ended_ || writing_ || aborted_ || answers_.size() > 0) return;
    abort();
  }

  std::shared_ptr<Shared> shared_;
  TlsContext tls_;
  Stream stream_;
  platform::Origin origin_;
  redact::Channel channel_;
  std::unique_ptr<terminal::Dialogue> dialogue_;
  terminal::AnswerQueue answers_;
  std::array<char, read_bytes> bytes_{};
  std::string out_;
  bool handshaking_ = false;
  bool reading_ = false;
  bool writing_ = false;
  // The peer has ended its side, or broke the protocol: answers still go out.
  bool ended_ = false;
  bool aborted_ = false;
  // When it connected, was through its handshake, or had taken its last answer.
  Clock::time_point owes_since_ = Clock::now();
  std::optional<Clock::time_point> read_since_;
  std::optional<Clock::time_point> write_since_;
};

using PlainSession = StreamSession<tcp::socket>;
using TlsSession = StreamSession<asio::ssl::stream<tcp::socket>>;

class AsioLineServer final : public LineServer {
 public:
  AsioLineServer(asio::io_context& io, const LineSettings& settings, terminal::MakeDialogue make_dialogue,
                 Intake& intake, TlsContext tls)
      : shared_(std::make_shared<Shared>(
            Shared{.settings = settings, .make_dialogue = std::move(make_dialogue), .intake = intake})),
        tls_(std::move(tls)),
        acceptor_(io),
        pause_(io),
        sweeper_(io),
        lobby_(acceptor_.get_executor(), {.guests_max = settings.max_connections},
               {.inside = [this] { return inside(); },
                .admit = [this](tcp::socket socket) { admit(std::move(socket)); },
                .turn_away = [](tcp::socket socket) { close_socket(socket); }}) {}
  AsioLineServer(const AsioLineServer&) = delete;
  AsioLineServer& operator=(const AsioLineServer&) = delete;
  ~AsioLineServer() override {
    *alive_ = false;
    for (const auto& weak : sessions_) {
      if (const auto session = weak.lock()) session->abort();
    }
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
    accept();
    sweep();
    return {};
  }

  [[nodiscard]] std::string address() const override {
    error_code ignored;
    const auto endpoint = acceptor_.local_endpoint(ignored);
    const std::string host = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
  }
  [[nodiscard]] std::size_t connections() const override { return shared_->connections; }
  [[nodiscard]] std::uint64_t refused_connections() const override { return lobby_.turned_away(); }
  [[nodiscard]] std::uint64_t displaced_connections() const override { return lobby_.gave_way(); }
  [[nodiscard]] std::uint64_t dropped_connections() const override { return shared_->dropped; }

  [[nodiscard]] std::uint64_t failed_handshakes() const override { return shared_->failed_handshakes; }
  [[nodiscard]] std::uint64_t accept_pauses() const override { return shared_->accept_pauses; }

  void stop() override {
    shared_->stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    sweeper_.cancel();
    lobby_.close();
    for (const auto& weak : sessions_) {
      if (const auto session = weak.lock()) session->stop_reading();
    }
  }

  [[nodiscard]] std::expected<void, std::string> reload_tls() override {
    if (!shared_->settings.tls) return {};
    auto tls = platform::make_tls_context(*shared_->settings.tls);
    if (!tls) return std::unexpected(tls.error());
    tls_ = std::move(*tls);
    return {};
  }

 private:
  void accept() {
    if (shared_->stopping) return;
    acceptor_.async_accept([this, alive = alive_](const error_code& error, tcp::socket socket) {
      if (!*alive || shared_->stopping) return;
      // Out of descriptors: those who are served go on, and new ones wait.
      if (error) return accept_later();
      lobby_.enter(std::move(socket), shared_->connections >= shared_->settings.max_connections);
      accept();
    });
  }

  void accept_later() {
    ++shared_->accept_pauses;
    pause_.expires_after(accept_pause);
    pause_.async_wait([this, alive = alive_](const error_code& error) {
      if (*alive && !error) accept();
    });
  }

  void admit(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const auto peer = socket.remote_endpoint(ignored).address();
    const redact::Channel channel{.tls = tls_ != nullptr, .peer_is_loopback = peer.is_loopback()};
    const auto origin = platform::origin_of(peer);
    std::shared_ptr<Session> session;
    if (tls_) {
      session = std::make_shared<TlsSession>(shared_, asio::ssl::stream<tcp::socket>(std::move(socket), *tls_), tls_,
                                             origin, channel);
    } else {
      session = std::make_shared<PlainSession>(shared_, std::move(socket), nullptr, origin, channel);
    }
    sessions_.push_back(session);
    session->start();
  }

  void sweep() {
    sweeper_.expires_after(sweep_interval);
    sweeper_.async_wait([this, alive = alive_](const error_code& error) {
      if (!*alive || error) return;
      const auto now = Clock::now();
      for (const auto& session : inside()) session->sweep(now);
      sweep();
    });
  }

  [[nodiscard]] std::vector<std::shared_ptr<Session>> inside() {
    std::vector<std::shared_ptr<Session>> sessions;
    sessions_.remove_if([&](const auto& weak) {
      auto session = weak.lock();
      if (session == nullptr || session->aborted()) return true;
      sessions.push_back(std::move(session));
      return false;
    });
    return sessions;
  }

  std::shared_ptr<Shared> shared_;
  TlsContext tls_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  asio::steady_timer sweeper_;
  std::list<std::weak_ptr<Session>> sessions_;
  platform::Lobby<tcp::socket, Session> lobby_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::expected<std::unique_ptr<LineServer>, std::string> LineServer::start(asio::io_context& io,
                                                                          const LineSettings& settings,
                                                                          terminal::MakeDialogue make_dialogue,
                                                                          Intake& intake) {
  const auto address = platform::parse_listen_address(settings.listen);
  if (!address) return std::unexpected(settings.listen + ": " + address.error());
  TlsContext tls;
  if (settings.tls) {
    auto context = platform::make_tls_context(*settings.tls);
    if (!context) return std::unexpected(context.error());
    tls = std::move(*context);
  }
  auto server = std::make_unique<AsioLineServer>(io, settings, std::move(make_dialogue), intake, std::move(tls));
  if (const error_code error = server->listen(*address)) {
    return std::unexpected(platform::listen_error(settings.listen, error.value()));
  }
  return server;
}

}  // namespace net
