// What is no longer used is overwritten: every block that is given back to the heap, whichever library had it, and what
// a turn of an event loop leaves on its stack.
//
//   the heap    By being linked: free and realloc, which operator delete and all libraries call, wipe what they are
//   given.
//               Under a sanitizer, which brings a heap of its own, by its hook.
//   the stack   By whoever runs a loop: run_wiping.
//
// What stays in use is its owner's to wipe: buffers of connections, above all.
#pragma once

#include <cstddef>

namespace memory {

// Deeper than any handler goes: `tests/unit/firmware-gateway/adapters/memory`.
inline constexpr std::size_t scrubbed_stack_bytes = 64UL * 1024;

// Overwrites the stack below its caller.
void scrub_stack() noexcept;

// Runs an asio::io_context until it stops. A turn ends when nothing is ready, or after some handlers.
template <class Loop>
void run_wiping(Loop& loop) {
  constexpr int handlers_max = 256;
  while (loop.run_one() > 0) {
    for (int handlers = 1; handlers < handlers_max && loop.poll_one() > 0; ++handlers) {
    }
    scrub_stack();
  }
}

}  // namespace memory
