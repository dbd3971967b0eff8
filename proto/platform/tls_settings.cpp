#include "proto/platform/tls_settings.hpp"

#include <utility>

#include "proto/platform/certificates.hpp"
#include "proto/platform/private_file.hpp"

namespace platform {

void check_credentials(SettingsTable& table, std::string_view pair_at, const std::string& certificate,
                       const std::string& key, std::vector<std::string>& warnings) {
  if (auto open = private_file_problem(key)) {
    table.error("key", *std::move(open));
  } else if (auto problem = pair_problem(certificate, key)) {
    table.error(pair_at, *std::move(problem));
  }
  if (auto warning = validity_warning(certificate)) warnings.push_back(*std::move(warning));
}

void check_authorities(SettingsTable& table, std::string_view key, const std::string& path) {
  if (path.empty()) return;
  if (auto problem = authorities_problem(path)) table.error(key, *std::move(problem));
}

}  // namespace platform
