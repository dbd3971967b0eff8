// Real processes that are killed while they append.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "tests/contract/journal/fixtures.hpp"

using namespace support;
using journal::Row;

namespace {

// A crash_child, and what it says.
class Child {
 public:
  Child(const std::filesystem::path& state_dir, const std::string& stop_at) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execl(CRASH_CHILD, CRASH_CHILD, state_dir.c_str(), stop_at.empty() ? nullptr : stop_at.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Child() {
    kill();
    std::fclose(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next line; "" at its end.
  std::string line() {
    std::array<char, 128> text{};
    if (std::feof(out_) != 0 || std::ferror(out_) != 0) return "";
    return std::fgets(text.data(), static_cast<int>(text.size()), out_) == nullptr ? "" : text.data();
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  std::FILE* out_ = nullptr;
};

std::uint64_t number_in(const std::string& line, const std::string& word) {
  return line.starts_with(word) ? std::stoull(line.substr(word.size())) : 0;
}

// Rows that the sum of the child's rows counts.
std::int64_t tallied(SqliteFixture& fixture) {
  const auto sum = fixture.journal().opened_tallies().find("T1");
  REQUIRE(sum.has_value());
  CHECK(sum->numbers->at(1) == 10 * sum->numbers->at(0));
  return sum->numbers->at(0);
}

}  // namespace

TEST_CASE("journal: killed between INSERT and COMMIT it has none of the group, and all that was told before") {
  SqliteFixture fixture;
  fixture.close();
  std::uint64_t stored = 0;
  {
    Child child(fixture.state_dir(), "302");
    std::string line;
    while (!(line = child.line()).starts_with("inserted")) {
      REQUIRE(!line.empty());
      stored = number_in(line, "stored ");
    }
    CHECK(stored == 300);
  }
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(fixture.journal().opened().next == Row(301));
  CHECK(read_all(fixture.journal()).size() == 300);
  CHECK(tallied(fixture) == 300);
  append_rows(fixture.journal(), 301, 303);
}

TEST_CASE("journal: killed at any moment, ten times, it has everything that was told, in order") {
  SqliteFixture fixture;
  fixture.close();
  SeededRandom random(42);
  for (int round = 0; round < 10; ++round) {
    std::uint64_t stored = 0;
    {
      Child child(fixture.state_dir(), "");
      for (std::uint64_t lines = 1 + random.below(400); lines > 0; --lines) {
        stored = number_in(child.line(), "stored ");
        REQUIRE(stored > 0);
      }
      child.kill();
      // What it had said before it died counts, too.
      for (std::string line = child.line(); line.ends_with('\n'); line = child.line())
        stored = number_in(line, "stored ");
    }
    fixture.reopen();
    CHECK(!fixture.journal().salvaged());
    const auto rows = read_all(fixture.journal());
    REQUIRE(rows.size() >= stored);
    CHECK(rows.size() <= stored + 3);
    CHECK(rows.size() % 3 == 0);
    CHECK(tallied(fixture) == static_cast<std::int64_t>(rows.size()));
    for (std::uint64_t n = 1; n <= rows.size(); ++n) REQUIRE(rows[n - 1].record == record_of(n));
    fixture.close();
  }
}

TEST_CASE("journal: a second gateway on the same state folder is refused at once, and the first does not notice") {
  SqliteFixture fixture;
  fixture.close();
  Child child(fixture.state_dir(), "");
  REQUIRE(number_in(child.line(), "stored ") > 0);
  const auto error = fixture.try_open();
  REQUIRE(error.has_value());
  CHECK(error->fault == sqlite::OpenFault::in_use);
  CHECK(number_in(child.line(), "stored ") > 0);
}
