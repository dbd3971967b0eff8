#include "firmware-gateway/adapters/tap/gateway_line.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "firmware-gateway/redact/secret.hpp"
#include "proto/platform/system.hpp"

namespace tap {
namespace {

namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds again_first = 100ms;
constexpr std::chrono::milliseconds again_last = 2s;

// Whoever may have made the socket: ourselves, or root.
std::optional<std::string> owner_problem(Socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return "its owner cannot be told";
  if (peer.uid == ::geteuid() || peer.uid == 0) return std::nullopt;
  return fmt::format("it belongs to user {}; needed: user {} or root", peer.uid, ::geteuid());
}

class UnixLine final : public GatewayLine {
 public:
  UnixLine(asio::io_context& io, std::string socket, Delivery& delivery, Callbacks callbacks)
      : path_(std::move(socket)), delivery_(delivery), callbacks_(std::move(callbacks)), socket_(io), timer_(io) {}
  UnixLine(const UnixLine&) = delete;
  UnixLine& operator=(const UnixLine&) = delete;
  ~UnixLine() override {
    *alive_ = false;
    redact::wipe(out_);
  }

  void connect() {
    error_code error;
    socket_ = Socket(socket_.get_executor());
    // An attempt on a local socket succeeds or fails at once.
    socket_.connect(asio::local::stream_protocol::endpoint(path_), error);
    if (error) return lose(error.message());
    if (const auto problem = owner_problem(socket_)) return lose(*problem);
    again_ = again_first;
    delivery_.on_connected();
    callbacks_.on_line({});
    read();
    write();
  }

  void wake() override { write(); }

 private:
  void lose(const std::string& why) {
    error_code ignored;
    socket_.close(ignored);
    delivery_.on_disconnected();
    callbacks_.on_line(why);
    wait(again_, [this] { connect(); });
    again_ = std::min(again_ * 2, again_last);
  }

  template <class Then>
  void wait(base::Instant::duration delay, Then then) {
    timer_.expires_after(std::max(delay, base::Instant::duration(0)));
    timer_.async_wait([alive = alive_, then](const error_code& error) {
      if (*alive && !error) then();
    });
  }

  void read() {
    socket_.async_read_some(asio::buffer(in_), [this, alive = alive_](const error_code& error, std::size_t count) {
      if (!*alive || error == asio::error::operation_aborted) return;
      if (error) return lose(error.message());
      if (!delivery_.on_bytes({in_.data(), count}, platform::now().instant))
        return lose("what the gateway says cannot be understood");
      for (const Refused& refused : delivery_.take_refused()) callbacks_.on_refused(refused);
      read();
      write();
    });
  }

  void write() {
    if (writing_ || !delivery_.connected()) return;
    out_ = delivery_.to_send(platform::now().instant);
    if (out_.empty()) return wait_for_delivery();
    writing_ = true;
    asio::async_write(socket_, asio::buffer(out_), [this, alive = alive_](const error_code& /*error*/, std::size_t) {
      if (!*alive) return;
      redact::wipe(out_);
      writing_ = false;
      // A failure is the reading side's to tell.
      write();
    });
  }

  void wait_for_delivery() {
    if (const auto at = delivery_.wakeup_at()) wait(*at - platform::now().instant, [this] { write(); });
  }

  std::string path_;
  Delivery& delivery_;
  Callbacks callbacks_;
  Socket socket_;
  asio::steady_timer timer_;
  std::array<char, 16UL * 1024> in_{};
  base::Bytes out_;
  bool writing_ = false;
  std::chrono::milliseconds again_ = again_first;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<GatewayLine> GatewayLine::start(asio::io_context& io, std::string socket, Delivery& delivery,
                                                Callbacks callbacks) {
  auto line = std::make_unique<UnixLine>(io, std::move(socket), delivery, std::move(callbacks));
  line->connect();
  return line;
}

}  // namespace tap
