// Any text as bridge.toml: a whole configuration within its limits, or errors of one line each.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cloud-bridge/config/config.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/listen_address.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  const auto config = config::parse(text, "bridge.toml");
  if (!config) {
    ASSERT(!config.error().empty());
    for (const auto& error : config.error()) {
      ASSERT(error.text().find('\n') == std::string::npos);
      ASSERT(error.message.size() < 4096);
    }
  } else {
    ASSERT(!config->bridge_id.empty() && !config->broker.host.empty() && config->broker.port != 0);
    ASSERT(platform::parse_listen_address(config->admin.listen).has_value());
    ASSERT(config->limits.memory > 0 && config->limits.transaction_events > 0 && config->limits.gateways > 0);
  }
  if (const auto url = config::parse_broker_url(text)) ASSERT(!url->host.empty() && url->port != 0);
  return 0;
}
