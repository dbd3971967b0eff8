#include "cloud-bridge/app/commands.hpp"

#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <limits>
#include <optional>

#include "cloud-bridge/adapters/rdkafka/opening.hpp"
#include "cloud-bridge/adapters/rdkafka/tail.hpp"
#include "cloud-bridge/adapters/sqlite/tail.hpp"
#include "cloud-bridge/app/settings.hpp"
#include "proto/platform/http_client.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/settings.hpp"

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

int wrong_position(std::string_view given, std::string_view allowed) {
  fmt::print(stderr, "--from: {} is no position of this stream; {}\n", given.empty() ? "an empty text" : given,
             allowed);
  return exit_wrong_use;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  return whole && number <= most ? std::optional(number) : std::nullopt;
}

}  // namespace

int check(const config::Config& config) {
  for (const std::string& warning : config.warnings) fmt::print(stderr, "warning: {}\n", warning);
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
  const auto stopped = [] { return tail_stopped != 0; };
  base::Result<void, stream::ReadFailure> done;
  if (config.stream_kind == "kafka") {
    const auto from = stream::parse_offsets(arguments.from);
    if (!from || arguments.from.empty())
      return wrong_position(arguments.from, "allowed: PARTITION:OFFSET[,PARTITION:OFFSET …], or 0");
    const auto settings = kafka_settings(config);
    done = kafka::tail(
        {.properties = settings.properties, .topic = settings.topics.events, .from = *from, .follow = arguments.follow},
        write,
        [](const stream::Removed& gone) {
          fmt::print(stderr,
                     "tillstream-bridge: the records from {} on are removed (retention); reading goes on at {}\n",
                     gone.first, gone.next);
        },
        stopped);
  } else {
    const auto from = parse_number(arguments.from);
    if (!from) return wrong_position(arguments.from, "allowed: a number from 0 on");
    const auto read = sqlite::tail(
        {.path = config.sqlite.path, .from = stream::Position(*from), .follow = arguments.follow}, write, stopped);
    if (!read) done = base::fail(stream::ReadFailure{.reason = read.error()});
  }
  if (done) return exit_done;
  const auto& [error, reason] = done.error();
  return error == stream::ReadError::refused ? wrong_position(arguments.from, reason) : fail(reason);
}

int topics(const Arguments& arguments, const config::Config& config) {
  if (config.stream_kind != "kafka") {
    auto settings = platform::Settings::load(arguments.config);
    settings.root().table("stream").error(
        "kind", fmt::format(R"(is "{}", which has no topics; needed here: "kafka")", config.stream_kind));
    for (const auto& error : settings.errors()) fmt::print(stderr, "{}\n", error.text());
    return exit_bad_config;
  }
  const auto settings = topics_settings(config);
  if (arguments.create) {
    const auto done =
        kafka::create_topics(settings, stream::plan_topics(settings.names, arguments.counts),
                             arguments.accept_repeats ? kafka::Repeats::accepted : kafka::Repeats::refused,
                             [](const std::string& line) { fmt::print("{}\n", line); });
    if (!done) return fail(done.error());
  }
  const auto looked = kafka::look(settings);
  if (const auto* unreachable = std::get_if<kafka::Unreachable>(&looked)) return fail(unreachable->reason);
  if (const auto* refused = std::get_if<kafka::Refused>(&looked)) {
    for (const std::string& problem : refused->problems) fmt::print(stderr, "{}\n", problem);
    return exit_failed;
  }
  const auto& opened = std::get<kafka::Opened>(looked);
  for (const std::string& warning : opened.warnings) fmt::print(stderr, "warning: {}\n", warning);
  fmt::print("the topics are fine; {} progress partitions\n", opened.partitions);
  return exit_done;
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
