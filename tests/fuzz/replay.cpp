// Runs a fuzz target on its kept corpus, without a fuzzer: what it once found stays found. Each input is given whole,
// and as up to 64 beginnings of it, because a cut input is the most common damage.
//
//   fuzz_NAME [--beginnings=N] FOLDER
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::string_view kBeginnings = "--beginnings=";
std::size_t beginnings_max = 64;

void run(const std::string& input, std::size_t length) {
  // A copy of exactly this size, so that the sanitizer sees each byte read beyond it.
  const std::vector<std::uint8_t> bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length));
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void run_with_beginnings(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string input((std::istreambuf_iterator<char>(file)), {});
  if (beginnings_max > 0) {
    const std::size_t step = std::max<std::size_t>(1, input.size() / beginnings_max);
    for (std::size_t length = 0; length < input.size(); length += step) run(input, length);
  }
  run(input, input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kBeginnings)) beginnings_max = std::stoul(argv[i] + kBeginnings.size());
    if (!std::filesystem::is_directory(argument)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argument)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      run_with_beginnings(entry.path());
    }
  }
  std::printf("%zu kept inputs replayed\n", files);
  if (files > 0) return 0;
  std::fputs("no corpus found: a fuzz target without one guards nothing\n", stderr);
  return 1;
}
