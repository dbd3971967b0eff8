#include "proto/base/token_key.hpp"

#include <doctest/doctest.h>

#include <string>

#include "proto/platform/system.hpp"

TEST_CASE("token keys: HKDF gives the first block of RFC 5869's own examples") {
  const auto hkdf = [](std::string_view salt, std::string_view input, std::string_view info) {
    return base::to_hex(
        base::hkdf_sha256(platform::hasher(), *base::from_hex(salt), *base::from_hex(input), *base::from_hex(info))
            .view());
  };
  CHECK(hkdf("000102030405060708090a0b0c", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "f0f1f2f3f4f5f6f7f8f9") ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  CHECK(hkdf("", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "") ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST_CASE("token keys: each gateway and version has its own, and a name that does not tell it") {
  const base::Hasher& hasher = platform::hasher();
  const std::string master(32, 'm');
  const auto key = base::derive_token_key(hasher, master, "shop-0001", 1);
  CHECK(key == base::derive_token_key(hasher, master, "shop-0001", 1));
  CHECK(key != base::derive_token_key(hasher, master, "shop-0001", 2));
  CHECK(key != base::derive_token_key(hasher, master, "shop-0002", 1));
  CHECK(key != base::derive_token_key(hasher, master, "shop-000", 11));
  CHECK(key != base::derive_token_key(hasher, std::string(32, 'n'), "shop-0001", 1));
  CHECK(base::token_key_name(hasher, key.view()).size() == 8);
  CHECK(base::to_hex(key.view()).find(base::token_key_name(hasher, key.view())) == std::string::npos);
}
