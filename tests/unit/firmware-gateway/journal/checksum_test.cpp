#include <doctest/doctest.h>

#include "firmware-gateway/journal/crc32c.hpp"
#include "firmware-gateway/journal/sip_hash.hpp"

TEST_CASE("crc32c: gives the values of RFC 3720, appendix B.4") {
  CHECK(journal::crc32c(0, base::Bytes(32, '\0')) == 0x8A9136AAU);
  CHECK(journal::crc32c(0, base::Bytes(32, '\xFF')) == 0x62A8AB43U);
  base::Bytes ascending;
  for (char c = 0; c < 32; ++c) ascending.push_back(c);
  CHECK(journal::crc32c(0, ascending) == 0x46DD794EU);
  CHECK(journal::crc32c(0, "123456789") == 0xE3069283U);
  CHECK(journal::crc32c(0, "") == 0U);
}

TEST_CASE("crc32c: of pieces is that of the whole, wherever it is cut") {
  const base::Bytes bytes = "a card is tapped in a shop, within a blink everybody knows";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CHECK(journal::crc32c(journal::crc32c(0, bytes.substr(0, cut)), bytes.substr(cut)) == journal::crc32c(0, bytes));
  }
}

TEST_CASE("crc32c: the processor's instruction and the tables agree, at any length and alignment") {
  base::Bytes bytes;
  for (int i = 0; i < 300; ++i) bytes.push_back(static_cast<char>(i * 167 + 13));
  const base::BytesView view = bytes;
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; from + size <= view.size(); ++size) {
      const auto piece = view.substr(from, size);
      REQUIRE(journal::crc32c(77, piece) == journal::portable_crc32c(77, piece));
    }
  }
}

TEST_CASE("row crc: sees every flipped bit of the record, the row's number and its key hash") {
  const base::Bytes record = "a record";
  const auto crc = journal::row_crc(7, 9, record);
  for (unsigned bit = 0; bit < 64; ++bit) {
    CHECK(journal::row_crc(7 ^ (1ULL << bit), 9, record) != crc);
    CHECK(journal::row_crc(7, 9 ^ (1ULL << bit), record) != crc);
    base::Bytes flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    CHECK(journal::row_crc(7, 9, flipped) != crc);
  }
}

TEST_CASE("sip hash: gives the vectors of its authors") {
  std::array<std::uint8_t, 16> key{};
  base::Bytes message;
  for (std::uint8_t i = 0; i < 16; ++i) key[i] = i;
  CHECK(journal::sip_hash(key, message) == 0x726fdb47dd0e0e31U);
  for (char c = 0; c < 15; ++c) message.push_back(c);
  CHECK(journal::sip_hash(key, message) == 0xa129ca6149be45e5U);
}
