#include "firmware-gateway/redact/raw_scan.hpp"

#include <doctest/doctest.h>

#include <string>

#include "proto/base/bytes.hpp"

using redact::find_raw_card_data;
using redact::RawHints;

namespace {

std::string bytes_of(const std::string& hex) { return base::from_hex(hex).value(); }

// "4-26": where it lies, in bytes.
std::string found(const std::string& bytes, const RawHints& hints = {}) {
  std::string all;
  for (const auto& finding : find_raw_card_data(bytes, hints))
    all += (all.empty() ? "" : " ") + std::to_string(finding.begin) + "-" + std::to_string(finding.end);
  return all;
}

}  // namespace

TEST_CASE("raw scan: a track is found in ASCII, in EBCDIC and in packed digits, amid other digits") {
  CHECK(found("000001234111111111111111=2812101999") == "8-32");
  CHECK(found("00B4111111111111111^DOE/JOHN^2812101999") == "3-36");
  CHECK(found(bytes_of("F0F0F4F1F1F1F1F1F1F1F1F1F1F1F1F1F1F17EF2F8F1F2F1F0F1")) == "2-26");
  CHECK(found(bytes_of("0000123737"
                       "4111111111111111D2812101999F")) == "5-17");
  // One nibble further.
  CHECK(found(bytes_of("0000123737"
                       "04111111111111111D2812101999")) == "5-18");
}

TEST_CASE("raw scan: a number is found behind its EMV tag, in bytes and in hex") {
  CHECK(found(bytes_of("9F0206000000001250"
                       "5A084111111111111111")) == "11-19");
  CHECK(found("9F02060000000012505A084111111111111111") == "22-38");
}

TEST_CASE("raw scan: a number is found behind its length only where one may stand") {
  const std::string ascii =
      "0220"
      "16"
      "4111111111111111"
      "000000";
  CHECK(found(ascii).empty());
  CHECK(found(ascii, {.lengths_at = {4}, .binary_lengths_at = {}, .tracks = {}}) == "6-22");
  const std::string packed = bytes_of(
      "0220"
      "15"
      "0378282246310005"
      "000000");
  CHECK(found(packed, {.lengths_at = {2}, .binary_lengths_at = {}, .tracks = {}}) == "3-11");
  const std::string binary = bytes_of(
      "0220"
      "10"
      "4111111111111111"
      "000000");
  CHECK(found(binary, {.lengths_at = {2}, .binary_lengths_at = {}, .tracks = {}}).empty());
  CHECK(found(binary, {.lengths_at = {}, .binary_lengths_at = {2}, .tracks = {}}) == "3-11");
  // Beyond the end.
  CHECK(found(packed.substr(0, 9), {.lengths_at = {2, 8, 9, 100}, .binary_lengths_at = {100}, .tracks = {}}).empty());
}

TEST_CASE("raw scan: a field that is a track is one to its end; a number that begins before it shows that it is none") {
  const std::string bytes =
      "00123726"
      "375411111111111111=28121019999";
  CHECK(found(bytes, {.lengths_at = {}, .binary_lengths_at = {}, .tracks = {{8, 38}}}) == "8-38");
  const std::string shifted =
      "0012"
      "34"
      "4111111111111111=2812101999999999999";
  CHECK(found(shifted, {.lengths_at = {}, .binary_lengths_at = {}, .tracks = {{12, 30}}}) == "6-42");
}

TEST_CASE("raw scan: digits alone are nothing, nor what is no track") {
  CHECK(found("02004111111111111111").empty());
  CHECK(found("4111111111111111=9999999").empty());
  CHECK(found("123456789012=28").empty());
  CHECK(found("").empty());
  CHECK(found("=").empty());
  CHECK(found("5A").empty());
  CHECK(found(bytes_of("5A08")).empty());
}
