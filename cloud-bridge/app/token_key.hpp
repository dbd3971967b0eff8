// token-key derive: makes the key that one gateway makes card tokens with, from the master key of all.
//
// Run where the master key lives, which is neither the gateway nor the bridge's machine.
#pragma once

#include "cloud-bridge/app/cli.hpp"

namespace app {

// Writes 32 bytes to a new file of mode 0600 and prints the key's name, as events will carry it. Never writes over a
// file: a key that is overwritten makes its tokens unreadable.
[[nodiscard]] int derive_token_key(const TokenKeyArguments& arguments);

}  // namespace app
