#include "proto/platform/tls_settings.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "proto/platform/certificates.hpp"
#include "tests/integration/gateway/certificates.hpp"
#include "tests/integration/gateway/place.hpp"
#include "tests/support/temp_folder.hpp"

using namespace std::chrono_literals;

namespace {

bool says(const std::optional<std::string>& problem, std::string_view part) {
  return problem && problem->find(part) != std::string::npos;
}

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct Scene {
  support::TempFolder folder;
  testing::Authority authority{"ours"};
  std::string ca = folder.file("ca.pem");
  std::string certificate = folder.file("c.pem");
  std::string key = folder.file("c.key");

  Scene() {
    authority.write(ca);
    authority.issue({.name = "box", .alternative_name = {}}, certificate, key);
  }
  [[nodiscard]] std::string with(const std::string& text) const {
    const std::string file = folder.file("other");
    testing::write_file(file, text);
    return file;
  }
};

// Enough to be taken for a certificate, and none.
constexpr const char* broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

}  // namespace

TEST_CASE("certificates: a certificate and the key it is for are fine together, with a chain behind it, too") {
  const Scene scene;
  CHECK_FALSE(platform::pair_problem(scene.certificate, scene.key));
  const std::string chain = read_file(scene.certificate) + read_file(scene.ca);
  CHECK_FALSE(platform::pair_problem(scene.with(chain), scene.key));
  CHECK_FALSE(platform::authorities_problem(scene.with(chain)));
}

TEST_CASE("certificates: a pair that cannot be used says which file it is, what is wrong with it and what is needed") {
  const Scene scene;
  const std::string other = scene.folder.file("d.key");
  scene.authority.issue({.name = "box", .alternative_name = {}}, scene.folder.file("d.pem"), other);
  CHECK(says(platform::pair_problem(scene.certificate, other), other + " do not belong together; needed: the key"));
  CHECK(says(platform::pair_problem(scene.with(""), scene.key), "is empty; needed: a PEM file"));
  CHECK(says(platform::pair_problem(scene.key, scene.key), "holds no certificate in PEM"));
  CHECK(says(platform::pair_problem(scene.folder.path().string(), scene.key), "is a folder"));
  CHECK(says(platform::pair_problem("/nonexistent.pem", scene.key), "No such file"));
  CHECK(says(platform::pair_problem(scene.with(read_file(scene.certificate) + broken), scene.key),
             "a chain that is broken behind its first certificate"));
  CHECK(says(platform::pair_problem(scene.certificate, scene.certificate), "holds no private key"));
  CHECK(says(platform::pair_problem(scene.certificate, scene.with("")), "is empty; needed: the certificate's key"));
}

TEST_CASE("certificates: authorities that are none say what the file is instead") {
  const Scene scene;
  CHECK_FALSE(platform::authorities_problem(scene.ca));
  CHECK(says(platform::authorities_problem(scene.with("")), "is empty; needed: a PEM file with the authorities'"));
  CHECK(says(platform::authorities_problem(scene.with("plain text\n")), "holds no certificate in PEM"));
  CHECK(says(platform::authorities_problem(scene.key), "holds no certificate in PEM"));
  CHECK(says(platform::authorities_problem(scene.folder.path().string()), "is a folder"));
  CHECK(says(platform::authorities_problem("/nonexistent.pem"), "No such file"));
  CHECK(says(platform::authorities_problem(scene.with(read_file(scene.ca) + broken)), "that is broken"));
}

TEST_CASE("certificates: one that has expired, soon will, or does not count yet is a warning") {
  const Scene scene;
  const auto warning = [&](std::chrono::seconds from, std::chrono::seconds to) {
    scene.authority.issue({.name = "box", .alternative_name = {}, .not_before = from, .not_after = to},
                          scene.certificate, scene.key);
    CHECK_FALSE(platform::pair_problem(scene.certificate, scene.key));
    return platform::validity_warning(scene.certificate);
  };
  CHECK_FALSE(warning(-1h, 24h * 40));
  CHECK(says(warning(-48h, -1h), scene.certificate + ": the certificate has expired"));
  CHECK(says(warning(-1h, 24h * 3 + 1h), "the certificate expires in 3 days"));
  CHECK(says(warning(24h, 24h * 40), "the certificate is not valid yet"));
}
