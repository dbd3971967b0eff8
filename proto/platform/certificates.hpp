// Certificates: key and certificate files, as far as they can be checked without the other end.
#pragma once

#include <optional>
#include <string>

namespace platform {

// Why this certificate (with its chain behind it) and key cannot be used together; nothing when they can.
[[nodiscard]] std::optional<std::string> pair_problem(const std::string& certificate, const std::string& key);
// Why this file is no list of authorities' certificates; nothing when it is.
[[nodiscard]] std::optional<std::string> authorities_problem(const std::string& path);

// Of the first certificate in a PEM file; nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> common_name(const std::string& certificate);
// Whole days until it expires, negative afterwards.
[[nodiscard]] std::optional<int> days_left(const std::string& certificate);
// That it has expired, will within 30 days, or does not count yet: the other end may refuse it.
[[nodiscard]] std::optional<std::string> validity_warning(const std::string& certificate);

}  // namespace platform
