// Settings: a TOML file read against what is known, with errors that a technician can act on. The only door to toml++.
//
//   Settings settings = Settings::load("gateway.toml");
//   auto uplink = settings.root().table("uplink");
//   config.window_events = uplink.integer("window_events", 4096, {1, 65536});
//   …
//   settings.finish();      // unknown keys become errors, each naming the nearest known one
//   if (!settings.errors().empty()) …
//
// Every getter records the key as known, returns the default when it is absent, and notes an error (file, line, key,
// what is wrong, what is allowed) when it is there and wrong; it then returns the default, too. So one pass reports all
// errors, not the first only. A syntax error leaves an empty document: everything reads as its default, and errors()
// says why; only the syntax error is then reported.
//
// No message repeats the value of a key that may hold a secret (password, secret, token …).
//
// Limits: a file of 1 MiB, a key of 64 parts, 200 errors (then their number).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace platform {

inline constexpr std::size_t settings_file_bytes_max = 1024 * 1024;
inline constexpr std::size_t settings_key_parts_max = 64;
inline constexpr std::size_t settings_errors_max = 200;

struct SettingsError {
  std::string file;
  unsigned line = 0;    // 0: the file as a whole
  std::string key;      // "uplink.window_events"; empty: the file as a whole
  std::string message;  // "is 0; allowed: 1 to 65536"

  // "gateway.toml:12: uplink.window_events: is 0; allowed: 1 to 65536"
  [[nodiscard]] std::string text() const;
};

struct IntegerRange {
  std::int64_t min;
  std::int64_t max;
};

// One table of the document. Copies are cheap and keep the document alive.
class SettingsTable {
 public:
  // An error text to note, or nothing when the value is fine. It is asked about values that are there, not about
  // defaults.
  using Check = std::function<std::optional<std::string>(std::string_view value)>;

  [[nodiscard]] bool has(std::string_view key) const;
  // Any text without control characters.
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback, const Check& check = {});
  // As text(), but absent or empty is an error.
  [[nodiscard]] std::string required_text(std::string_view key, const Check& check = {});
  [[nodiscard]] std::string word(std::string_view key, std::string_view fallback,
                                 const std::vector<std::string_view>& allowed);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback, IntegerRange range);
  [[nodiscard]] bool boolean(std::string_view key, bool fallback);
  // "512MiB": KiB MiB GiB.
  [[nodiscard]] std::uint64_t bytes(std::string_view key, std::string_view fallback, std::uint64_t min,
                                    std::uint64_t max);
  // "30s": ms s min h d.
  [[nodiscard]] std::chrono::milliseconds duration(std::string_view key, std::string_view fallback,
                                                   std::chrono::milliseconds min, std::chrono::milliseconds max);
  // A table inside this one; an empty one when absent.
  [[nodiscard]] SettingsTable table(std::string_view key);
  // The tables of [[key]].
  [[nodiscard]] std::vector<SettingsTable> tables(std::string_view key);
  // Every key of a free table with string, integer or boolean values, as text: properties = {}. Sorted by key; a dotted
  // key (sasl.username = …) comes back dotted.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> free_texts(std::string_view key);
  // Notes an error at this key (or at the table when "").
  void error(std::string_view key, std::string message);
  // The same at a key of a free table, dotted as free_texts() gives it.
  void error_in_free_texts(std::string_view key, std::string_view dotted, std::string message);

  struct Node;
  explicit SettingsTable(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

 private:
  std::shared_ptr<const Node> node_;
};

class Settings {
 public:
  // Parses text; `file` is for messages. A syntax error is in errors() at once.
  static Settings parse(std::string_view text, std::string file);
  // Reads and parses a file; one that is missing or unreadable is in errors().
  static Settings load(const std::string& path);

  [[nodiscard]] SettingsTable root();
  // Notes each key that nobody asked for, and puts all errors into the order of their lines. Call once, after all
  // getters.
  void finish();
  [[nodiscard]] const std::vector<SettingsError>& errors() const;

  struct Document;

 private:
  explicit Settings(std::shared_ptr<Document> document) : document_(std::move(document)) {}

  std::shared_ptr<Document> document_;
};

}  // namespace platform
