#include "proto/platform/log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "proto/platform/log_line.hpp"

namespace plog = platform::log;
using plog::Level;
using plog::LineStyle;

namespace {

// What is written to stderr while it lives.
class CapturedStderr {
 public:
  CapturedStderr() : file_(std::tmpfile()), saved_(::dup(STDERR_FILENO)) {
    std::fflush(stderr);
    ::dup2(::fileno(file_), STDERR_FILENO);
  }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;
  ~CapturedStderr() {
    restore();
    std::fclose(file_);
  }

  std::string text() {
    restore();
    std::string all;
    REQUIRE(std::fseek(file_, 0, SEEK_SET) == 0);
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) all.push_back(static_cast<char>(c));
    return all;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    std::fflush(stderr);
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    saved_ = -1;
  }

  std::FILE* file_;
  int saved_;
};

// Every digit as a 9.
std::string shape(std::string text) {
  for (char& c : text) {
    if (c >= '0' && c <= '9') c = '9';
  }
  return text;
}

int count(std::string_view text, std::string_view part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

}  // namespace

TEST_CASE("log: a text line has UTC time, level and message") {
  CapturedStderr captured;
  plog::configure(Level::info, plog::Format::text);
  plog::info("listening on {}:{}", "127.0.0.1", 8801);
  plog::warn("slow");
  CHECK(shape(captured.text()) ==
        "9999-99-99T99:99:99.999Z info  listening on 999.9.9.9:9999\n"
        "9999-99-99T99:99:99.999Z warn  slow\n");
}

TEST_CASE("log: a JSON line is one object") {
  CapturedStderr captured;
  plog::configure(Level::info, plog::Format::json);
  plog::error("cannot open \"{}\"", "C:\\x");
  plog::configure(Level::info, plog::Format::text);
  CHECK(shape(captured.text()) ==
        R"({"time":"9999-99-99T99:99:99.999Z","level":"error","message":"cannot open \"C:\\x\""})"
        "\n");
}

TEST_CASE("log: levels above the configured one are not written") {
  CapturedStderr captured;
  plog::configure(Level::warn, plog::Format::text);
  plog::debug("hidden");
  plog::info("hidden");
  plog::write(Level::info, "hidden");
  plog::limited("hidden", Level::info, "hidden");
  plog::warn("shown");
  plog::error("shown");
  plog::configure(Level::info, plog::Format::text);
  const std::string text = captured.text();
  CHECK(text.find("hidden") == std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("log: a message that repeats leaves one line") {
  CapturedStderr captured;
  for (int i = 0; i < 1000; ++i) plog::limited("log_test.outage", Level::warn, "no connection, attempt {}", i);
  const std::string text = captured.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.find("attempt 0") != std::string::npos);
}

TEST_CASE("log: foreign text cannot forge a line") {
  CHECK(plog::to_line(LineStyle::text, Level::info, "a\nb\r\x1b[2J\x7f") == "info  a\\x0ab\\x0d\\x1b[2J\\x7f");
  CHECK(plog::to_line(LineStyle::journal, Level::warn, "a\n<0>b") == "<4>a\\x0a<0>b");
  CHECK(plog::to_line(LineStyle::json, Level::error, "a\n\"},{\"") == R"("level":"error","message":"a\u000a\"},{\"")");
}

TEST_CASE("log: JSON lines are always UTF-8") {
  const auto message = [](std::string_view raw) {
    const std::string line = plog::to_line(LineStyle::json, Level::info, raw);
    const std::string_view head = R"("level":"info","message":")";
    return line.substr(head.size(), line.size() - head.size() - 1);
  };
  CHECK(message("Café 💳 €") == "Café 💳 €");
  CHECK(message("\xFF") == "\uFFFD");
  CHECK(message("\xC3") == "\uFFFD");                                // cut off
  CHECK(message("\xC0\xAF") == "\uFFFD\uFFFD");                      // overlong
  CHECK(message("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");            // surrogate
  CHECK(message("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  CHECK(message("\xE2\x82\xAC!") == "€!");
}

TEST_CASE("log: lines of several threads stay whole, also while the format changes") {
  CapturedStderr captured;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) plog::info("line");
      });
    }
    for (int i = 0; i < 50; ++i) plog::configure(Level::info, i % 2 == 0 ? plog::Format::json : plog::Format::text);
  }
  const std::string text = shape(captured.text());
  const auto whole = count(text, "9999-99-99T99:99:99.999Z info  line\n") +
                     count(text, R"({"time":"9999-99-99T99:99:99.999Z","level":"info","message":"line"})"
                                 "\n");
  CHECK(whole == 300);
  CHECK(std::count(text.begin(), text.end(), '\n') == 300);
}
