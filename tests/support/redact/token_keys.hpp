// Token keys for tests: 32 times one letter.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "firmware-gateway/redact/card_guard.hpp"

inline redact::TokenKey token_key(std::string name, char letter = 'k') {
  std::shared_ptr<char[]> bytes = std::make_shared<char[]>(base::token_key_bytes);
  std::fill_n(bytes.get(), base::token_key_bytes, letter);
  return {.name = std::move(name), .bytes = std::move(bytes)};
}
