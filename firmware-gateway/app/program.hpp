// What each command does. Returns the exit status.
#pragma once

#include "firmware-gateway/app/command_line.hpp"
#include "firmware-gateway/config/config.hpp"

namespace app {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_wrong_use = 2;
inline constexpr int exit_config = 78;

inline constexpr const char* version = TILLSTREAM_VERSION;

[[nodiscard]] int run(const std::string& config_path, const config::Config& config);
[[nodiscard]] int status(const config::Config& config);
[[nodiscard]] int journal_verify(const config::Config& config);
[[nodiscard]] int journal_salvage(const config::Config& config);
[[nodiscard]] int journal_export(const config::Config& config);

[[nodiscard]] int iso8583_decode(const Command& command);
[[nodiscard]] int iso8583_dialects();
[[nodiscard]] int iso8583_check(const Command& command);

// What reading a configuration needs in this program.
[[nodiscard]] const config::Needs& config_needs();

}  // namespace app
