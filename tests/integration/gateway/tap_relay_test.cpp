#include "firmware-gateway/adapters/tap/relay.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/raw_client.hpp"

namespace {

using support::RawClient;
using tap::Seen;

// A host in the test's hand.
class RawHost {
 public:
  explicit RawHost(boost::asio::io_context& io) : io_(io), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
    ::fcntl(listener_, F_SETFL, O_NONBLOCK);
  }
  RawHost(const RawHost&) = delete;
  RawHost& operator=(const RawHost&) = delete;
  ~RawHost() {
    for (const int line : {listener_, line_})
      if (line >= 0) ::close(line);
  }

  void accept() {
    REQUIRE(support::run_until(io_, [&] {
      line_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      return line_ >= 0;
    }));
  }
  bool await(std::string_view text) {
    return support::run_until(io_, [&] {
      char bytes[4096];
      // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): it does not wait, and the lock is Asio's
      const ssize_t count = ::recv(line_, bytes, sizeof bytes, MSG_DONTWAIT);
      if (count > 0) received_.append(bytes, static_cast<std::size_t>(count));
      return received_ == text;
    });
  }
  void send(std::string_view bytes) {
    REQUIRE(::send(line_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }

  std::uint16_t port = 0;

 private:
  boost::asio::io_context& io_;
  int listener_;
  int line_ = -1;
  std::string received_;
};

class Bench {
 public:
  explicit Bench(std::size_t hand_over_bytes = 1UL << 20U, std::size_t max_connections = 8)
      : hand_over(hand_over_bytes, [this] { ++wakes; }) {
    auto started = tap::Relay::start(io,
                                     {.listen = "127.0.0.1:0",
                                      .host = "127.0.0.1",
                                      .port = host.port,
                                      .tls = {},
                                      .host_tls = {},
                                      .max_connections = max_connections},
                                     3, hand_over);
    REQUIRE(started.has_value());
    relay = std::move(*started);
  }

  [[nodiscard]] std::uint16_t port() const { return support::port_of(relay->address()); }
  bool until(const std::function<bool()>& condition) { return support::run_until(io, condition); }

  boost::asio::io_context io{1};
  RawHost host{io};
  int wakes = 0;
  tap::HandOver hand_over;
  std::unique_ptr<tap::Relay> relay;
};

using What = Seen::What;

std::vector<std::pair<What, std::string>> taken(tap::HandOver& hand_over) {
  std::vector<std::pair<What, std::string>> all;
  for (Seen& seen : hand_over.take()) all.emplace_back(seen.what, std::move(seen.bytes));
  return all;
}

using Taken = std::vector<std::pair<What, std::string>>;

}  // namespace

TEST_CASE("relay: what goes through is handed over in its order, with its line, and then the end") {
  Bench bench;
  RawClient terminal(bench.io, bench.port());
  bench.host.accept();
  CHECK(terminal.send("ask"));
  CHECK(bench.host.await("ask"));
  bench.host.send("answer");
  CHECK(terminal.await("answer"));
  CHECK(bench.wakes == 1);
  const auto seen = bench.hand_over.take();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].line == 3);
  CHECK(seen[0].connection == seen[1].connection);
  CHECK(seen[0].what == What::from_terminal);
  CHECK(seen[1].bytes == "answer");
  terminal.close();
  // The host's side ends by being told so.
  bench.host.send("more");
  CHECK(bench.until([&] { return bench.relay->counts().connections == 0; }));
  const auto rest = taken(bench.hand_over);
  REQUIRE_FALSE(rest.empty());
  CHECK(rest.back() == std::pair(What::closed, std::string()));
}

TEST_CASE("relay: where the copy finds no room the line goes on, and the reader is told of the gap once") {
  Bench bench(1'000);
  RawClient terminal(bench.io, bench.port());
  bench.host.accept();
  std::string all;
  for (int i = 0; i < 5; ++i) {
    const std::string piece(400, static_cast<char>('a' + i));
    all += piece;
    CHECK(terminal.send(piece));
    CHECK(bench.host.await(all));
  }
  CHECK(taken(bench.hand_over) == Taken{{What::from_terminal, std::string(400, 'a')}, {What::gap, ""}});
  // Nothing of that connection follows, though there is room again.
  CHECK(terminal.send("z"));
  CHECK(bench.host.await(all + "z"));
  CHECK(taken(bench.hand_over).empty());
}

TEST_CASE("relay: a connection of which nothing was copied leaves nothing behind") {
  Bench bench(10);
  RawClient terminal(bench.io, bench.port());
  bench.host.accept();
  CHECK(terminal.send("ask"));
  CHECK(bench.host.await("ask"));
  bench.relay->stop();
  CHECK(terminal.await_end());
  CHECK(taken(bench.hand_over).empty());
}

TEST_CASE("relay: beyond max_connections a newcomer is reset, and those who are served go on") {
  Bench bench(1UL << 20U, 1);
  RawClient first(bench.io, bench.port());
  bench.host.accept();
  RawClient second(bench.io, bench.port());
  CHECK(second.await_end());
  CHECK(bench.relay->counts().refused == 1);
  CHECK(first.send("ask"));
  CHECK(bench.host.await("ask"));
}
