// Private files: keys, passwords and tokens, which nobody but their owner may read.
#pragma once

#include <optional>
#include <string>

namespace platform {

// Why this file cannot be used as a private one: it is missing, no regular file, or open to group or others (with the
// mode that was found, and the command that mends it). Nothing when it is private. Reads after the setting's key.
[[nodiscard]] std::optional<std::string> private_file_problem(const std::string& path);

// Its first line, without the line's end. None: it cannot be read, or holds nothing.
[[nodiscard]] std::optional<std::string> read_secret(const std::string& path);

}  // namespace platform
