// Lobby: where accepted sockets wait at a full door, by the rules of door.hpp. For servers on an io_context; the
// sockets that wait are neither read nor written.
//
// A place that comes free is given to whoever waits at the next look: at once, or within `look_interval`; so a flood of
// newcomers costs no more than that many looks.
//
// Everything on the thread that runs the io_context. Destroy or close() it before what its host's functions refer to.
#pragma once

#include <sys/socket.h>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "proto/platform/door.hpp"

namespace platform {

[[nodiscard]] Origin origin_of(const boost::asio::ip::address& address);

// Connection: has origin(), unheard_since(now) as in Guest, and abort().
template <class Socket, class Connection>
class Lobby {
 public:
  struct Host {
    std::function<std::vector<std::shared_ptr<Connection>>()> inside;
    std::function<void(Socket)> admit;
    std::function<void(Socket)> turn_away;
  };

  Lobby(const typename Socket::executor_type& executor, DoorLimits limits, Host host)
      : door_(limits), host_(std::move(host)), timer_(executor), interval_(look_interval(limits)) {}
  Lobby(const Lobby&) = delete;
  Lobby& operator=(const Lobby&) = delete;
  ~Lobby() { *alive_ = false; }

  // In at once if there is room and nobody waits for it.
  void enter(Socket socket, bool full) {
    if (!full && !door_.anyone_waits()) return host_.admit(std::move(socket));
    boost::system::error_code gone;
    const auto peer = socket.remote_endpoint(gone);
    if (gone) return;
    const Newcomer newcomer = last_ = last_.next();
    sockets_.emplace(newcomer, std::move(socket));
    if (const auto too_many = door_.wait(newcomer, origin_of(peer.address()), Clock::now())) turn_away(*too_many);
    if (!looking_) look();
  }

  // Nobody comes in any more; who waits is turned away.
  void close() {
    timer_.cancel();
    while (!sockets_.empty()) {
      const Newcomer newcomer = sockets_.begin()->first;
      door_.forget(newcomer);
      turn_away(newcomer);
    }
  }

  // Newcomers that were not let in, and guests that gave way to one.
  [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }
  [[nodiscard]] std::uint64_t gave_way() const { return gave_way_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Timer =
      boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, typename Socket::executor_type>;

  // Rarer where a look takes longer.
  static std::chrono::milliseconds look_interval(const DoorLimits& limits) {
    return std::chrono::milliseconds(std::clamp<std::size_t>(limits.guests_max / 50, 20, 500));
  }

  void look() {
    forget_the_gone();
    const auto now = Clock::now();
    const auto inside = host_.inside();
    std::vector<Guest> guests;
    guests.reserve(inside.size());
    for (const auto& guest : inside) guests.push_back({guest->origin(), guest->unheard_since(now)});
    for (const DoorStep& step : door_.look(guests, now)) follow(step, inside);
    look_later();
  }

  void follow(const DoorStep& step, const std::vector<std::shared_ptr<Connection>>& inside) {
    if (const auto* leaves = std::get_if<GiveWay>(&step)) {
      ++gave_way_;
      inside[leaves->guest]->abort();
    } else if (const auto* enters = std::get_if<Admit>(&step)) {
      host_.admit(take(enters->newcomer));
    } else {
      turn_away(std::get<TurnAway>(step).newcomer);
    }
  }

  void look_later() {
    looking_ = true;
    timer_.expires_after(interval_);
    timer_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
      if (!*alive) return;
      looking_ = false;
      if (!cancelled && door_.anyone_waits()) look();
    });
  }

  // Nobody has to give way to a peer that has ended without a word.
  void forget_the_gone() {
    for (auto waiting = sockets_.begin(); waiting != sockets_.end();) {
      char byte = 0;
      const auto count = ::recv(waiting->second.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      const bool gone = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
      if (gone) door_.forget(waiting->first);
      waiting = gone ? sockets_.erase(waiting) : std::next(waiting);
    }
  }

  void turn_away(Newcomer newcomer) {
    ++turned_away_;
    host_.turn_away(take(newcomer));
  }

  Socket take(Newcomer newcomer) {
    auto node = sockets_.extract(newcomer);
    return std::move(node.mapped());
  }

  Door door_;
  Host host_;
  Timer timer_;
  std::chrono::milliseconds interval_;
  std::map<Newcomer, Socket> sockets_;  // of those who wait
  Newcomer last_;
  bool looking_ = false;  // the timer runs
  std::uint64_t turned_away_ = 0;
  std::uint64_t gave_way_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace platform
