#include "firmware-gateway/app/tap/program.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "firmware-gateway/app/tap/shell.hpp"
#include "proto/platform/http_client.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace tap_app {
namespace {

int failed(std::string_view text) {
  fmt::print(stderr, "tillstream-tap: {}\n", text);
  return exit_failed;
}

}  // namespace

int run(const config::TapConfig& config) {
  platform::log::configure(config.log.level, config.log.format);
  // A peer that goes away is an error of that connection, not of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // Card numbers pass through this memory: not into a core dump, nor to a debugger.
  if (const auto problem = platform::harden_process(); !problem.empty())
    platform::log::warn("the process could not be hardened: {}", problem);
  const std::string error = Shell(config).run();
  if (!error.empty()) {
    platform::log::error("{}", error);
    return exit_failed;
  }
  platform::log::info("stopped");
  return exit_done;
}

int check(const config::TapReading& reading) {
  for (const auto& warning : reading.warnings) fmt::print(stderr, "warning: {}\n", warning);
  fmt::print("ok\n");
  return exit_done;
}

int status(const config::TapConfig& config) {
  const auto address = platform::parse_listen_address(config.admin);
  if (!address) return failed(address.error());
  if (address->port == 0)
    return failed("admin.listen has port 0: the running tap's real port is in its log; ask it there");
  const auto answer = platform::http_request("GET", fmt::format("http://{}/v1/status", address->text()));
  if (!answer) return failed(fmt::format("{}; is the tap running?", answer.error()));
  std::fwrite(answer->body.data(), 1, answer->body.size(), stdout);
  return answer->status == 200 ? exit_done : exit_failed;
}

}  // namespace tap_app
