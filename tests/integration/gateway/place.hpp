// A place for a test: files, free ports; waiting for a condition, with a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace testing {

void write_file(const std::string& path, const std::string& text);

// A port on 127.0.0.1 that nobody used a moment ago.
[[nodiscard]] std::uint16_t free_port();
[[nodiscard]] bool accepts_connections(std::uint16_t port);

// Asks again and again until it holds; false when the deadline has passed.
[[nodiscard]] bool wait_until(const std::function<bool()>& holds,
                              std::chrono::milliseconds deadline = std::chrono::seconds(20));

// CPU time that this process has used so far.
[[nodiscard]] std::chrono::microseconds cpu_time();

}  // namespace testing
