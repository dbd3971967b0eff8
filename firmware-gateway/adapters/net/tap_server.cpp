#include "firmware-gateway/adapters/net/tap_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <list>
#include <utility>

#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/tap/gateway_end.hpp"
#include "firmware-gateway/terminal/answer_queue.hpp"

namespace net {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t connections_max = 4;
constexpr std::size_t read_bytes = 16UL * 1024;
constexpr auto accept_pause = std::chrono::milliseconds(100);

// No network is between them: a clear card number crosses nothing that others could listen to.
constexpr redact::Channel on_this_machine{.tls = true, .peer_is_loopback = true};

bool is_ours(Protocol::socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

struct Shared {
  Intake& intake;
  Losses& losses;
  TapCounts counts = {};
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Shared> shared, Protocol::socket socket)
      : shared_(std::move(shared)), socket_(std::move(socket)) {
    ++shared_->counts.connections;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { abort(); }

  void read() {
    if (reading_ || ended_ || answers_.full()) return;
    reading_ = true;
    socket_.async_read_some(asio::buffer(bytes_),
                            [self = shared_from_this()](const error_code& error, std::size_t count) {
                              self->reading_ = false;
                              if (self->aborted_) return;
                              if (error) return self->stop_reading();
                              self->end_.add({self->bytes_.data(), count});
                              redact::wipe(self->bytes_.data(), count);
                              self->take();
                              self->read();
                            });
  }

  // What was read is answered, then the connection ends.
  void stop_reading() {
    ended_ = true;
    if (!writing_ && answers_.size() == 0) abort();
  }

  void abort() {
    if (std::exchange(aborted_, true)) return;
    --shared_->counts.connections;
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  // As many as there is room for answers; the rest stays where it is.
  void take() {
    while (!ended_ && !answers_.full()) {
      auto next = end_.next();
      if (std::holds_alternative<tap::GatewayEnd::NeedMore>(next)) return;
      if (auto* const copy = std::get_if<tap::Copy>(&next)) {
        ++shared_->counts.copies;
        shared_->intake.submit(std::move(copy->draft), on_this_machine, answered(copy->id));
      } else if (const auto* const told = std::get_if<tap::ToldLoss>(&next)) {
        shared_->counts.copies_lost += told->loss.count;
        shared_->losses.tell_lost(told->loss, answered(told->id));
      } else if (const auto* const unread = std::get_if<tap::ToldUnread>(&next)) {
        ++shared_->counts.unread;
        shared_->losses.tell_unread(unread->unread, answered(unread->id));
      } else {
        ++shared_->counts.dropped;
        stop_reading();
      }
    }
  }

  [[nodiscard]] Intake::Answered answered(tap::CopyId id) {
    return [self = shared_from_this(), slot = answers_.open(), id](const terminal::Answer& answer) {
      self->answers_.fill(slot, tap::to_frame(id, answer));
      self->write();
    };
  }

  void write() {
    if (writing_ || aborted_) return;
    out_.clear();
    while (auto frame = answers_.pop()) out_ += *frame;
    if (out_.empty()) {
      if (ended_) stop_reading();
      return;
    }
    writing_ = true;
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](const error_code& error, std::size_t) {
      self->writing_ = false;
      if (error) return self->abort();
      self->take();
      self->write();
      self->read();
    });
  }

  std::shared_ptr<Shared> shared_;
  Protocol::socket socket_;
  tap::GatewayEnd end_;
  terminal::AnswerQueue answers_;
  std::array<char, read_bytes> bytes_{};
  std::string out_;
  bool reading_ = false;
  bool writing_ = false;
  bool ended_ = false;
  bool aborted_ = false;
};

class UnixTapServer final : public TapServer {
 public:
  UnixTapServer(asio::io_context& io, std::string path, Intake& intake, Losses& losses)
      : path_(std::move(path)),
        shared_(std::make_shared<Shared>(Shared{.intake = intake, .losses = losses})),
        acceptor_(io),
        pause_(io) {}
  UnixTapServer(const UnixTapServer&) = delete;
  UnixTapServer& operator=(const UnixTapServer&) = delete;
  ~UnixTapServer() override {
    *alive_ = false;
    for (const auto& weak : sessions_)
      if (const auto session = weak.lock()) session->abort();
    if (bound_) ::unlink(path_.c_str());
  }

  [[nodiscard]] std::string listen() {
    if (auto problem = make_room(); !problem.empty()) return problem;
    error_code error;
    acceptor_.open(Protocol(), error);
    // Nobody else may connect, from its first moment on.
    const mode_t before = ::umask(0177);
    if (!error) acceptor_.bind(Protocol::endpoint(path_), error);
    ::umask(before);
    bound_ = !error;
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return fmt::format("tap.socket {}: {}; needed: a folder of this user's own, as systemd's RuntimeDirectory=",
                         path_, error.message());
    accept();
    return {};
  }

  [[nodiscard]] const TapCounts& counts() const override { return shared_->counts; }

  void stop() override {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const auto& weak : sessions_)
      if (const auto session = weak.lock()) session->stop_reading();
  }

 private:
  // A socket that a killed gateway left is in the way.
  [[nodiscard]] std::string make_room() {
    struct stat found{};
    if (::lstat(path_.c_str(), &found) != 0) return {};
    if (!S_ISSOCK(found.st_mode)) return fmt::format("tap.socket {}: is there, and is no socket", path_);
    Protocol::socket probe(acceptor_.get_executor());
    error_code error;
    probe.connect(Protocol::endpoint(path_), error);
    if (!error) return fmt::format("tap.socket {}: another process listens there", path_);
    ::unlink(path_.c_str());
    return {};
  }

  void accept() {
    acceptor_.async_accept([this, alive = alive_](const error_code& error, Protocol::socket socket) {
      if (!*alive || !acceptor_.is_open()) return;
      if (error) return accept_later();
      admit(std::move(socket));
      accept();
    });
  }

  void accept_later() {
    pause_.expires_after(accept_pause);
    pause_.async_wait([this, alive = alive_](const error_code& error) {
      if (*alive && !error) accept();
    });
  }

  void admit(Protocol::socket socket) {
    if (shared_->counts.connections >= connections_max || !is_ours(socket)) {
      ++shared_->counts.refused;
      return;
    }
    ++shared_->counts.accepted;
    const auto session = std::make_shared<Session>(shared_, std::move(socket));
    sessions_.remove_if([](const auto& weak) { return weak.expired(); });
    sessions_.push_back(session);
    session->read();
  }

  std::string path_;
  std::shared_ptr<Shared> shared_;
  Protocol::acceptor acceptor_;
  asio::steady_timer pause_;
  std::list<std::weak_ptr<Session>> sessions_;
  bool bound_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::expected<std::unique_ptr<TapServer>, std::string> TapServer::start(asio::io_context& io, const std::string& path,
                                                                        Intake& intake, Losses& losses) {
  auto server = std::make_unique<UnixTapServer>(io, path, intake, losses);
  if (auto problem = server->listen(); !problem.empty()) return std::unexpected(std::move(problem));
  return server;
}

}  // namespace net
