#include "proto/platform/system.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "proto/platform/private_file.hpp"
#include "tests/support/temp_folder.hpp"

using base::from_hex;
using base::to_hex;

TEST_CASE("hasher: SHA-256 gives the values of FIPS 180-4") {
  const auto& hasher = platform::hasher();
  CHECK(to_hex(hasher.sha256({}).view()) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(hasher.sha256({"abc"}).view()) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(hasher.sha256({"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"}).view()) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(to_hex(hasher.sha256({std::string(1'000'000, 'a')}).view()) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("hasher: parts are hashed as if they were one text") {
  const auto& hasher = platform::hasher();
  CHECK(hasher.sha256({"a", "", "bc"}) == hasher.sha256({"abc"}));
  CHECK(hasher.sha256({"ab", "c"}) != hasher.sha256({"ab", "d"}));
}

TEST_CASE("hasher: HMAC-SHA-256 gives the values of RFC 4231") {
  const auto hmac = [](std::string_view key_hex, std::string_view message_hex) {
    return to_hex(platform::hasher().hmac_sha256(*from_hex(key_hex), *from_hex(message_hex)).view());
  };
  CHECK(hmac("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hmac("4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const std::string long_key(262, 'a');  // 131 bytes of 0xaa: longer than a block, so it is hashed first
  CHECK(hmac(long_key, to_hex("Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("hasher: an empty key is an empty key, not the one before") {
  const auto& hasher = platform::hasher();
  const std::string expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  CHECK(to_hex(hasher.hmac_sha256("", "").view()) == expected);
  static_cast<void>(hasher.hmac_sha256("another key", "text"));
  CHECK(to_hex(hasher.hmac_sha256({}, {}).view()) == expected);
}

TEST_CASE("hasher: threads do not disturb each other") {
  const base::Digest expected = platform::hasher().sha256({"abc"});
  const base::Digest expected_mac = platform::hasher().hmac_sha256("k", "abc");
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (int& count : wrong) {
      threads.emplace_back([&count, &expected, &expected_mac] {
        for (int i = 0; i < 500; ++i) {
          if (platform::hasher().sha256({"a", "bc"}) != expected) ++count;
          if (platform::hasher().hmac_sha256("k", "abc") != expected_mac) ++count;
        }
      });
    }
  }
  CHECK(wrong == std::vector<int>(4));
}

TEST_CASE("random: numbers do not repeat, not even across refills and generators") {
  std::set<std::uint64_t> seen;
  const auto first = platform::make_random();
  const auto second = platform::make_random();
  for (int i = 0; i < 1000; ++i) {
    seen.insert(first->next());
    seen.insert(second->next());
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("now: monotonic time does not go back, and the wall clock is in this century") {
  const base::Now before = platform::now();
  const base::Now after = platform::now();
  CHECK(after.instant >= before.instant);
  CHECK(before.utc > base::UtcTime(std::chrono::sys_days(std::chrono::year(2000) / 1 / 1)));
}

TEST_CASE("notify_supervisor: systemd's socket gets the state; without one nothing happens") {
  const support::TempFolder place;
  const std::string path = place.file("socket");
  const int listener = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);

  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  platform::notify_supervisor("READY=1");
  char text[64] = {};
  CHECK(::recv(listener, text, sizeof text - 1, MSG_DONTWAIT) == 7);
  CHECK(std::string(text) == "READY=1");

  ::unsetenv("NOTIFY_SOCKET");
  platform::notify_supervisor("READY=1");
  CHECK(::recv(listener, text, sizeof text, MSG_DONTWAIT) == -1);
  ::close(listener);
}

TEST_CASE("harden_process: leaves no core dump") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool done = platform::harden_process().empty();
    rlimit limit{};
    const bool no_core = ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
#if defined(__SANITIZE_ADDRESS__)
    const bool hidden = true;
#else
    const bool hidden = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
    ::_exit(done && no_core && hidden ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("private files: open to group or others is refused, whatever they may do, with the mode and the remedy") {
  const std::string path =
      fmt::format("{}/tillstream-private-{}", std::filesystem::temp_directory_path().string(), ::getpid());
  std::ofstream(path) << "secret";
  for (const ::mode_t mode : {0600, 0400, 0700}) {
    ::chmod(path.c_str(), mode);
    CHECK_FALSE(platform::private_file_problem(path));
  }
  for (const ::mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644}) {
    ::chmod(path.c_str(), mode);
    const auto problem = platform::private_file_problem(path);
    REQUIRE(problem);
    CHECK(problem->find(fmt::format("mode {:04o}", mode)) != std::string::npos);
    CHECK(problem->find("chmod 0600 " + path) != std::string::npos);
  }
  std::filesystem::remove(path);
  CHECK(platform::private_file_problem(path));
  CHECK(platform::private_file_problem("/tmp"));
}

TEST_CASE("private file: a secret is its first line, whoever wrote the line's end") {
  const support::TempFolder folder;
  const std::string path = folder.file("secret");
  const auto holding = [&path](std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
    return platform::read_secret(path);
  };
  for (const std::string_view text : {"s e\tcret", "s e\tcret\n", "s e\tcret\r\n", "s e\tcret\nsecond line\n"}) {
    CHECK(holding(text) == "s e\tcret");
  }
  CHECK(holding("\n") == "");
  CHECK_FALSE(holding("").has_value());
  CHECK_FALSE(platform::read_secret("/nonexistent/secret").has_value());
}
