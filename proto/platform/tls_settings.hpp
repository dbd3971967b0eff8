// Certificate and key files that settings name, proved before anything uses them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/platform/settings.hpp"

namespace platform {

// A certificate and the key it is for, which whoever reads can be this machine. A pair that does not fit is noted at
// `pair_at`; one that the other end may refuse, because of the date, is a warning.
void check_credentials(SettingsTable& table, std::string_view pair_at, const std::string& certificate,
                       const std::string& key, std::vector<std::string>& warnings);
// The certificates of authorities; nothing to check when `path` is empty.
void check_authorities(SettingsTable& table, std::string_view key, const std::string& path);

}  // namespace platform
