#include "firmware-gateway/config/tables.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include "firmware-gateway/redact/scan.hpp"
#include "proto/platform/tls_settings.hpp"

namespace config {

using platform::SettingsTable;

namespace {

void mask(std::string& text) {
  redact::mask_card_data(text, [](std::string_view /*found*/) { return std::string("[card data]"); });
}

}  // namespace

std::optional<Tls> read_tls(SettingsTable& parent, std::vector<std::string>& warnings) {
  if (!parent.has("tls")) return std::nullopt;
  SettingsTable table = parent.table("tls");
  Tls tls{.certificate = table.required_text("certificate"),
          .key = table.required_text("key"),
          .client_ca = table.text("client_ca", "")};
  if (!tls.certificate.empty() && !tls.key.empty())
    platform::check_credentials(table, "", tls.certificate, tls.key, warnings);
  platform::check_authorities(table, "client_ca", tls.client_ca);
  return tls;
}

Log read_log(SettingsTable table) {
  Log log;
  const std::string level = table.word("level", "info", {"error", "warn", "info", "debug"});
  log.level = level == "error"  ? platform::log::Level::error
              : level == "warn" ? platform::log::Level::warn
              : level == "info" ? platform::log::Level::info
                                : platform::log::Level::debug;
  log.format = table.word("format", "text", {"text", "json"}) == "json" ? platform::log::Format::json
                                                                        : platform::log::Format::text;
  return log;
}

std::optional<std::string> socket_path_problem(std::string_view path) {
  if (path.empty()) return std::nullopt;
  if (!path.starts_with('/')) return fmt::format(R"(is "{}"; needed: a path that begins with /)", path);
  constexpr std::size_t path_max = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= path_max) return std::nullopt;
  return fmt::format("has {} bytes; allowed: at most {}", path.size(), path_max);
}

void mask_card_data(std::vector<platform::SettingsError>& errors, std::vector<std::string>& warnings) {
  for (auto& error : errors) {
    mask(error.key);
    mask(error.message);
  }
  for (auto& warning : warnings) mask(warning);
}

std::optional<std::string> Doors::take(std::string name, const platform::ListenAddress& address) {
  const auto everywhere = [](std::string_view host) { return host == "0.0.0.0" || host == "::"; };
  for (const auto& [other, taken] : taken_) {
    const bool meets = taken.host == address.host || everywhere(taken.host) || everywhere(address.host);
    if (address.port != 0 && taken.port == address.port && meets)
      return fmt::format("where {} listens already; allowed: an address of its own", other);
  }
  taken_.emplace_back(std::move(name), address);
  return std::nullopt;
}

}  // namespace config
