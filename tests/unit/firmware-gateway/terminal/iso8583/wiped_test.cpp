// No block of memory is given back with a card number in it: every one that this program frees is looked at.
#include <doctest/doctest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "firmware-gateway/redact/sensitive.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "firmware-gateway/terminal/iso8583/framing.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace {

constexpr std::string_view as_text = "4111111111111111";
constexpr std::string_view as_bcd = "\x41\x11\x11\x11\x11\x11\x11\x11";

bool watching = false;
std::size_t found = 0;

void look_at(void* memory) noexcept {
  if (!watching || memory == nullptr) return;
  const std::string_view block(static_cast<const char*>(memory), malloc_usable_size(memory));
  if (block.find(as_text) != std::string_view::npos || block.find(as_bcd) != std::string_view::npos) ++found;
}

// Blocks with a card number that `work` frees.
template <class Work>
std::size_t freed_with_card_number(Work work) {
  found = 0;
  watching = true;
  work();
  watching = false;
  return found;
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  look_at(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { operator delete(memory); }

TEST_CASE("wiped: the watch itself sees a card number in what is freed") {
  CHECK(freed_with_card_number([] { delete new std::string(64, '4'); }) == 0);
  CHECK(freed_with_card_number([] { delete new std::string(std::string(40, ' ') + std::string(as_text)); }) > 0);
}

TEST_CASE("wiped: messages, whole and incomplete, moved and echoed") {
  const auto dialect = test::shipped("iso87-ascii");
  const std::string body =
      "0200600000000000000016"
      "4111111111111111"
      "000000";
  CHECK(freed_with_card_number([&] { REQUIRE(iso8583::decode(body, dialect).has_value()); }) == 0);
  const auto decode_cut = [&] {
    for (std::size_t end = 0; end < body.size(); ++end) {
      const bool whole = iso8583::decode(std::string_view(body).substr(0, end), dialect).has_value();
      REQUIRE_FALSE(whole);
    }
  };
  CHECK(freed_with_card_number(decode_cut) == 0);
  CHECK(freed_with_card_number([&] {
          auto first = iso8583::decode(body, dialect);
          auto second = iso8583::decode(body, dialect);
          *first = std::move(*second);
          const iso8583::Message third = std::move(*first);
          iso8583::Composition answer("0210");
          answer.echo(2, third);
          answer.set(3, "12345");  // too short
          REQUIRE_FALSE(iso8583::encode(answer, dialect).has_value());
        }) == 0);
}

TEST_CASE("wiped: packed digits with padding, read and written") {
  const auto dialect = test::shipped("pos-bcd");
  const std::string body = std::string("\x02\x00\x40\0\0\0\0\0\0\0\x16", 11) + std::string(as_bcd);
  CHECK(freed_with_card_number([&] {
          const auto message = iso8583::decode(body, dialect);
          REQUIRE(message.has_value());
          auto written = iso8583::encode(iso8583::Composition(*message), dialect).value();
          redact::wipe(written);
        }) == 0);
}

TEST_CASE("wiped: streams that come in pieces, and end amid a frame") {
  const std::string body = std::string(300, ' ') + std::string(as_text);
  const iso8583::Framing framing;
  const std::string stream = iso8583::frame(framing, {}, body) + iso8583::frame(framing, {}, body);
  for (const std::size_t piece : {std::size_t{7}, std::size_t{100}, stream.size() - 20}) {
    CHECK(freed_with_card_number([&] {
            iso8583::FrameCutter cutter(framing);
            for (std::size_t at = 0; at + 10 < stream.size(); at += piece) {
              cutter.append(std::string_view(stream).substr(at, piece));
              while (const auto frame = cutter.next().value()) {
              }
            }
          }) == 0);
  }
}

TEST_CASE("wiped: what is shown, searched and taken from fields of every class") {
  using redact::DataClass;
  const std::string emv =
      "9C01005A084111111111111111570A4111111111111111D2915010"
      "34313131313131313131313131313131";
  const std::string cut = "41111111111111112912201 and more text behind";
  for (const DataClass data_class : {DataClass::pan, DataClass::sad, DataClass::chd, DataClass::tlv, DataClass::text}) {
    CHECK(freed_with_card_number([&] {
            for (const std::string_view text : {std::string_view(emv), std::string_view(cut), as_text}) {
              const redact::Sensitive field(text, data_class);
              REQUIRE(redact::shown(field).find(as_text) == std::string::npos);
              static_cast<void>(redact::read_tlv(field));
              static_cast<void>(redact::pan_of_number(field));
              static_cast<void>(redact::pan_of_track2(field));
              static_cast<void>(redact::pan_of_track1(field));
              REQUIRE(redact::pan_of_tlv(field).empty() == (text != emv));
            }
          }) == 0);
  }
}

TEST_CASE("wiped: a message explained") {
  const auto dialect = test::shipped("iso87-ascii");
  const auto message = iso8583::decode(
      "0200600000000000000016"
      "4111111111111111"
      "000000",
      dialect);
  REQUIRE(message.has_value());
  CHECK(freed_with_card_number([&] {
          static_cast<void>(iso8583::explain(*message, dialect));
          static_cast<void>(iso8583::to_json(*message));
        }) == 0);
}
