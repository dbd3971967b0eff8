// Clocks, random numbers, hashing and systemd: the real ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/random.hpp"

namespace platform {

[[nodiscard]] base::Now now();
// Whether the kernel says that the wall clock is synchronised (adjtimex).
[[nodiscard]] bool clock_synced();

// OpenSSL's. Usable from any thread; costs no allocation and no look-up of the algorithm a call.
[[nodiscard]] const base::Hasher& hasher();
// From the kernel (getrandom), fetched 256 bytes at a time. One a thread.
[[nodiscard]] std::unique_ptr<base::Random> make_random();

// sd_notify: "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". Does nothing without systemd.
void notify_supervisor(std::string_view state);

// No core dumps, not traceable by other processes of the same user, keys in locked memory: memory may hold card data
// for a moment, and keys for long. Empty when done; else says what failed and why. Under AddressSanitizer the process
// stays traceable, because its leak check attaches to it.
[[nodiscard]] std::string harden_process();

// Whether everything that was printed to stdout has got where it should, or the reader has gone of its own accord (a
// closed pipe). False: a full disk, a device that takes nothing.
[[nodiscard]] bool output_written();

}  // namespace platform
