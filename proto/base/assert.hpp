// ASSERT: our own bugs end the process, in release builds too. The supervisor restarts it and the journal makes that
// harmless; going on with a broken invariant would not be.
#pragma once

namespace base {

// Prints file, line and the condition to stderr, then aborts. Never prints values: they may hold card data.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace base

#define ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::base::assertion_failed(#condition, __FILE__, __LINE__))
