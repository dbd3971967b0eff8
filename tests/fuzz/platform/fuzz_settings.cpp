// Any text as a configuration: it is read or refused with an error, never crashed over, and never echoed when it may be
// secret.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/assert.hpp"
#include "proto/platform/settings.hpp"

namespace {

void read_all(platform::SettingsTable table, int depth) {
  static constexpr std::array<std::string_view, 3> kNames = {"a", "b", "gateway"};
  for (const std::string_view name : kNames) {
    static_cast<void>(table.text(name, ""));
    static_cast<void>(table.word(name, "x", {"x", "yy"}));
    static_cast<void>(table.required_text(name));
    static_cast<void>(table.integer(name, 1, {0, 10}));
    static_cast<void>(table.boolean(name, true));
    static_cast<void>(table.bytes(name, "1KiB", 1, 1024 * 1024));
    static_cast<void>(table.duration(name, "1s", {}, std::chrono::hours(24)));
    static_cast<void>(table.free_texts(name));
    if (depth > 0) {
      read_all(table.table(name), depth - 1);
      for (const auto& inner : table.tables(name)) read_all(inner, depth - 1);
    }
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  platform::Settings settings = platform::Settings::parse(text, "x.toml");
  read_all(settings.root(), 2);
  settings.finish();
  for (const auto& error : settings.errors()) {
    // One line each, for one terminal line each.
    ASSERT(error.text().find('\n') == std::string::npos);
    ASSERT(error.message.size() < 4096);
  }
  return 0;
}
