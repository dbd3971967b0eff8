#include "proto/platform/listen_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

namespace platform {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// Whether a numeric address stays on this machine; nothing when it is not an address of that family.
std::optional<bool> ipv4_is_loopback(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
  return (ntohl(address.s_addr) >> 24U) == 127U;
}

std::optional<bool> ipv6_is_loopback(const std::string& host) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return std::nullopt;
  const bool mapped_loopback = IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&address) || mapped_loopback;
}

std::optional<ListenAddress> parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  std::string host(text.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto loopback = bracketed ? ipv6_is_loopback(host) : ipv4_is_loopback(host);
  if (!port || !loopback) return std::nullopt;
  return ListenAddress{.host = std::move(host), .port = *port, .loopback = *loopback};
}

std::string_view remedy(int error_number) {
  switch (error_number) {
    case EADDRINUSE:
      return "another program listens there: stop it, or choose another port (0: any free one)";
    case EACCES:
    case EPERM:
      return "ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a port from 1024 up, or grant it";
    case EADDRNOTAVAIL:
      return "no interface of this machine has that address: choose one that `ip address` shows, or 127.0.0.1";
    case EAFNOSUPPORT:
      return "this machine has no IPv6: choose an IPv4 address";
    case EMFILE:
    case ENFILE:
      return "too many open files: raise the limit (LimitNOFILE= in the systemd unit, ulimit -n)";
    default:
      return "choose another address";
  }
}

}  // namespace

std::string ListenAddress::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::expected<ListenAddress, std::string> parse_listen_address(std::string_view text) {
  if (auto address = parse(text)) return *std::move(address);
  return std::unexpected(
      fmt::format("is \"{}\"; needed: a numeric address and a port, such as \"127.0.0.1:8801\" or \"[::1]:8801\" (port "
                  "0: any free one)",
                  text.substr(0, 80)));
}

std::string listen_error(std::string_view address, int error_number) {
  return fmt::format("cannot listen on {}: {}; {}", address, std::generic_category().message(error_number),
                     remedy(error_number));
}

}  // namespace platform
