#include "cloud-bridge/app/commands.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "cloud-bridge/adapters/sqlite/tail.hpp"
#include "cloud-bridge/app/settings.hpp"
#include "proto/platform/http_client.hpp"
#include "proto/platform/listen_address.hpp"

namespace app {

namespace {

// How the admin port is reached from this machine: an address that means "all" is asked on loopback.
std::string admin_url(const config::Config& config, std::string_view path) {
  auto address = *platform::parse_listen_address(config.admin.listen);
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  return fmt::format("{}://{}{}", config.admin.tls ? "https" : "http", address.text(), path);
}

std::expected<platform::HttpAnswer, std::string> ask(const config::Config& config, std::string_view method,
                                                     std::string_view path, std::string_view body) {
  const auto token = read_token(config.admin.token_file);
  if (!token) return std::unexpected(token.error());
  platform::HttpClientSettings settings;
  settings.token = *token;
  // The server's own certificate is proof enough: we know it from the same file.
  if (config.admin.tls) settings.ca = config.admin.tls->certificate;
  return platform::http_request(method, admin_url(config, path), body, settings);
}

volatile std::sig_atomic_t tail_stopped = 0;

int fail(std::string_view message) {
  fmt::print(stderr, "tillstream-bridge: {}\n", message);
  return exit_failed;
}

}  // namespace

int check(const config::Config& config) {
  if (const auto token = read_token(config.admin.token_file); !token) {
    fmt::print(stderr, "{}\n", token.error());
    return exit_bad_config;
  }
  fmt::print("the configuration is fine\n");
  return exit_done;
}

int tail(const Arguments& arguments, const config::Config& config) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { tail_stopped = 1; });
  // A reader that has gone is no error, but the end.
  std::signal(SIGPIPE, SIG_IGN);
  const auto write = [](std::string_view lines) {
    return std::fwrite(lines.data(), 1, lines.size(), stdout) == lines.size() && std::fflush(stdout) == 0;
  };
  const auto done =
      sqlite::tail({.path = config.sqlite.path, .from = stream::Position(arguments.from), .follow = arguments.follow},
                   write, [] { return tail_stopped != 0; });
  return done ? exit_done : fail(done.error());
}

int print_status(const config::Config& config) {
  const auto answer = ask(config, "GET", "/v1/status", "");
  if (!answer) return fail(answer.error());
  if (answer->status != 200) return fail(fmt::format("the bridge answers {}: {}", answer->status, answer->body));
  fmt::print("{}", answer->body);
  const auto health = ask(config, "GET", "/healthz", "");
  if (!health) return fail(health.error());
  return health->status == 200 ? exit_done : exit_failed;
}

int release(const Arguments& arguments, const config::Config& config) {
  const auto answer = ask(config, "POST", fmt::format("/v1/gateways/{}/release", arguments.gateway_id), "{}");
  if (!answer) return fail(answer.error());
  if (answer->status != 200) return fail(fmt::format("{}: {}", arguments.gateway_id, answer->body));
  fmt::print("{}: the quarantine is ended\n", arguments.gateway_id);
  return exit_done;
}

}  // namespace app
