#include "proto/platform/settings.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temp_folder.hpp"

using platform::Settings;
using platform::SettingsTable;
using std::chrono::hours;
using std::chrono::milliseconds;

namespace {

std::vector<std::string> texts(const Settings& settings) {
  std::vector<std::string> lines;
  for (const auto& error : settings.errors()) lines.push_back(error.text());
  return lines;
}

using Lines = std::vector<std::string>;

// The errors of one document after one getter.
Lines errors_of(const std::string& toml, const std::function<void(SettingsTable&)>& read) {
  Settings settings = Settings::parse(toml, "x.toml");
  SettingsTable root = settings.root();
  read(root);
  settings.finish();
  return texts(settings);
}

constexpr std::uint64_t kMiB = 1024 * 1024;

}  // namespace

TEST_CASE("settings: what is there is read, what is absent has its default") {
  Settings settings = Settings::parse(R"(
[journal]
quota = "512MiB"
retention = "35d"
[log]
level = "debug"
[uplink]
window = 7
tls = true
broker = "mqtt://127.0.0.1"
)",
                                      "gateway.toml");
  auto root = settings.root();
  auto journal = root.table("journal");
  CHECK(journal.bytes("quota", "1MiB", 1, 4096 * kMiB) == 512 * kMiB);
  CHECK(journal.bytes("reserve", "16MiB", 1, 4096 * kMiB) == 16 * kMiB);
  CHECK(journal.duration("retention", "1d", hours(1), hours(10'000)) == hours(35 * 24));
  CHECK(journal.duration("other", "1d", hours(1), hours(10'000)) == hours(24));
  CHECK(root.table("log").word("level", "info", {"error", "warn", "info", "debug"}) == "debug");
  CHECK(root.table("log").word("format", "text", {"text", "json"}) == "text");
  auto uplink = root.table("uplink");
  CHECK(uplink.integer("window", 1, {1, 10}) == 7);
  CHECK(uplink.integer("other", 3, {1, 10}) == 3);
  CHECK(uplink.boolean("tls", false));
  CHECK(uplink.boolean("other", true));
  CHECK(uplink.text("broker", "") == "mqtt://127.0.0.1");
  CHECK(uplink.required_text("broker") == "mqtt://127.0.0.1");
  CHECK(uplink.has("broker"));
  CHECK_FALSE(uplink.has("nothing"));
  CHECK(root.table("absent").table("deeper").text("key", "fallback") == "fallback");
  CHECK(root.tables("absent_too").empty());
  settings.finish();
  CHECK(texts(settings) == Lines{});
}

TEST_CASE("settings: integers at each edge of their range") {
  const auto read = [](const std::string& toml) {
    return errors_of(toml, [](auto& root) { CHECK(root.integer("n", 5, {1, 10}) >= 1); });
  };
  CHECK(read("n = 1") == Lines{});
  CHECK(read("n = 10") == Lines{});
  CHECK(read("n = 0") == Lines{"x.toml:1: n: is 0; allowed: 1 to 10"});
  CHECK(read("\n\nn = 11") == Lines{"x.toml:3: n: is 11; allowed: 1 to 10"});
  CHECK(read("n = -9223372036854775808") == Lines{"x.toml:1: n: is -9223372036854775808; allowed: 1 to 10"});
}

TEST_CASE("settings: a wrong type names both types") {
  const auto as_integer = [](auto& root) { CHECK(root.integer("v", 5, {1, 10}) == 5); };
  CHECK(errors_of("v = \"5\"", as_integer) == Lines{"x.toml:1: v: is a string; needed: an integer"});
  CHECK(errors_of("v = 5.0", as_integer) == Lines{"x.toml:1: v: is a floating-point number; needed: an integer"});
  CHECK(errors_of("v = true", as_integer) == Lines{"x.toml:1: v: is a boolean; needed: an integer"});
  CHECK(errors_of("v = [5]", as_integer) == Lines{"x.toml:1: v: is an array; needed: an integer"});
  CHECK(errors_of("v = 2026-11-24", as_integer) == Lines{"x.toml:1: v: is a date or time; needed: an integer"});
  CHECK(errors_of("[v]", as_integer) == Lines{"x.toml:1: v: is a table; needed: an integer"});
  CHECK(errors_of("v = 1", [](auto& root) { CHECK_FALSE(root.boolean("v", false)); }) ==
        Lines{"x.toml:1: v: is an integer; needed: true or false"});
  CHECK(errors_of("v = 1", [](auto& root) { CHECK(root.text("v", "d") == "d"); }) ==
        Lines{"x.toml:1: v: is an integer; needed: a string"});
  CHECK(errors_of("v = 1", [](auto& root) { CHECK(root.bytes("v", "1MiB", 1, kMiB) == kMiB); }) ==
        Lines{"x.toml:1: v: is an integer; needed: a string with a size, such as \"512MiB\""});
  CHECK(errors_of("v = 1", [](auto& root) { CHECK(root.duration("v", "1s", {}, hours(1)) == milliseconds(1000)); }) ==
        Lines{"x.toml:1: v: is an integer; needed: a string with a duration, such as \"30s\""});
  CHECK(errors_of("v = 1", [](auto& root) { static_cast<void>(root.table("v")); }) ==
        Lines{"x.toml:1: v: is an integer; needed: a table"});
  CHECK(errors_of("[a.v]", [](auto& root) { CHECK(root.table("a").tables("v").empty()); }) ==
        Lines{"x.toml:1: a.v: is a table; needed: an array of tables, each beginning with [[a.v]]"});
  CHECK(errors_of("v = [1]", [](auto& root) { CHECK(root.tables("v").empty()); }) ==
        Lines{"x.toml:1: v[0]: is an integer; needed: a table"});
}

TEST_CASE("settings: a size or duration that is wrong says what is allowed") {
  const auto size = [](const std::string& toml) {
    return errors_of(toml, [](auto& root) { CHECK(root.bytes("s", "2MiB", kMiB, 1024 * kMiB) >= kMiB); });
  };
  CHECK(size("s = \"1MiB\"") == Lines{});
  CHECK(size("s = \"1GiB\"") == Lines{});
  CHECK(size("s = \"1023KiB\"") == Lines{"x.toml:1: s: is \"1023KiB\"; allowed: 1MiB to 1GiB"});
  CHECK(size("s = \"2GiB\"") == Lines{"x.toml:1: s: is \"2GiB\"; allowed: 1MiB to 1GiB"});
  CHECK(size("s = \"512MB\"") ==
        Lines{"x.toml:1: s: is \"512MB\"; allowed: 1MiB to 1GiB, a whole number and one of the units KiB, MiB, GiB"});
  const auto time = [](const std::string& toml) {
    return errors_of(
        toml, [](auto& root) { CHECK(root.duration("t", "2s", milliseconds(10), hours(1)) >= milliseconds(10)); });
  };
  CHECK(time("t = \"10ms\"") == Lines{});
  CHECK(time("t = \"60min\"") == Lines{});
  CHECK(time("t = \"9ms\"") == Lines{"x.toml:1: t: is \"9ms\"; allowed: 10ms to 1h"});
  CHECK(time("t = \"61min\"") == Lines{"x.toml:1: t: is \"61min\"; allowed: 10ms to 1h"});
  CHECK(time("t = \"5\"") ==
        Lines{"x.toml:1: t: is \"5\"; allowed: 10ms to 1h, a whole number and one of the units ms, s, min, h, d"});
}

TEST_CASE("settings: an unknown key names the nearest known one, else all known ones") {
  const auto read = [](auto& root) {
    auto uplink = root.table("uplink");
    static_cast<void>(uplink.integer("window_events", 1, {1, 10}));
    static_cast<void>(uplink.text("broker", ""));
  };
  CHECK(errors_of("[uplink]\nbroker = \"\"\nwindw_events = 4", read) ==
        Lines{"x.toml:3: uplink.windw_events: unknown key; did you mean \"window_events\"?"});
  CHECK(errors_of("[uplink]\ncolour = 4", read) ==
        Lines{"x.toml:2: uplink.colour: unknown key; known here: window_events, broker"});
  CHECK(errors_of("[uplnk]\nbroker = \"\"", read) == Lines{"x.toml:1: uplnk: unknown key; did you mean \"uplink\"?"});
  CHECK(errors_of("uplink.brokr = \"\"", read) ==
        Lines{"x.toml:1: uplink.brokr: unknown key; did you mean \"broker\"?"});
}

TEST_CASE("settings: tables of [[…]] are checked one by one") {
  const auto read = [](auto& root) {
    for (auto& terminal : root.tables("terminal")) {
      static_cast<void>(terminal.required_text("id"));
      static_cast<void>(terminal.text("currency", ""));
    }
  };
  CHECK(errors_of("[[terminal]]\nid = \"a\"\n[[terminal]]\ncurency = \"EUR\"\n", read) ==
        Lines{"x.toml:3: terminal[1].id: is missing; it has no default",
              "x.toml:4: terminal[1].curency: unknown key; did you mean \"currency\"?"});
  CHECK(errors_of("terminal = []", read) == Lines{});
}

TEST_CASE("settings: required text must be there and not empty") {
  const auto read = [](auto& root) { CHECK(root.table("gateway").required_text("id").empty()); };
  CHECK(errors_of("", read) == Lines{"x.toml: gateway.id: is missing; it has no default"});
  CHECK(errors_of("\n[gateway]", read) == Lines{"x.toml:2: gateway.id: is missing; it has no default"});
  CHECK(errors_of("[gateway]\nid = \"\"", read) == Lines{"x.toml:2: gateway.id: is empty"});
}

TEST_CASE("settings: a word outside its list names the list") {
  const auto read = [](auto& root) { CHECK(root.word("level", "info", {"error", "warn", "info"}) == "info"); };
  CHECK(errors_of("level = \"wran\"", read) ==
        Lines{"x.toml:1: level: is \"wran\"; allowed: error, warn, info; did you mean \"warn\"?"});
  CHECK(errors_of("level = \"loudly\"", read) == Lines{"x.toml:1: level: is \"loudly\"; allowed: error, warn, info"});
  CHECK(errors_of("level = \"\"", read) == Lines{"x.toml:1: level: is \"\"; allowed: error, warn, info"});
}

TEST_CASE("settings: a caller's check decides about values, not about defaults") {
  const SettingsTable::Check never = [](std::string_view) { return std::optional<std::string>("is not to my taste"); };
  CHECK(errors_of("", [&](auto& root) { CHECK(root.text("a", "d", never) == "d"); }) == Lines{});
  CHECK(errors_of("a = \"v\"", [&](auto& root) { CHECK(root.text("a", "d", never) == "d"); }) ==
        Lines{"x.toml:1: a: is not to my taste"});
  CHECK(errors_of("a = \"v\"", [&](auto& root) { CHECK(root.required_text("a", never).empty()); }) ==
        Lines{"x.toml:1: a: is not to my taste"});
}

TEST_CASE("settings: control characters in a text are refused") {
  CHECK(errors_of("a = \"x\\u0000y\"", [](auto& root) { CHECK(root.text("a", "d") == "d"); }) ==
        Lines{"x.toml:1: a: holds a control character; allowed: printable text"});
}

TEST_CASE("settings: all errors are reported at once, in the order of their lines") {
  const Lines lines = errors_of("b = 1\na = 0\ncolour = 3\n[t]\nx = \"y\"\n", [](auto& root) {
    static_cast<void>(root.integer("a", 1, {1, 2}));
    static_cast<void>(root.boolean("b", false));
    static_cast<void>(root.table("t").integer("x", 1, {1, 2}));
    root.table("t").error("", "as a whole is wrong");
  });
  CHECK(lines == Lines{"x.toml:1: b: is an integer; needed: true or false", "x.toml:2: a: is 0; allowed: 1 to 2",
                       "x.toml:3: colour: unknown key; known here: a, b, t", "x.toml:4: t: as a whole is wrong",
                       "x.toml:5: t.x: is a string; needed: an integer"});
}

TEST_CASE("settings: syntax errors and duplicate keys name the line, and nothing else is reported") {
  const auto read = [](auto& root) { static_cast<void>(root.required_text("id")); };
  for (const char* toml : {"id = \"a\"\nid = \"b\"", "id = \"a\"\n[id]", "id = \"a\"\n= 3", "id = \"a\"\nx = \"open",
                           "id = \"a\"\n\xFF", "id = \"a\"\nx = 99999999999999999999"}) {
    CAPTURE(std::string(toml));
    const Lines lines = errors_of(toml, read);
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(lines[0].starts_with("x.toml:2: is not valid TOML: "));
  }
}

TEST_CASE("settings: no message repeats a secret") {
  const auto read = [](auto& root) {
    auto broker = root.table("broker");
    static_cast<void>(broker.integer("password", 1, {1, 2}));
    static_cast<void>(broker.word("sasl_secret", "a", {"a", "b"}));
    static_cast<void>(broker.bytes("api_token", "1KiB", 1024, 2048));
    static_cast<void>(root.free_texts("properties"));
  };
  for (const char* toml :
       {"[broker]\npassword = \"hunter2\"", "[broker]\nsasl_secret = \"hunter2\"", "[broker]\napi_token = \"hunter2\"",
        "[broker]\nPassword = hunter2", "[broker]\npassword = \"hunter2", "[broker]\npasswort = \"hunter2\"",
        "[properties]\n\"sasl.password\" = [\"hunter2\"]", "password = \"hunter2\""}) {
    CAPTURE(std::string(toml));
    const Lines lines = errors_of(toml, read);
    REQUIRE_FALSE(lines.empty());
    for (const std::string& line : lines) CHECK(line.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("settings: free tables are taken as they are, dotted keys too") {
  std::vector<std::pair<std::string, std::string>> read;
  const Lines lines =
      errors_of("[kafka.properties]\n\"a.b\" = \"x\"\nsasl.username = \"u\"\nn = 5\nyes = true\nbad = 1.5\n",
                [&](auto& root) { read = root.table("kafka").free_texts("properties"); });
  CHECK(read == std::vector<std::pair<std::string, std::string>>{
                    {"a.b", "x"}, {"n", "5"}, {"sasl.username", "u"}, {"yes", "true"}});
  CHECK(lines ==
        Lines{"x.toml:6: kafka.properties.bad: is a floating-point number; needed: a string, an integer or a boolean"});
}

TEST_CASE("settings: long and foreign values are shown cut and without control characters") {
  const std::string toml = "level = \"" + std::string(59, 'x') + "€€€\\u001b[2J\"\n";
  const Lines lines = errors_of(toml, [](auto& root) { static_cast<void>(root.word("level", "a", {"a"})); });
  CHECK(lines == Lines{"x.toml:1: level: holds a control character; allowed: printable text"});
  const Lines cut = errors_of("level = \"" + std::string(59, 'x') + "€€€\"\n",
                              [](auto& root) { static_cast<void>(root.word("level", "a", {"a"})); });
  CHECK(cut == Lines{"x.toml:1: level: is \"" + std::string(59, 'x') + "…\"; allowed: a"});
}

TEST_CASE("settings: deep and huge documents are refused, not crashed over") {
  const auto read = [](auto& root) { static_cast<void>(root.text("a", "")); };
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  CHECK(errors_of(dotted + " = 1", read) == Lines{"x.toml:1: has a key of more than 64 parts"});
  CHECK(errors_of("\n[" + dotted + "]", read) == Lines{"x.toml:2: has a key of more than 64 parts"});
  CHECK(errors_of("a = " + std::string(100'000, '['), read).size() == 1);
  CHECK(errors_of(std::string(platform::settings_file_bytes_max + 1, '\n'), read) ==
        Lines{"x.toml: is larger than 1MiB"});
  CHECK(errors_of(std::string(platform::settings_file_bytes_max, '\n'), read) == Lines{});
}

TEST_CASE("settings: a document full of errors reports the first 200 and how many more there are") {
  std::string toml;
  for (int i = 0; i < 1000; ++i) toml += "key_" + std::to_string(i) + " = 1\n";
  const Lines lines = errors_of(toml, [](auto& root) { static_cast<void>(root.text("a", "")); });
  REQUIRE(lines.size() == platform::settings_errors_max + 1);
  CHECK(lines.back() == "x.toml: has 800 more errors");
}

TEST_CASE("settings: a file is read; one that cannot be read says why") {
  const support::TempFolder place;
  const std::string folder = place.path().string();
  const std::string path = place.file("a.toml");
  std::ofstream(path) << "n = 3\n";
  Settings settings = Settings::load(path);
  CHECK(settings.root().integer("n", 1, {1, 5}) == 3);
  settings.finish();
  CHECK(texts(settings) == Lines{});
  CHECK(texts(Settings::load(folder + "/absent.toml")) ==
        Lines{folder + "/absent.toml: cannot be opened: No such file or directory"});
  CHECK(texts(Settings::load(folder)) == Lines{folder + ": cannot be read: Is a directory"});
}

TEST_CASE("settings: a table may outlive its settings") {
  std::optional<SettingsTable> table;
  {
    Settings settings = Settings::parse("[a]\nb = 1", "x.toml");
    table = settings.root().table("a");
  }
  CHECK(table->integer("b", 2, {1, 5}) == 1);
}
