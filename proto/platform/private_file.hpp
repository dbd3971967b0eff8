// Private files: keys, passwords and tokens, which nobody but their owner may read.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>

namespace platform {

// Why this file cannot be used as a private one: it is missing, no regular file, or open to group or others (with the
// mode that was found, and the command that mends it). Nothing when it is private. Reads after the setting's key.
[[nodiscard]] std::optional<std::string> private_file_problem(const std::string& path);

// Characters of a password or a token: MQTT takes no longer password.
inline constexpr std::size_t secret_length_max = 65'535;

// Its first line, without the line's end. None: it cannot be read, or holds nothing, or the line is longer than a
// secret may be.
[[nodiscard]] std::optional<std::string> read_secret(const std::string& path);

// The same of a private file, for whoever checks a configuration: at least so long. The error reads after the setting's
// key.
[[nodiscard]] std::expected<std::string, std::string> read_private_secret(const std::string& path,
                                                                          std::size_t length_min);

}  // namespace platform
