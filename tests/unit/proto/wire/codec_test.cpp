#include "proto/wire/codec.hpp"

#include <doctest/doctest.h>
#include <zstd.h>

#include <functional>
#include <vector>

namespace v1 = tillstream::v1;
using wire::DecodeError;

namespace {

const std::string id(16, 'e');
const std::string digest(32, 'd');

v1::Up a_batch(std::vector<std::string> records) {
  v1::Up up;
  up.set_gateway_id("shop-1");
  v1::Batch& batch = *up.mutable_batch();
  batch.set_epoch(id);
  batch.set_run(id);
  batch.set_digest_before(digest);
  batch.set_run_digest_before(digest);
  batch.set_first_seq(1);
  for (std::string& record : records) batch.mutable_records()->add_record(std::move(record));
  return up;
}

v1::Up a_hello() {
  v1::Up up;
  up.set_gateway_id("shop-1");
  v1::Hello& hello = *up.mutable_hello();
  hello.set_epoch(id);
  hello.set_run(id);
  hello.set_acked_digest(digest);
  return up;
}

v1::Up a_heartbeat() {
  v1::Up up;
  up.set_gateway_id("shop-1");
  up.mutable_heartbeat()->set_epoch(id);
  up.mutable_heartbeat()->set_run(id);
  return up;
}

v1::Down an_ack() {
  v1::Down down;
  v1::Ack& ack = *down.mutable_ack();
  ack.set_epoch(id);
  ack.set_digest(digest);
  ack.set_seq(7);
  v1::Progress& progress = *ack.mutable_progress();
  progress.set_epoch(id);
  progress.set_digest(digest);
  return down;
}

std::string compressed(const std::string& plain) {
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 1));
  return packed;
}

v1::Up a_batch_of_frame(std::string frame) {
  v1::Up up = a_batch({});
  up.mutable_batch()->clear_records();
  up.mutable_batch()->set_zstd_records(std::move(frame));
  return up;
}

std::string packed_records(std::vector<std::string> records) {
  v1::Records message;
  for (std::string& record : records) message.add_record(std::move(record));
  return message.SerializeAsString();
}

void refuses(const v1::Up& up, DecodeError error) {
  const auto decoded = wire::decode_up(up.SerializeAsString());
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error() == error);
}

}  // namespace

TEST_CASE("wire: records come out as they went in, compressed or not") {
  for (const std::size_t size : {1U, 100U, 600U, 20'000U}) {
    std::vector<std::string> records;
    for (int i = 0; i < 5; ++i) records.push_back(std::string(size, static_cast<char>('a' + i)));
    const auto decoded = wire::decode_up(wire::encode(a_batch(records)));
    REQUIRE(decoded);
    const auto& out = decoded->batch().records().record();
    CHECK(std::vector<std::string>(out.begin(), out.end()) == records);
    CHECK(decoded->batch().zstd_records().empty());
  }
}

TEST_CASE("wire: compresses what gains by it, and only that") {
  CHECK(wire::encode(a_batch({std::string(20'000, 'a')})).size() < 1000);
  std::string noise;
  std::uint64_t state = 1;
  for (int i = 0; i < 20'000; ++i) noise += static_cast<char>((state = state * 6364136223846793005ULL + 1) >> 56U);
  CHECK(wire::encode(a_batch({noise})) == a_batch({noise}).SerializeAsString());
}

TEST_CASE("wire: a small frame that would unfold without end is refused") {
  const std::string bomb = compressed(std::string(wire::kRecordsBytesMax + 1, '\0'));
  CHECK(bomb.size() < 10'000);
  refuses(a_batch_of_frame(bomb), DecodeError::bad_records);
}

TEST_CASE("wire: the size that a frame claims is not believed") {
  // Magic, single segment with an 8-byte content size of 2^60, then nothing.
  const std::string lying("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x10", 13);
  refuses(a_batch_of_frame(lying), DecodeError::bad_records);
  // A true frame whose header claims more than it holds.
  std::string padded = compressed(packed_records({"a", "b"}));
  padded[5] = static_cast<char>(padded[5] + 1);
  refuses(a_batch_of_frame(padded), DecodeError::bad_records);
}

TEST_CASE("wire: a frame that is cut, followed by more, or no frame at all is refused") {
  const std::string frame = compressed(packed_records({"one", "two"}));
  for (std::size_t length = 1; length < frame.size(); ++length) {
    refuses(a_batch_of_frame(frame.substr(0, length)), DecodeError::bad_records);
  }
  refuses(a_batch_of_frame(frame + "x"), DecodeError::bad_records);
  refuses(a_batch_of_frame("no frame"), DecodeError::bad_records);
}

TEST_CASE("wire: packed records that lie about lengths, are empty, or are too many are refused") {
  refuses(a_batch_of_frame(compressed(std::string("\x0a\x05"
                                                  "abc",
                                                  5))),
          DecodeError::bad_records);
  refuses(a_batch_of_frame(compressed(std::string("\x0a\xff\xff\xff\xff\xff\x01", 7))), DecodeError::bad_records);
  refuses(a_batch_of_frame(compressed(std::string("\x0a\x00", 2))), DecodeError::bad_records);
  refuses(a_batch_of_frame(compressed(std::string("\x12\x01x", 3))), DecodeError::bad_records);
  std::string many;
  for (std::size_t i = 0; i <= wire::kRecordsMax; ++i) many += std::string("\x0a\x01x", 3);
  refuses(a_batch_of_frame(compressed(many)), DecodeError::bad_records);
  refuses(a_batch_of_frame(compressed("")), DecodeError::bad_records);
}

TEST_CASE("wire: a batch has records, each of them not empty, and in one form only") {
  refuses(a_batch({}), DecodeError::bad_records);
  refuses(a_batch({"a", ""}), DecodeError::bad_records);
  v1::Up both = a_batch({"a"});
  both.mutable_batch()->set_zstd_records(compressed(packed_records({"a"})));
  refuses(both, DecodeError::bad_records);
}

TEST_CASE("wire: a message larger than the limit is refused unread") {
  const auto decoded = wire::decode_up(std::string(wire::kMessageBytesMax + 1, '\x0a'));
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error() == DecodeError::too_large);
}

TEST_CASE("wire: what is no message, or an unknown one, is refused") {
  CHECK(wire::decode_up("\xff\xff\xff").error() == DecodeError::undecodable);
  CHECK(wire::decode_down("\xff\xff\xff").error() == DecodeError::undecodable);
  CHECK(wire::decode_down("").error() == DecodeError::unknown_message);
  v1::Up silent;
  silent.set_gateway_id("shop-1");
  refuses(silent, DecodeError::unknown_message);
}

TEST_CASE("wire: a gateway id is [a-z0-9-]{1,63}") {
  for (const std::string& bad : {std::string(), std::string("Shop"), std::string("a/b"), std::string("a+"),
                                 std::string(64, 'a'), std::string("a\0b", 3)}) {
    v1::Up up = a_hello();
    up.set_gateway_id(bad);
    refuses(up, DecodeError::bad_gateway_id);
  }
  v1::Up up = a_hello();
  up.set_gateway_id(std::string(63, 'a'));
  CHECK(wire::decode_up(up.SerializeAsString()));
}

TEST_CASE("wire: every field of an Up has its size, and a wrong one is refused") {
  const std::vector<std::function<v1::Up()>> wrong{
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_epoch("short");
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_run("");
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_digest_before(digest + "x");
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_run_digest_before("x");
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_first_seq(0);
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_first_seq(~0ULL);
        return up;
      },
      [] {
        auto up = a_batch({"a"});
        up.mutable_batch()->set_run_index(~0ULL);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->set_epoch("");
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->set_run(digest);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->set_acked_digest(id);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->set_acked_seq(~0ULL);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->set_next_seq(~0ULL);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->mutable_supersedes()->set_seq(1);
        return up;
      },
      [] {
        auto up = a_hello();
        up.mutable_hello()->mutable_versions()->set_program(std::string(257, 'p'));
        return up;
      },
      [] {
        auto up = a_heartbeat();
        up.mutable_heartbeat()->set_epoch("x");
        return up;
      },
      [] {
        auto up = a_heartbeat();
        up.mutable_heartbeat()->set_run("x");
        return up;
      },
      [] {
        auto up = a_heartbeat();
        up.mutable_heartbeat()->set_committed_seq(~0ULL);
        return up;
      },
      [] {
        auto up = a_heartbeat();
        up.mutable_heartbeat()->add_pending_amounts()->set_currency("EURO");
        return up;
      },
      [] {
        auto up = a_heartbeat();
        for (std::size_t i = 0; i <= wire::kAmountsMax; ++i)
          up.mutable_heartbeat()->add_pending_amounts()->set_currency("EUR");
        return up;
      },
  };
  for (const auto& make : wrong) refuses(make(), DecodeError::bad_field);
  CHECK(wire::decode_up(a_hello().SerializeAsString()));
  CHECK(wire::decode_up(a_heartbeat().SerializeAsString()));
  CHECK(wire::decode_up(a_batch({"a"}).SerializeAsString()));
}

TEST_CASE("wire: a lost range that cannot be, and a reason that is no word, are refused [H-2]") {
  const auto decoded = [](const std::string& reason, std::uint64_t first, std::uint64_t last) {
    v1::Up up = a_hello();
    up.mutable_hello()->mutable_lost()->set_reason(reason);
    up.mutable_hello()->mutable_lost()->set_first_seq(first);
    up.mutable_hello()->mutable_lost()->set_last_seq(last);
    return wire::decode_up(up.SerializeAsString());
  };
  // What senders say: a range, one row, and one whose end nobody knows.
  CHECK(decoded("stream_rolled_back", 41, 44));
  CHECK(decoded("stream_rolled_back", 1, 1));
  CHECK(decoded("disk_replaced", 78, 0));
  CHECK(decoded(std::string(64, 'r'), 1, wire::kNumberMax));
  for (const auto& [first, last] :
       {std::pair(5ULL, 2ULL), {0ULL, 7ULL}, {0ULL, 0ULL}, {1ULL, ~0ULL}, {~0ULL, 0ULL}, {~0ULL, ~0ULL}}) {
    CAPTURE(first);
    CAPTURE(last);
    const auto up = decoded("restored_image", first, last);
    REQUIRE_FALSE(up);
    CHECK(up.error() == DecodeError::bad_field);
  }
  for (const std::string& reason :
       {std::string(), std::string(65, 'r'), std::string("x\n<b>"), std::string("4111111111111111"),
        std::string("Restored_image"), std::string("restored image"), std::string("r\0", 2),
        // NOLINTNEXTLINE(misc-misleading-bidirectional): it is what is tested
        std::string("\u202e")}) {
    CAPTURE(reason);
    const auto up = decoded(reason, 1, 0);
    REQUIRE_FALSE(up);
    CHECK(up.error() == DecodeError::bad_field);
  }
}

TEST_CASE("wire: every field of a Down has its size, and a wrong one is refused") {
  using Change = std::function<void(v1::Ack&)>;
  const std::vector<Change> wrong{
      [](v1::Ack& ack) { ack.set_epoch("x"); },
      [](v1::Ack& ack) { ack.clear_digest(); },
      [](v1::Ack& ack) { ack.set_seq(~0ULL); },
      [](v1::Ack& ack) {
        ack.clear_epoch();
        ack.clear_digest();
      },
      [](v1::Ack& ack) { ack.mutable_progress()->set_epoch("x"); },
      [](v1::Ack& ack) { ack.mutable_progress()->set_digest(""); },
      [](v1::Ack& ack) { ack.mutable_progress()->set_seq(~0ULL); },
      [](v1::Ack& ack) { ack.mutable_progress()->add_runs()->set_run("x"); },
      [](v1::Ack& ack) {
        for (int i = 0; i < 17; ++i) ack.mutable_progress()->add_runs()->set_run(id);
      },
      [](v1::Ack& ack) {
        for (int i = 0; i < 17; ++i) ack.mutable_progress()->add_switched_at_ms(i);
      },
      [](v1::Ack& ack) { ack.mutable_progress()->set_quarantine_run("x"); },
      [](v1::Ack& ack) { ack.mutable_versions()->set_program(std::string(257, 'p')); },
  };
  for (const Change& change : wrong) {
    v1::Down down = an_ack();
    change(*down.mutable_ack());
    CHECK(wire::decode_down(wire::encode(down)).error() == DecodeError::bad_field);
  }
  CHECK(wire::decode_down(wire::encode(an_ack())));
  v1::Down none;
  none.mutable_ack()->set_nonce(1);
  CHECK(wire::decode_down(wire::encode(none)));
  v1::Down owner;
  owner.mutable_owner()->set_bridge_id(std::string(257, 'b'));
  CHECK(wire::decode_down(wire::encode(owner)).error() == DecodeError::bad_field);
}

TEST_CASE("wire: no prefix and no flipped bit of a message does harm") {
  const std::string whole = wire::encode(a_batch({std::string(700, 'a'), "b", "c"}));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    static_cast<void>(wire::decode_up(whole.substr(0, i)));
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1U << bit));
      if (const auto up = wire::decode_up(flipped); up && up->has_batch())
        CHECK(up->batch().records().record_size() > 0);
    }
  }
}
