// Credentials: key and certificate files, as far as they can be checked without the other end.
#pragma once

#include <expected>
#include <optional>
#include <string>

namespace config {

// The bytes of a file that nobody but its owner may read. The error reads after the setting's key.
[[nodiscard]] std::expected<std::string, std::string> read_private_file(const std::string& path, std::size_t bytes_max);

// Why this certificate and key cannot be used together; nothing when they can.
[[nodiscard]] std::optional<std::string> check_pair(const std::string& certificate, const std::string& key);
// Why this file is no list of certificates; nothing when it is.
[[nodiscard]] std::optional<std::string> check_certificates(const std::string& path);

// Of the first certificate in a PEM file; nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> common_name(const std::string& certificate);
// Whole days until it expires, negative afterwards.
[[nodiscard]] std::optional<int> days_left(const std::string& certificate);

}  // namespace config
