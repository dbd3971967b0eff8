// A place for a test: a folder of its own, removed afterwards; free ports; waiting for a condition, with a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace testing {

class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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
