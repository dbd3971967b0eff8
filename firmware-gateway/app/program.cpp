#include "firmware-gateway/app/program.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "firmware-gateway/app/shell.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace app {

const config::Needs& config_needs() {
  static const zoneinfo::ZoneDatabase zones;
  static const config::Needs needs{.zones = zones, .hasher = platform::hasher(), .dialect = &config::load_dialect};
  return needs;
}

int run(const std::string& config_path, const config::Config& config) {
  platform::log::configure(config.log.level, config.log.format);
  // A peer that goes away is an error of that connection, not of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // Card numbers pass through this memory: not into a core dump, nor to a debugger.
  if (const auto problem = platform::harden_process(); !problem.empty()) {
    platform::log::warn("the process could not be hardened: {}", problem);
  }
  std::string error;
  bool linger = true;
  {
    Shell shell(config_path, config);
    error = shell.run();
    linger = !shell.must_not_linger();
  }
  if (!error.empty()) {
    platform::log::error("{}", error);
    return exit_failed;
  }
  platform::log::info("stopped");
  if (!linger) {
    std::fflush(nullptr);
    ::_exit(exit_done);
  }
  return exit_done;
}

}  // namespace app
