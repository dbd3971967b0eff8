#include "proto/platform/http_server.hpp"

#include <sys/socket.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/assert.hpp"
#include "proto/platform/http_connection.hpp"
#include "proto/platform/http_text.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/lobby.hpp"
#include "proto/platform/tls_context.hpp"

namespace platform {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
using TlsContext = std::shared_ptr<asio::ssl::context>;

constexpr std::chrono::milliseconds kSweepMin{10};
constexpr std::chrono::milliseconds kSweepMax{1000};
constexpr std::chrono::milliseconds kAcceptPause{100};

// A connection too many: told so if that is possible at once, and closed.
void turn_away(Socket socket, bool tls) {
  if (tls) return;
  static const std::string answer = [] {
    HttpResponse busy = error_response(503, "busy", "too many connections; try again");
    busy.headers.emplace_back("Retry-After", "1");
    std::string text;
    append_head(text, busy, {.content_length = busy.body.size()});
    return text + busy.body;
  }();
  const int descriptor = socket.native_handle();
  char waste[4096];
  static_cast<void>(::send(descriptor, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  static_cast<void>(::shutdown(descriptor, SHUT_WR));
  // Unread input would turn the close into a reset, which may overtake the answer.
  static_cast<void>(::recv(descriptor, waste, sizeof waste, MSG_DONTWAIT));
}

// Often enough for the shortest limit to be kept within a tenth of it.
std::chrono::milliseconds sweep_period(const HttpSettings& settings) {
  const auto shortest = std::min({settings.slow_read, settings.slow_write, settings.idle});
  return std::clamp(shortest / 10, kSweepMin, kSweepMax);
}

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(Acceptor acceptor, std::shared_ptr<HttpCore> core, TlsContext tls)
      : acceptor_(std::move(acceptor)),
        sweep_timer_(acceptor_.get_executor()),
        accept_timer_(acceptor_.get_executor()),
        core_(std::move(core)),
        tls_(std::move(tls)),
        lobby_(acceptor_.get_executor(), {.guests_max = core_->settings.max_connections},
               {.inside = [this] { return all(); },
                .admit = [this](Socket socket) { admit(std::move(socket)); },
                .turn_away = [this](Socket socket) { turn_away(std::move(socket), tls_ != nullptr); }}) {
    accept();
    sweep_later();
  }
  AsioHttpServer(const AsioHttpServer&) = delete;
  AsioHttpServer& operator=(const AsioHttpServer&) = delete;

  ~AsioHttpServer() override {
    *alive_ = false;
    core_->stopping = true;
    for (const auto& connection : all()) connection->abort();
    core_->handler = nullptr;
  }

  std::string address() const override { return address_; }
  std::size_t connections() const override { return core_->connections.size(); }
  std::uint64_t refused_connections() const override { return lobby_.turned_away(); }
  std::uint64_t displaced_connections() const override { return lobby_.gave_way(); }
  std::uint64_t refused_requests() const override { return core_->refused_requests; }
  std::uint64_t failed_handshakes() const override { return core_->failed_handshakes; }
  std::uint64_t accept_pauses() const override { return accept_pauses_; }

  void stop() override {
    core_->stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    accept_timer_.cancel();
    lobby_.close();
    for (const auto& connection : all()) connection->stop();
    if (core_->connections.empty()) sweep_timer_.cancel();
  }

  std::expected<void, std::string> reload_tls() override {
    if (!core_->settings.tls) return {};
    auto fresh = make_tls_context(*core_->settings.tls);
    if (!fresh) return std::unexpected(std::move(fresh.error()));
    tls_ = *std::move(fresh);
    return {};
  }

 private:
  // A copy: connections leave the set while they are told.
  std::vector<std::shared_ptr<HttpConnection>> all() const {
    return {core_->connections.begin(), core_->connections.end()};
  }

  void accept() {
    acceptor_.async_accept([this, alive = alive_](const error_code& error, Socket socket) {
      if (!*alive || core_->stopping) return;
      if (error) return pause_accepting(error);
      lobby_.enter(std::move(socket), core_->connections.size() >= core_->settings.max_connections);
      accept();
    });
  }

  void pause_accepting(const error_code& error) {
    // The peer went away before it was accepted: nothing is wrong here.
    if (error == asio::error::connection_aborted) return accept();
    // No descriptors or no memory: trying at once would spin. What is open goes on.
    ++accept_pauses_;
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this, alive = alive_](const error_code& cancelled) {
      if (*alive && !cancelled) accept();
    });
  }

  void admit(Socket socket) {
    auto connection = make_connection(core_, std::move(socket), tls_);
    core_->connections.insert(connection);
    connection->start();
  }

  // One timer for all: a timer a read would cost a tenth of the throughput.
  void sweep_later() {
    sweep_timer_.expires_after(sweep_period(core_->settings));
    sweep_timer_.async_wait([this, alive = alive_](const error_code& cancelled) {
      if (!*alive || cancelled) return;
      const auto now = Clock::now();
      for (const auto& connection : all()) connection->sweep(now);
      if (!core_->stopping || !core_->connections.empty()) sweep_later();
    });
  }

  Acceptor acceptor_;
  Timer sweep_timer_;
  Timer accept_timer_;
  std::shared_ptr<HttpCore> core_;
  TlsContext tls_;
  Lobby<Socket, HttpConnection> lobby_;
  std::string address_ = text_of(acceptor_.local_endpoint());
  std::uint64_t accept_pauses_ = 0;
  // Handlers that are still queued when the server goes look here first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  static std::string text_of(const asio::ip::tcp::endpoint& endpoint) {
    return ListenAddress{.host = endpoint.address().to_string(), .port = endpoint.port()}.text();
  }
};

std::expected<Acceptor, std::string> listen(asio::io_context& io, const std::string& text) {
  const auto address = parse_listen_address(text);
  if (!address) return std::unexpected("the address to listen on " + address.error());
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address->host), address->port);
  Acceptor acceptor(io);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return std::unexpected(listen_error(address->text(), error.value()));
  return acceptor;
}

}  // namespace

std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(asio::io_context& io, HttpSettings settings,
                                                                          HttpHandler handler) {
  TlsContext tls;
  if (settings.tls) {
    auto context = make_tls_context(*settings.tls);
    if (!context) return std::unexpected(std::move(context.error()));
    tls = *std::move(context);
  }
  auto acceptor = listen(io, settings.listen);
  if (!acceptor) return std::unexpected(std::move(acceptor.error()));
  auto core = std::make_shared<HttpCore>();
  core->settings = std::move(settings);
  core->handler = std::move(handler);
  return std::make_unique<AsioHttpServer>(*std::move(acceptor), std::move(core), std::move(tls));
}

}  // namespace platform
