#include "firmware-gateway/config/broker_url.hpp"

#include <fmt/format.h>

#include <charconv>

namespace config {

namespace {

constexpr std::string_view allowed = "allowed: mqtts://host[:port], or mqtt://host[:port] on loopback";
constexpr std::uint16_t port_plain = 1'883;
constexpr std::uint16_t port_tls = 8'883;

bool host_allowed(std::string_view host) {
  constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
  return !host.empty() && host.size() <= 253 && host.find_first_not_of(characters) == std::string_view::npos;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

}  // namespace

std::expected<BrokerUrl, std::string> parse_broker_url(std::string_view text) {
  const auto wrong = [&](std::string_view what) {
    return std::unexpected(fmt::format("is \"{}\": {}; {}", text, what, allowed));
  };
  BrokerUrl url;
  std::string_view rest = text;
  if (rest.starts_with("mqtts://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("mqtt://")) {
    rest.remove_prefix(7);
  } else {
    return wrong("it does not begin with mqtts:// or mqtt://");
  }
  if (rest.find('@') != std::string_view::npos) {
    return std::unexpected(fmt::format("holds a user name; it belongs into uplink.username; {}", allowed));
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest;
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return wrong("the ] is missing");
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (!host_allowed(host)) return wrong("it names no host");
  url.host = host;
  url.port = url.tls ? port_tls : port_plain;
  if (!port.empty() && (port.front() != ':' || !parse_port(port.substr(1), url.port)))
    return wrong("its port is none of 1 to 65535");
  url.loopback = url.host == "localhost" || url.host == "::1" ||
                 (url.host.starts_with("127.") && url.host.find_first_not_of("0123456789.") == std::string::npos);
  return url;
}

}  // namespace config
