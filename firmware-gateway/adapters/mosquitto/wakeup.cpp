#include "firmware-gateway/adapters/mosquitto/wakeup.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "proto/base/assert.hpp"

namespace mqtt {

Wakeup::Wakeup() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { ASSERT(descriptor_ >= 0); }
Wakeup::~Wakeup() { ::close(descriptor_); }

void Wakeup::signal() const {
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is at its limit: it is readable then, which is all that counts.
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

void Wakeup::clear() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
}

}  // namespace mqtt
