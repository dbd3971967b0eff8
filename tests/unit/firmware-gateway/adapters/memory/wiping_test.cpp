// Memory is looked at as a debugger would, through /proc/self/mem: what has been given back is nobody's to read.
#include "firmware-gateway/adapters/memory/wiping.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr char secret = '\x5A';
// Where glibc keeps lists of its own in a block that is free.
constexpr std::size_t list_bytes = 16;

// Bytes of this value that memory holds from there on.
std::size_t secrets_at(std::uintptr_t address, std::size_t bytes) {
  std::vector<char> seen(bytes);
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  REQUIRE(memory >= 0);
  const auto got = ::pread(memory, seen.data(), bytes, static_cast<off_t>(address));
  ::close(memory);
  REQUIRE(got == static_cast<ssize_t>(bytes));
  std::size_t found = 0;
  for (const char byte : seen) found += byte == secret ? 1 : 0;
  return found;
}

template <class Block>
std::uintptr_t filled(Block* block, std::size_t bytes) {
  std::memset(block, secret, bytes);
  __asm__ __volatile__("" : : "r"(block) : "memory");
  return reinterpret_cast<std::uintptr_t>(block);
}

constexpr std::size_t painted_bytes = memory::scrubbed_stack_bytes / 2;

// Leaves secrets on the stack, and tells where they begin.
[[gnu::noinline]] std::uintptr_t paint_stack() {
  char local[painted_bytes];
  return filled(local, sizeof local);  // NOLINT(clang-analyzer-core.StackAddressEscape): a number; nobody follows it
}

}  // namespace

TEST_CASE("wiping: a block is overwritten when it is given back, by whatever way it came") {
  for (const std::size_t bytes : {std::size_t{40}, std::size_t{1000}, std::size_t{100'000}}) {
    auto* const by_new = new char[bytes];
    std::uintptr_t at = filled(by_new, bytes);
    CHECK(secrets_at(at, bytes) == bytes);
    delete[] by_new;
    CHECK(secrets_at(at + list_bytes, bytes - list_bytes) == 0);
    void* const by_malloc = std::malloc(bytes);
    at = filled(by_malloc, bytes);
    std::free(by_malloc);
    CHECK(secrets_at(at + list_bytes, bytes - list_bytes) == 0);
  }
}

TEST_CASE("wiping: a block that grows or shrinks leaves nothing behind, and loses nothing") {
  void* const block = std::malloc(2000);
  const std::uintptr_t first = filled(block, 2000);
  void* const grown = std::realloc(block, 60'000);
  REQUIRE(grown != nullptr);
  CHECK(secrets_at(reinterpret_cast<std::uintptr_t>(grown), 2000) == 2000);
  if (reinterpret_cast<std::uintptr_t>(grown) != first) CHECK(secrets_at(first + list_bytes, 2000 - list_bytes) == 0);
  const std::uintptr_t second = filled(grown, 60'000);
  void* const shrunk = std::realloc(grown, 100);
  REQUIRE(shrunk != nullptr);
  CHECK(secrets_at(reinterpret_cast<std::uintptr_t>(shrunk), 100) == 100);
  CHECK(secrets_at(second + 200, 2000) == 0);
  std::free(shrunk);
  // NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): glibc frees the block, and so must what stands before it
  CHECK(std::realloc(std::malloc(10), 0) == nullptr);
}

TEST_CASE("wiping: a text that grows leaves nothing behind") {
  std::string text(100, secret);
  const auto at = reinterpret_cast<std::uintptr_t>(text.data());
  text.append(10'000, secret);
  CHECK(secrets_at(at + list_bytes, 100 - list_bytes) == 0);
}

TEST_CASE("wiping: what was on the stack is there until it is scrubbed") {
  const std::uintptr_t at = paint_stack();
  CHECK(secrets_at(at, painted_bytes / 2) > painted_bytes / 4);
  memory::scrub_stack();
  CHECK(secrets_at(at, painted_bytes / 2) == 0);
}

TEST_CASE("wiping: a loop leaves nothing on its stack when it waits, and runs everything") {
  boost::asio::io_context loop;
  std::uintptr_t at = 0;
  int runs = 0;
  for (int i = 0; i < 1000; ++i) {
    boost::asio::post(loop, [&] {
      ++runs;
      at = paint_stack();
    });
  }
  memory::run_wiping(loop);
  CHECK(runs == 1000);
  CHECK(secrets_at(at, painted_bytes / 2) == 0);
}
