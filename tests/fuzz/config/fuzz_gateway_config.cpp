// Any text as gateway.toml: a whole configuration within its limits, or errors of one line each.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "firmware-gateway/config/broker_url.hpp"
#include "firmware-gateway/config/config.hpp"
#include "proto/base/assert.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/system.hpp"

namespace {

void check_errors(const config::Reading& reading) {
  ASSERT(reading.config.has_value() == reading.errors.empty());
  for (const auto& error : reading.errors) {
    ASSERT(error.text().find('\n') == std::string::npos);
    ASSERT(error.message.size() < 4096);
  }
  for (const auto& warning : reading.warnings) ASSERT(warning.find('\n') == std::string::npos);
}

void check_config(const config::Config& config) {
  ASSERT(handoff::gateway_id_allowed(config.gateway_id));
  ASSERT(config.journal.reserve < config.journal.quota);
  ASSERT(config.uplink.port != 0 && !config.uplink.host.empty());
  for (const auto* listen : {&config.http, &config.framed, &config.admin.listen}) {
    ASSERT(listen->address.empty() || platform::parse_listen_address(listen->address).has_value());
  }
  ASSERT(config.card.token_keys.current || !config.card.token_keys.previous);
  ASSERT(config::needs_restart(config, config).empty());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const zoneinfo::ZoneDatabase zones;
  const std::string_view text(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  const auto reading = config::parse(text, "gateway.toml",
                                     {.zones = zones, .hasher = platform::hasher(), .dialect = &config::load_dialect});
  check_errors(reading);
  if (reading.config) check_config(*reading.config);
  if (const auto url = config::parse_broker_url(text)) ASSERT(!url->host.empty() && url->port != 0);
  return 0;
}
