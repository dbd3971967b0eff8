#include "proto/platform/admin_access.hpp"

#include <doctest/doctest.h>

#include <string>

using platform::AdminAccess;
using platform::AdminExposure;
using platform::HttpRequest;
using platform::parse_listen_address;

TEST_CASE("listen addresses: numeric ones with a port, and localhost") {
  const auto text = [](const char* address) {
    const auto parsed = parse_listen_address(address);
    return parsed ? parsed->text() + (parsed->loopback ? " loopback" : "") : "refused";
  };
  CHECK(text("127.0.0.1:8801") == "127.0.0.1:8801 loopback");
  CHECK(text("127.1.2.3:0") == "127.1.2.3:0 loopback");
  CHECK(text("localhost:80") == "127.0.0.1:80 loopback");
  CHECK(text("[::1]:65535") == "[::1]:65535 loopback");
  CHECK(text("[::ffff:127.0.0.1]:1") == "[::ffff:127.0.0.1]:1 loopback");
  CHECK(text("0.0.0.0:8801") == "0.0.0.0:8801");
  CHECK(text("[::]:8801") == "[::]:8801");
  CHECK(text("192.168.0.5:1") == "192.168.0.5:1");
  for (const char* wrong :
       {"", ":", "8801", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "127.0.0.1: 80",
        "::1:80", "[::1]", "[::1]80", "[]:80", "[127.0.0.1]:80", "shop.example:80", ":8801", "256.0.0.1:1"}) {
    CAPTURE(std::string(wrong));
    CHECK(text(wrong) == "refused");
  }
  CHECK(parse_listen_address("x").error() ==
        "is \"x\"; needed: a numeric address and a port, such as \"127.0.0.1:8801\" or \"[::1]:8801\" (port 0: any "
        "free one)");
}

TEST_CASE("admin exposure: off loopback only with a token and TLS") {
  const auto check = [](const char* listen, bool tls, bool token) {
    return platform::check_admin_exposure({.listen = *parse_listen_address(listen), .tls = tls, .token = token})
        .value_or("fine");
  };
  CHECK(check("127.0.0.1:1", false, false) == "fine");
  CHECK(check("[::1]:1", false, false) == "fine");
  CHECK(check("0.0.0.0:1", true, true) == "fine");
  const std::string reach = "0.0.0.0:1 is reachable from other machines: set ";
  const std::string tls = R"(tls = { certificate = "…", key = "…" })";
  CHECK(check("0.0.0.0:1", true, false) == reach + "token_file, or listen on 127.0.0.1");
  CHECK(check("0.0.0.0:1", false, true) == reach + tls + ", or listen on 127.0.0.1");
  CHECK(check("0.0.0.0:1", false, false) == reach + "token_file and " + tls + ", or listen on 127.0.0.1");
}

TEST_CASE("admin access: a token is asked for when there is one, and only the right one passes") {
  const auto status = [](const std::string& token, const std::string& authorization) {
    HttpRequest request;
    request.host = "shop.example";
    request.authorization = authorization;
    const auto refused = AdminAccess(token).refuse(request);
    return refused ? refused->status : 200U;
  };
  CHECK(status("secret", "Bearer secret") == 200);
  for (const char* wrong : {"", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "bearer secret",
                            "Basic secret", "Bearer  secret"}) {
    CAPTURE(std::string(wrong));
    CHECK(status("secret", wrong) == 401);
  }
}

TEST_CASE("admin access: without a token a Host header that is a name is refused, so that no web page can reach in") {
  const auto passes = [](const std::string& host) {
    HttpRequest request;
    request.host = host;
    return !AdminAccess("").refuse(request).has_value();
  };
  for (const char* host :
       {"", "127.0.0.1", "127.0.0.1:8800", "localhost", "localhost:9", "[::1]", "[::1]:8800", "10.0.0.1:80"}) {
    CAPTURE(std::string(host));
    CHECK(passes(host));
  }
  for (const char* host :
       {"evil.example", "evil.example:8800", "localhost.evil.example", "127.0.0.1.evil.example", "localhostx"}) {
    CAPTURE(std::string(host));
    CHECK_FALSE(passes(host));
  }
}

TEST_CASE("constant-time comparison: equal texts are equal, all others are not") {
  CHECK(platform::equal_in_constant_time("", ""));
  CHECK(platform::equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(platform::equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(platform::equal_in_constant_time("abc", "ab"));
}
