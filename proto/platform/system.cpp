#include "proto/platform/system.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "proto/base/assert.hpp"
#include "proto/platform/locked_memory.hpp"

namespace platform {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kLeakCheckAttaches = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kLeakCheckAttaches = true;
#else
constexpr bool kLeakCheckAttaches = false;
#endif
#else
constexpr bool kLeakCheckAttaches = false;
#endif

// 256 bytes: the most that getrandom gives without ever being interrupted by a signal.
class KernelRandom final : public base::Random {
 public:
  std::uint64_t next() override {
    if (used_ == pool_.size()) refill();
    return pool_[used_++];
  }

 private:
  void refill() {
    ssize_t got = 0;
    do {
      got = ::getrandom(pool_.data(), sizeof pool_, 0);
    } while (got < 0 && errno == EINTR);
    ASSERT(got == static_cast<ssize_t>(sizeof pool_));
    used_ = 0;
  }

  std::array<std::uint64_t, 32> pool_{};
  std::size_t used_ = pool_.size();
};

std::string failed(const char* call) { return fmt::format("{}: {}", call, std::generic_category().message(errno)); }

}  // namespace

base::Now now() {
  using std::chrono::floor;
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return {.instant = base::Instant(floor<base::Instant::duration>(steady)),
          .utc = floor<std::chrono::milliseconds>(std::chrono::system_clock::now())};
}

bool clock_synced() {
  timex status{};
  const int state = ::adjtimex(&status);
  return state >= 0 && state != TIME_ERROR && (status.status & STA_UNSYNC) == 0;
}

std::unique_ptr<base::Random> make_random() { return std::make_unique<KernelRandom>(); }

void notify_supervisor(std::string_view state) {
  // A supervisor that cannot be told is no reason to stop: it will notice by its own watchdog.
  static_cast<void>(::sd_notify(0, std::string(state).c_str()));
}

std::string harden_process() {
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) return failed("setrlimit(RLIMIT_CORE)");
  if (!kLeakCheckAttaches && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failed("prctl(PR_SET_DUMPABLE)");
  return open_locked_memory();
}

bool output_written() {
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written) return true;
  pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace platform
