#include "proto/platform/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <map>
#include <system_error>

#include "proto/base/assert.hpp"
#include "proto/base/text.hpp"
#include "proto/base/utf8.hpp"
#include "proto/platform/quantity.hpp"

namespace platform {

struct Settings::Document {
  std::string file;
  toml::table root;
  std::vector<SettingsError> errors;
  std::size_t unreported = 0;
  bool parsed = true;
  // What was asked for, by table. Tables that nobody asked for are not in it.
  std::map<const toml::table*, std::vector<std::string>> known;

  void note(unsigned line, std::string key, std::string message) {
    if (!parsed) return;  // after a syntax error everything would seem to be missing
    if (errors.size() == settings_errors_max) {
      ++unreported;
    } else {
      errors.push_back({file, line, std::move(key), std::move(message)});
    }
  }
};

struct SettingsTable::Node {
  std::shared_ptr<Settings::Document> document;
  const toml::table* table;  // null: absent
  std::string path;          // "uplink", "terminal[2]"; empty for the root
  unsigned line;             // its own, or that of the table that it is missing in

  [[nodiscard]] std::string path_of(std::string_view key) const {
    if (path.empty() || key.empty()) return path + std::string(key);
    return fmt::format("{}.{}", path, key);
  }
  // The value of a key, which is known from now on.
  [[nodiscard]] const toml::node* take(std::string_view key) const {
    if (table == nullptr) return nullptr;
    auto& known = document->known[table];
    if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
    return table->get(key);
  }
  [[nodiscard]] unsigned line_of(const toml::node* value) const {
    return value == nullptr || value->source().begin.line == 0 ? line : value->source().begin.line;
  }
  void note(std::string_view key, const toml::node* value, std::string message) const {
    document->note(line_of(value), path_of(key), std::move(message));
  }
};

namespace {

constexpr std::size_t kShownBytesMax = 60;

bool may_hold_secret(std::string_view key) {
  static constexpr std::array<std::string_view, 7> kWords = {"password", "passwd", "passphrase", "secret",
                                                             "token",    "jaas",   "credential"};
  std::string lower(key);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::any_of(kWords.begin(), kWords.end(), [&](auto word) { return lower.find(word) != std::string::npos; });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// A foreign text for a message: quoted, without control characters, at most 60 bytes, cut between characters.
std::string quoted(std::string_view text) {
  std::size_t length = std::min(text.size(), kShownBytesMax);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
  std::string shown(text.substr(0, length));
  for (char& c : shown) {
    if (has_control({&c, 1})) c = '?';
  }
  return fmt::format("\"{}{}\"", shown, length < text.size() ? "…" : "");
}

std::string shown(std::string_view key, std::string_view text) {
  return may_hold_secret(key) ? "a value that is not shown" : quoted(text);
}

std::string_view type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

std::string wrong_type(const toml::node& value, std::string_view needed) {
  return fmt::format("is {}; needed: {}", type_name(value.type()), needed);
}

// The value of a key as a T, or nothing when it is absent or of another type, which is noted.
template <class T>
std::optional<T> read(const SettingsTable::Node& node, std::string_view key, std::string_view needed) {
  const toml::node* const value = node.take(key);
  if (value == nullptr) return std::nullopt;
  if (auto exact = value->value_exact<T>()) return exact;
  node.note(key, value, wrong_type(*value, needed));
  return std::nullopt;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view near = base::nearest(word, known);
  return near.empty() ? std::string() : fmt::format("did you mean \"{}\"?", near);
}

// A quantity (size, duration): parsed, and within [min, max].
template <class T, class Parse>
T quantity(const SettingsTable::Node& node, std::string_view key, std::string_view fallback, T min, T max, Parse parse,
           std::string_view needed, std::string_view units) {
  const std::optional<T> usual = parse(fallback);
  ASSERT(usual && *usual >= min && *usual <= max);
  const auto text = read<std::string>(node, key, needed);
  if (!text) return *usual;
  const std::optional<T> given = parse(*text);
  if (given && *given >= min && *given <= max) return *given;
  node.note(key, node.table->get(key),
            fmt::format("is {}; allowed: {} to {}{}", shown(key, *text), to_text(min), to_text(max),
                        given ? std::string() : fmt::format(", a whole number and one of the units {}", units)));
  return *usual;
}

void append_free(const SettingsTable::Node& node, const toml::table& table, const std::string& prefix,
                 std::string_view key, std::vector<std::pair<std::string, std::string>>& texts) {
  for (const auto& [name, value] : table) {
    const std::string dotted = prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name.str());
    if (const auto* const inner = value.as_table()) {
      append_free(node, *inner, dotted, key, texts);
    } else if (const auto* const text = value.as_string()) {
      texts.emplace_back(dotted, text->get());
    } else if (const auto* const integer = value.as_integer()) {
      texts.emplace_back(dotted, fmt::format("{}", integer->get()));
    } else if (const auto* const boolean = value.as_boolean()) {
      texts.emplace_back(dotted, boolean->get() ? "true" : "false");
    } else {
      node.note(fmt::format("{}.{}", key, dotted), &value, wrong_type(value, "a string, an integer or a boolean"));
    }
  }
}

// The value that append_free() gives this name; null: there is none.
const toml::node* find_free(const toml::table& table, std::string_view dotted) {
  for (const auto& [name, value] : table) {
    const std::string_view own = name.str();
    const auto* const inner = value.as_table();
    if (inner == nullptr && own == dotted) return &value;
    if (inner == nullptr || !dotted.starts_with(own) || !dotted.substr(own.size()).starts_with('.')) continue;
    if (const auto* const found = find_free(*inner, dotted.substr(own.size() + 1))) return found;
  }
  return nullptr;
}

// The first line with a key of too many parts, or 0. toml++ builds and destroys such tables recursively, without a
// limit.
unsigned line_with_overlong_key(std::string_view text) {
  unsigned line = 1;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '.') {
      if (++dots >= settings_key_parts_max) return line;
    } else if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '#') {
      dots = 0;
    }
  }
  return 0;
}

std::string_view line_at(std::string_view text, unsigned line) {
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// toml++ quotes what it stumbles over; that may be a secret without its quotes.
std::string syntax_message(std::string_view text, const toml::parse_error& error) {
  if (may_hold_secret(line_at(text, error.source().begin.line))) {
    return "is not valid TOML (the line may hold a secret, so it is not shown)";
  }
  std::string message(error.description());
  for (char& c : message) {
    if (has_control({&c, 1})) c = '?';
  }
  return fmt::format("is not valid TOML: {}", message);
}

struct FileClosed {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// The file's text; or why it cannot be read.
struct FileText {
  std::string text;
  std::string error;
};

FileText read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, FileClosed> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return {{}, fmt::format("cannot be opened: {}", std::generic_category().message(errno))};
  std::string text(settings_file_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return {{}, fmt::format("cannot be read: {}", std::generic_category().message(errno))};
  }
  return {std::move(text), {}};
}

void note_unknown_keys(Settings::Document& document, const toml::table& table, const std::string& path);

// Goes down into the tables that somebody asked for; those in free_texts() are nobody's and stay unseen.
void note_unknown_below(Settings::Document& document, const toml::node& value, const std::string& path) {
  if (const auto* const table = value.as_table()) {
    if (document.known.contains(table)) note_unknown_keys(document, *table, path);
  } else if (const auto* const array = value.as_array()) {
    std::size_t index = 0;
    for (const toml::node& element : *array)
      note_unknown_below(document, element, fmt::format("{}[{}]", path, index++));
  }
}

void note_unknown_keys(Settings::Document& document, const toml::table& table, const std::string& path) {
  const auto& names = document.known[&table];
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const auto& [key, value] : table) {
    std::string full = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key.str());
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) {
      note_unknown_below(document, value, full);
      continue;
    }
    std::string hint = suggestion(key.str(), known);
    if (hint.empty()) hint = fmt::format("known here: {}", fmt::join(known, ", "));
    if (full.size() > 2 * kShownBytesMax) full = quoted(full);
    document.note(key.source().begin.line, std::move(full), fmt::format("unknown key; {}", hint));
  }
}

}  // namespace

std::string SettingsError::text() const {
  std::string text = file;
  if (line != 0) text += fmt::format(":{}", line);
  if (!key.empty()) text += fmt::format(": {}", key);
  return fmt::format("{}: {}", text, message);
}

bool SettingsTable::has(std::string_view key) const { return node_->table != nullptr && node_->table->contains(key); }

std::string SettingsTable::text(std::string_view key, std::string_view fallback, const Check& check) {
  auto given = read<std::string>(*node_, key, "a string");
  if (!given) return std::string(fallback);
  std::optional<std::string> wrong;
  if (has_control(*given)) {
    wrong = "holds a control character; allowed: printable text";
  } else if (check) {
    wrong = check(*given);
  }
  if (!wrong) return *std::move(given);
  error(key, *std::move(wrong));
  return std::string(fallback);
}

std::string SettingsTable::required_text(std::string_view key, const Check& check) {
  if (!has(key)) {
    static_cast<void>(node_->take(key));
    error(key, "is missing; it has no default");
    return {};
  }
  return text(key, "", [&](std::string_view value) -> std::optional<std::string> {
    if (value.empty()) return "is empty";
    return check ? check(value) : std::nullopt;
  });
}

std::string SettingsTable::word(std::string_view key, std::string_view fallback,
                                const std::vector<std::string_view>& allowed) {
  return text(key, fallback, [&](std::string_view value) -> std::optional<std::string> {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return std::nullopt;
    const std::string hint = suggestion(value, allowed);
    return fmt::format("is {}; allowed: {}{}{}", shown(key, value), fmt::join(allowed, ", "), hint.empty() ? "" : "; ",
                       hint);
  });
}

std::int64_t SettingsTable::integer(std::string_view key, std::int64_t fallback, IntegerRange range) {
  ASSERT(range.min <= fallback && fallback <= range.max);
  const auto given = read<std::int64_t>(*node_, key, "an integer");
  if (!given) return fallback;
  if (range.min <= *given && *given <= range.max) return *given;
  error(key, fmt::format("is {}; allowed: {} to {}", *given, range.min, range.max));
  return fallback;
}

bool SettingsTable::boolean(std::string_view key, bool fallback) {
  return read<bool>(*node_, key, "true or false").value_or(fallback);
}

std::uint64_t SettingsTable::bytes(std::string_view key, std::string_view fallback, std::uint64_t min,
                                   std::uint64_t max) {
  return quantity<std::uint64_t>(*node_, key, fallback, min, max, parse_bytes,
                                 "a string with a size, such as \"512MiB\"", "KiB, MiB, GiB");
}

std::chrono::milliseconds SettingsTable::duration(std::string_view key, std::string_view fallback,
                                                  std::chrono::milliseconds min, std::chrono::milliseconds max) {
  return quantity<std::chrono::milliseconds>(*node_, key, fallback, min, max, parse_duration,
                                             "a string with a duration, such as \"30s\"", "ms, s, min, h, d");
}

SettingsTable SettingsTable::table(std::string_view key) {
  const toml::node* const value = node_->take(key);
  const toml::table* const table = value == nullptr ? nullptr : value->as_table();
  if (value != nullptr && table == nullptr) node_->note(key, value, wrong_type(*value, "a table"));
  if (table != nullptr) static_cast<void>(node_->document->known[table]);
  return SettingsTable(std::make_shared<const Node>(
      Node{.document = node_->document, .table = table, .path = node_->path_of(key), .line = node_->line_of(value)}));
}

std::vector<SettingsTable> SettingsTable::tables(std::string_view key) {
  const toml::node* const value = node_->take(key);
  if (value == nullptr) return {};
  const toml::array* const array = value->as_array();
  if (array == nullptr) {
    node_->note(key, value,
                wrong_type(*value, fmt::format("an array of tables, each beginning with [[{}]]", node_->path_of(key))));
    return {};
  }
  std::vector<SettingsTable> tables;
  for (const toml::node& element : *array) {
    std::string path = fmt::format("{}[{}]", key, tables.size());
    const toml::table* const table = element.as_table();
    if (table == nullptr) {
      node_->note(path, &element, wrong_type(element, "a table"));
      return tables;
    }
    static_cast<void>(node_->document->known[table]);
    tables.emplace_back(std::make_shared<const Node>(Node{
        .document = node_->document, .table = table, .path = node_->path_of(path), .line = node_->line_of(&element)}));
  }
  return tables;
}

std::vector<std::pair<std::string, std::string>> SettingsTable::free_texts(std::string_view key) {
  const toml::node* const value = node_->take(key);
  if (value == nullptr) return {};
  std::vector<std::pair<std::string, std::string>> texts;
  if (const toml::table* const table = value->as_table()) {
    append_free(*node_, *table, {}, key, texts);
  } else {
    node_->note(key, value, wrong_type(*value, "a table"));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

void SettingsTable::error(std::string_view key, std::string message) {
  const toml::node* const value = node_->table == nullptr || key.empty() ? nullptr : node_->table->get(key);
  node_->note(key, value, std::move(message));
}

void SettingsTable::error_in_free_texts(std::string_view key, std::string_view dotted, std::string message) {
  const toml::node* const value = node_->table == nullptr ? nullptr : node_->table->get(key);
  const toml::table* const table = value == nullptr ? nullptr : value->as_table();
  const toml::node* const found = table == nullptr ? nullptr : find_free(*table, dotted);
  node_->note(fmt::format("{}.{}", key, dotted), found == nullptr ? value : found, std::move(message));
}

Settings Settings::parse(std::string_view text, std::string file) {
  auto document = std::make_shared<Document>();
  document->file = std::move(file);
  const auto refuse = [&](unsigned line, std::string message) {
    document->note(line, {}, std::move(message));
    document->parsed = false;
    return Settings(document);
  };
  if (text.size() > settings_file_bytes_max) {
    return refuse(0, fmt::format("is larger than {}", to_text(std::uint64_t{settings_file_bytes_max})));
  }
  if (const unsigned line = line_with_overlong_key(text); line != 0) {
    return refuse(line, fmt::format("has a key of more than {} parts", settings_key_parts_max));
  }
  // toml++ would refuse it, too, but name another line.
  if (const std::size_t valid = base::utf8_prefix(text); valid != text.size()) {
    const auto lines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(valid), '\n');
    return refuse(static_cast<unsigned>(lines + 1), "is not valid TOML: holds bytes that are not UTF-8");
  }
  try {
    document->root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return refuse(error.source().begin.line, syntax_message(text, error));
  }
  return Settings(document);
}

Settings Settings::load(const std::string& path) {
  FileText file = read_file(path);
  if (file.error.empty()) return parse(file.text, path);
  auto document = std::make_shared<Document>();
  document->file = path;
  document->note(0, {}, std::move(file.error));
  document->parsed = false;
  return Settings(document);
}

SettingsTable Settings::root() {
  static_cast<void>(document_->known[&document_->root]);
  return SettingsTable(std::make_shared<const SettingsTable::Node>(
      SettingsTable::Node{.document = document_, .table = &document_->root, .path = {}, .line = 0}));
}

void Settings::finish() {
  note_unknown_keys(*document_, document_->root, {});
  auto& errors = document_->errors;
  // By insertion: the errors are few, and those of one line keep their order.
  for (auto next = errors.begin(); next != errors.end(); ++next) {
    const auto place = std::upper_bound(errors.begin(), next, next->line,
                                        [](unsigned line, const SettingsError& error) { return line < error.line; });
    std::rotate(place, next, next + 1);
  }
  if (document_->unreported > 0) {
    errors.push_back({document_->file, 0, {}, fmt::format("has {} more errors", document_->unreported)});
  }
}

const std::vector<SettingsError>& Settings::errors() const { return document_->errors; }

}  // namespace platform
