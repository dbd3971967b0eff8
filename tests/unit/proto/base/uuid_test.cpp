#include "proto/base/uuid.hpp"

#include <doctest/doctest.h>

namespace {

// Counts up from a given word; the largest one makes every step as wide as it can be.
class Steps : public base::Random {
 public:
  explicit Steps(std::uint64_t word) : word_(word) {}
  std::uint64_t next() override { return word_; }

 private:
  std::uint64_t word_;
};

base::UtcTime at(std::int64_t ms) { return base::UtcTime(std::chrono::milliseconds(ms)); }

}  // namespace

TEST_CASE("uuid: is a version 7 of RFC 9562 that begins with the time") {
  Steps random(0);
  base::UuidClock clock(random);
  CHECK(base::to_text(clock.next(at(0x0192F3C45B6A))) == "0192f3c4-5b6a-7000-8000-000000000000");
}

TEST_CASE(
    "uuid: grows strictly, within a millisecond, when the clock steps back, and when its random bits are used up") {
  for (const std::uint64_t word : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{0x123456789ABCDEF}}) {
    Steps random(word);
    base::UuidClock clock(random);
    base::Uuid last;
    for (const std::int64_t ms : {5, 5, 5, 4, 0, -7, 6, 6, 1}) {
      const base::Uuid next = clock.next(at(ms));
      CHECK(last < next);
      CHECK((next.bytes[6] >> 4U) == 7);
      CHECK((next.bytes[8] >> 6U) == 2);
      last = next;
    }
  }
}

TEST_CASE("uuid: its text goes there and back, and refuses what is none") {
  const std::string text = "0192f3c4-5b6a-7c8d-9e0f-112233445566";
  const auto uuid = base::parse_uuid(text);
  REQUIRE(uuid);
  CHECK(base::to_text(*uuid) == text);
  CHECK(base::uuid_text(uuid->view()) == text);
  CHECK(base::uuid_text("short").empty());
  CHECK_FALSE(base::parse_uuid("0192f3c45b6a7c8d9e0f112233445566"));
  CHECK_FALSE(base::parse_uuid("0192f3c4-5b6a-7c8d-9e0f-11223344556g"));
  CHECK_FALSE(base::parse_uuid("0192f3c4-5b6a-7c8d-9e0f1-12233445566"));
}
