// The floor of tillstream-tap: a relay that reads and writes, and knows nothing of what goes through it.
//
//   bare_relay PORT HOST_PORT      both on 127.0.0.1, until it is ended
#include <array>
#include <boost/asio.hpp>
#include <cstdlib>
#include <memory>
#include <utility>

#include "proto/base/assert.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

struct Line {
  explicit Line(asio::io_context& io) : terminal(io), host(io) {}
  tcp::socket terminal;
  tcp::socket host;
};

void pump(const std::shared_ptr<Line>& line, tcp::socket& from, tcp::socket& to,
          const std::shared_ptr<std::array<char, 16'384>>& buffer) {
  from.async_read_some(
      asio::buffer(*buffer), [=, &from, &to](const boost::system::error_code& error, std::size_t bytes) {
        if (error) {
          line->terminal.close();
          line->host.close();
          return;
        }
        asio::async_write(to, asio::buffer(*buffer, bytes),
                          [=, &from, &to](const boost::system::error_code& failed, std::size_t /*written*/) {
                            if (!failed) pump(line, from, to, buffer);
                          });
      });
}

void accept(asio::io_context& io, tcp::acceptor& acceptor, const tcp::endpoint& host) {
  auto line = std::make_shared<Line>(io);
  acceptor.async_accept(line->terminal, [&io, &acceptor, host, line](const boost::system::error_code& error) {
    accept(io, acceptor, host);
    boost::system::error_code refused;
    if (error || line->host.connect(host, refused)) return;
    line->terminal.set_option(tcp::no_delay(true));
    line->host.set_option(tcp::no_delay(true));
    pump(line, line->terminal, line->host, std::make_shared<std::array<char, 16'384>>());
    pump(line, line->host, line->terminal, std::make_shared<std::array<char, 16'384>>());
  });
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 3);
  const auto port_of = [](const char* text) { return static_cast<std::uint16_t>(std::atoi(text)); };
  asio::io_context io(1);
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port_of(argv[1])});
  accept(io, acceptor, {asio::ip::address_v4::loopback(), port_of(argv[2])});
  io.run();
}
