#include "firmware-gateway/adapters/memory/wiping.hpp"

#include <array>

#include "proto/base/wipe.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TILLSTREAM_SANITIZED_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TILLSTREAM_SANITIZED_HEAP 1
#endif
#endif

#if defined(TILLSTREAM_SANITIZED_HEAP)

// As in sanitizer/allocator_interface.h, which gcc does not bring.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                              void (*on_free)(const volatile void*));
std::size_t __sanitizer_get_allocated_size(const volatile void* block);
}

namespace {

void on_malloc(const volatile void* /*block*/, std::size_t /*bytes*/) {}

void on_free(const volatile void* block) {
  base::wipe(const_cast<void*>(block), ::__sanitizer_get_allocated_size(block));
}

[[maybe_unused]] const int installed = ::__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

}  // namespace

#else

#include <malloc.h>

#include <algorithm>
#include <cstring>

extern "C" {

// glibc's own, by the names that it keeps for replacements.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,readability-inconsistent-declaration-parameter-name)
void* __libc_malloc(std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void __libc_free(void* block);

void free(void* block) noexcept {
  if (block == nullptr) return;
  base::wipe(block, ::malloc_usable_size(block));
  __libc_free(block);
}

// Never leaves the old bytes behind: neither where the block was, nor in what is cut off its end.
void* realloc(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return __libc_malloc(bytes);
  const std::size_t usable = ::malloc_usable_size(block);
  if (bytes > usable) {
    void* const larger = __libc_malloc(bytes);
    if (larger == nullptr) return nullptr;
    std::memcpy(larger, block, usable);
    free(block);
    return larger;
  }
  base::wipe(static_cast<char*>(block) + bytes, usable - bytes);
  return __libc_realloc(block, bytes);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,readability-inconsistent-declaration-parameter-name)

}  // extern "C"

#endif

namespace memory {
namespace {

// What glibc's memcpy has left in vector registers, which may be 64 bytes of a message: those that the compiler does
// not know (AVX-512's) it cannot clear.
void clear_vector_registers() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx"))
    __asm__ __volatile__("vzeroall"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  if (__builtin_cpu_supports("avx512f"))
    __asm__ __volatile__(
        ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
        "vpxorq %%zmm\\n, %%zmm\\n, %%zmm\\n\n"
        ".endr"
        :
        :
        :);
#endif
}

}  // namespace

[[gnu::noinline, gnu::zero_call_used_regs("all")]] void scrub_stack() noexcept {
  std::array<char, scrubbed_stack_bytes> below;  // NOLINT(*-member-init): it is what is there
  base::wipe(below.data(), below.size());
  clear_vector_registers();
}

}  // namespace memory
