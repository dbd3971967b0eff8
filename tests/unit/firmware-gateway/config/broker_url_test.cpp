#include "firmware-gateway/config/broker_url.hpp"

#include <doctest/doctest.h>

TEST_CASE("broker url: host, port, TLS and loopback are read from it") {
  struct Case {
    const char* text;
    const char* host;
    std::uint16_t port;
    bool tls;
    bool loopback;
  };
  for (const Case& expected : {Case{"mqtts://broker.example:8883", "broker.example", 8883, true, false},
                               Case{"mqtts://broker.example", "broker.example", 8883, true, false},
                               Case{"mqtt://localhost", "localhost", 1883, false, true},
                               Case{"mqtt://127.0.0.1:1", "127.0.0.1", 1, false, true},
                               Case{"mqtt://127.9.8.7:65535/", "127.9.8.7", 65535, false, true},
                               Case{"mqtt://[::1]:1883", "::1", 1883, false, true},
                               Case{"mqtts://[2001:db8::1]", "2001:db8::1", 8883, true, false},
                               Case{"mqtt://127.evil.example", "127.evil.example", 1883, false, false}}) {
    CAPTURE(expected.text);
    const auto url = config::parse_broker_url(expected.text);
    REQUIRE(url);
    CHECK(url->host == expected.host);
    CHECK(url->port == expected.port);
    CHECK(url->tls == expected.tls);
    CHECK(url->loopback == expected.loopback);
  }
}

TEST_CASE("broker url: anything else is refused, and the text says what is allowed") {
  for (const char* text :
       {"", "broker.example", "http://broker.example", "mqtt://", "mqtts://:8883", "mqtt://host:0", "mqtt://host:65536",
        "mqtt://host:", "mqtt://host:12x", "mqtt://host/topic", "mqtt://[::1", "mqtt://ho st", "mqtt://a:b@host"}) {
    CAPTURE(text);
    const auto url = config::parse_broker_url(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().find("allowed") != std::string::npos);
  }
}
