// Terminals and their host in one program, with whatever relays between them measured from outside: how long a sale
// takes from the terminal's write to the last byte of its answer.
//
//   tap_load HOST_PORT TARGET_PORT SECONDS CONNECTIONS PER_SECOND RUN
//
// Both ports on 127.0.0.1. Each connection pays PER_SECOND times a second; RUN goes into the terminals' names, so that
// no two runs say the same. One line of JSON: microseconds.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/assert.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

const iso8583::Dialect& dialect() {
  static const iso8583::Dialect ascii = config::load_dialect("iso87-ascii").dialect.value();
  return ascii;
}

void send(tcp::socket& socket, std::string_view message) {
  std::string frame{static_cast<char>(message.size() >> 8U), static_cast<char>(message.size() & 0xFFU)};
  frame += message;
  asio::write(socket, asio::buffer(frame));
}

// False when the other side has gone.
bool receive(tcp::socket& socket, std::string& message) {
  boost::system::error_code error;
  std::array<unsigned char, 2> length{};
  asio::read(socket, asio::buffer(length), error);
  if (error) return false;
  message.resize((static_cast<std::size_t>(length[0]) << 8U) | length[1]);
  asio::read(socket, asio::buffer(message), error);
  return !error;
}

void serve(tcp::socket socket) {
  socket.set_option(tcp::no_delay(true));
  for (std::string request; receive(socket, request);) {
    const auto asked = iso8583::decode(request, dialect());
    ASSERT(asked);
    iso8583::Composition answer("0210");
    for (const unsigned field : {3U, 4U, 7U, 11U, 12U, 13U, 41U, 42U, 49U}) answer.echo(field, *asked);
    answer.set(38, "123456");
    answer.set(39, "00");
    send(socket, iso8583::encode(answer, dialect()).value());
  }
}

std::string sale(unsigned stan, std::string_view terminal) {
  const std::string number = fmt::format("{:06}", stan % 1'000'000);
  iso8583::Composition request("0200");
  request.set(2, "4111111111111111");
  request.set(3, "000000");
  request.set(4, "000000001250");
  request.set(7, "1124102351");
  request.set(11, number);
  request.set(12, "112351");
  request.set(13, "1124");
  request.set(22, "051");
  request.set(25, "00");
  request.set(41, terminal);
  request.set(42, "MERCHANT0000001");
  request.set(49, "978");
  return iso8583::encode(request, dialect()).value();
}

std::vector<double> pay(std::uint16_t port, const std::string& terminal, std::chrono::duration<double> how_long,
                        double per_second) {
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port});
  socket.set_option(tcp::no_delay(true));
  std::vector<double> times;
  std::string answer;
  const auto begun = Clock::now();
  const auto pace = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / per_second));
  for (unsigned stan = 1; Clock::now() - begun < how_long; ++stan) {
    const std::string request = sale(stan, terminal);
    const auto asked = Clock::now();
    send(socket, request);
    ASSERT(receive(socket, answer));
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - asked).count());
    std::this_thread::sleep_until(begun + stan * pace);
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 7);
  const auto port_of = [](const char* text) { return static_cast<std::uint16_t>(std::atoi(text)); };
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port_of(argv[1])});
  std::thread([&acceptor] {
    while (true) std::thread(serve, acceptor.accept()).detach();
  }).detach();
  std::mutex lock;
  std::vector<double> times;
  std::vector<std::thread> terminals;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    terminals.emplace_back([&, i] {
      const auto own = pay(port_of(argv[2]), fmt::format("T{:03}{:04}", i, std::atoi(argv[6])),
                           std::chrono::duration<double>(std::atof(argv[3])), std::atof(argv[5]));
      const std::scoped_lock locked(lock);
      times.insert(times.end(), own.begin() + std::min<std::ptrdiff_t>(20, std::ssize(own)), own.end());
    });
  }
  for (std::thread& terminal : terminals) terminal.join();
  ASSERT(times.size() > 100);
  std::ranges::sort(times);
  const auto quantile = [&](double part) {
    return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * part)];
  };
  fmt::print(R"({{"payments": {}, "p50": {:.1f}, "p99": {:.1f}, "p999": {:.1f}, "most": {:.1f}}})"
             "\n",
             times.size(), quantile(0.5), quantile(0.99), quantile(0.999), times.back());
  std::fflush(stdout);
  std::_Exit(0);  // the host's threads wait for more
}
