// Overwriting memory that held what nobody may find there later.
#pragma once

#include <cstddef>
#include <string>

namespace base {

// Overwrites memory in a way that the optimiser may not leave out.
void wipe(void* memory, std::size_t bytes) noexcept;
// Overwrites all that the string owns, and leaves it empty.
void wipe(std::string& text) noexcept;

}  // namespace base
