#include "firmware-gateway/redact/secret.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

TEST_CASE("secret: holds what was appended, and moves without leaving anything behind") {
  redact::Secret secret("4111");
  for (int i = 0; i < 50; ++i) secret.append("1234567890");
  CHECK(secret.size() == 504);
  CHECK(secret.view().starts_with("41111234567890"));
  redact::Secret moved = std::move(secret);
  CHECK(moved.size() == 504);
  CHECK(secret.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  secret.append("again");
  CHECK(secret.view() == "again");
  moved = std::move(secret);
  CHECK(moved.view() == "again");
}

TEST_CASE("secret: what is cleared is overwritten") {
  redact::Secret secret("4111111111111111");
  const char* const memory = secret.view().data();
  secret.clear();
  CHECK(secret.empty());
  for (int i = 0; i < 16; ++i) CHECK(memory[i] == '\0');
}

TEST_CASE("wipe: overwrites a string, its spare room included") {
  for (const std::size_t size : {std::size_t{8}, std::size_t{400}}) {
    std::string text(size, '4');
    const char* const memory = text.data();
    const std::size_t capacity = text.capacity();
    text.resize(3);  // the bytes behind it stay, until it is wiped
    redact::wipe(text);
    CHECK(text.empty());
    CHECK(text.data() == memory);
    CHECK(text.capacity() == capacity);
    CHECK(std::string_view(memory, capacity) == std::string(capacity, '\0'));
  }
}
