#include "firmware-gateway/config/tables.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include "firmware-gateway/config/credentials.hpp"
#include "firmware-gateway/redact/scan.hpp"
#include "proto/platform/private_file.hpp"

namespace config {

using platform::SettingsTable;

namespace {

constexpr int certificate_warning_days = 30;

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
  if (!tls.certificate.empty() && !tls.key.empty()) {
    check_credentials(table, "", tls.certificate, tls.key);
    warn_of_expiry(tls.certificate, warnings);
  }
  if (!tls.client_ca.empty()) {
    if (const auto problem = check_certificates(tls.client_ca)) table.error("client_ca", *problem);
  }
  return tls;
}

void check_credentials(SettingsTable& table, std::string_view pair_at, const std::string& certificate,
                       const std::string& key) {
  if (const auto open = platform::private_file_problem(key)) {
    table.error("key", *open);
  } else if (const auto problem = check_pair(certificate, key)) {
    table.error(pair_at, *problem);
  }
}

void warn_of_expiry(const std::string& certificate, std::vector<std::string>& warnings) {
  const auto days = days_left(certificate);
  if (!days || *days >= certificate_warning_days) return;
  warnings.push_back(*days < 0 ? fmt::format("{}: the certificate has expired", certificate)
                               : fmt::format("{}: the certificate expires in {} days", certificate, *days));
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
