#include "proto/platform/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "proto/platform/line_limiter.hpp"
#include "proto/platform/log_line.hpp"

namespace platform::log {
namespace {

// systemd says so: JOURNAL_STREAM is "device:inode" of the stream that it connected.
bool stderr_is_journal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat here{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &here) != 0) return false;
  return fmt::format("{}:{}", here.st_dev, here.st_ino) == stream;
}

spdlog::level::level_enum to_spdlog(Level level) {
  static constexpr std::array kLevels = {spdlog::level::err, spdlog::level::warn, spdlog::level::info,
                                         spdlog::level::debug};
  return kLevels.at(static_cast<std::size_t>(level));
}

// One mutex keeps format and pattern together and lines whole; hence the sink needs none of its own.
class Journal {
 public:
  Journal() : logger_("", std::make_shared<spdlog::sinks::stderr_sink_st>()) {
    logger_.set_level(spdlog::level::debug);
    configure(Format::text);
  }

  void configure(Format format) {
    const std::scoped_lock lock(mutex_);
    style_ = format == Format::json ? LineStyle::json : stderr_is_journal() ? LineStyle::journal : LineStyle::text;
    // The time is spdlog's, the rest is to_line()'s.
    static constexpr std::array kPatterns = {"%Y-%m-%dT%H:%M:%S.%eZ %v", R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})",
                                             "%v"};
    logger_.set_pattern(kPatterns.at(static_cast<std::size_t>(style_)), spdlog::pattern_time_type::utc);
  }

  void write(Level level, std::string_view message) {
    const std::scoped_lock lock(mutex_);
    logger_.log(to_spdlog(level), spdlog::string_view_t(to_line(style_, level, message)));
  }

  [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view key) {
    const std::scoped_lock lock(mutex_);
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return limiter_.admit(key, base::Instant(std::chrono::floor<base::Instant::duration>(now)));
  }

 private:
  std::mutex mutex_;
  spdlog::logger logger_;
  LineStyle style_ = LineStyle::text;
  LineLimiter limiter_;
};

// Never destroyed: destructors of other statics may still log.
Journal& journal() {
  static Journal& journal = *new Journal;
  return journal;
}

std::atomic<Level> level_max{Level::info};

}  // namespace

std::string_view to_word(Level level) {
  static constexpr std::array<std::string_view, 4> kWords = {"error", "warn", "info", "debug"};
  return kWords.at(static_cast<std::size_t>(level));
}

void configure(Level level, Format format) {
  level_max = level;
  journal().configure(format);
}

bool enabled(Level level) noexcept { return level <= level_max.load(std::memory_order_relaxed); }

void write(Level level, std::string_view line) {
  if (enabled(level)) journal().write(level, line);
}

void write_limited(std::string_view key, Level level, std::string_view line) {
  if (!enabled(level)) return;
  const auto held_back = journal().admit(key);
  if (!held_back) return;
  if (*held_back == 0) return write(level, line);
  write(level, fmt::format("{} (and {} more like this since the last such line)", line, *held_back));
}

}  // namespace platform::log
