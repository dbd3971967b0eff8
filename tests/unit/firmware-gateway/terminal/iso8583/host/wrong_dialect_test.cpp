// Messages read in another dialect than they were written in, or by a damaged bitmap: no piece of a card number or a
// track leaves the door, in whichever field it has come to lie.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "firmware-gateway/terminal/iso8583/host/host.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"
#include "firmware-gateway/terminal/iso8583/shipped_dialects.hpp"
#include "proto/base/bytes.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

namespace {

using iso8583::Dialect;
using iso8583::Host;
using support::SeededRandom;
using test::FieldValues;

// Cards are made of these digits, and all other numbers of the two that are left: none is a piece of a card by chance.
constexpr std::string_view card_digits = "23456789";
constexpr std::string_view other_digits = "01";

std::string digits(SeededRandom& random, std::size_t count, std::string_view of = other_digits) {
  std::string text;
  while (text.size() < count) text += of[random.below(of.size())];
  return text;
}

// Of a brand, with its check digit.
std::string card_number(SeededRandom& random) {
  struct Kind {
    std::string_view prefix;
    std::size_t size;
  };
  constexpr std::array kinds{Kind{"4", 16},  Kind{"4", 19},  Kind{"52", 16},   Kind{"55", 16},   Kind{"2345", 16},
                             Kind{"37", 15}, Kind{"36", 14}, Kind{"3528", 16}, Kind{"6222", 16}, Kind{"62", 17}};
  const Kind kind = kinds.at(random.below(kinds.size()));
  while (true) {
    std::string number(kind.prefix);
    number += digits(random, kind.size - number.size(), card_digits);
    if (redact::passes_luhn(number)) return number;
  }
}

struct Card {
  explicit Card(SeededRandom& random)
      : number(card_number(random)),
        track2_tail(digits(random, 13, card_digits)),
        track1_tail(digits(random, 16, card_digits)) {}
  std::string number;
  std::string track2_tail;
  std::string track1_tail;
};

std::string emv(const Card& card) {
  std::string pan = card.number + (card.number.size() % 2 == 0 ? "" : "F");
  std::string track = card.number + "D2812201" + card.track2_tail;
  if (track.size() % 2 != 0) track += "F";
  const auto tlv = [](const std::string& tag, const std::string& value) {
    return tag + base::to_hex(std::string(1, static_cast<char>(value.size() / 2))) + value;
  };
  std::string text = tlv("9F02", "000000001250") + tlv("5A", pan) + tlv("57", track) + tlv("9F26", "0123456789ABCDEF") +
                     tlv("95", "0000008000");
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
  return text;
}

// Wherever a message can hold one.
FieldValues card_fields(const Card& card) {
  return {{2, card.number},
          {35, card.number + "=2812201" + card.track2_tail},
          {45, "B" + card.number + "^DOE/JOHN^2812101" + card.track1_tail},
          {55, emv(card)}};
}

// What terminals send: some of these, at random.
FieldValues fields_of(SeededRandom& random, const Card& card, unsigned year, std::string_view of = other_digits) {
  const auto digits = [&](SeededRandom& source, std::size_t count) { return ::digits(source, count, of); };
  FieldValues all{
      {3, random.one_in(3) ? "200000" : "000000"},
      {4, fmt::format("{:012}", random.between(1, 99'999))},
      {7, fmt::format("11{:02}{:02}{:02}{:02}", random.between(10, 30), random.below(24), random.below(60),
                      random.below(60))},
      {11, digits(random, 6)},
      {12, year < 1993 ? "120901" : "261123120901"},
      {14, "2812"},
      {22, year < 1993 ? "051" : "510101513344"},
      {24, "200"},
      {25, year < 1993 ? "00" : "1510"},
      {32, digits(random, 6 + random.below(6))},
      {37, digits(random, 12)},
      {38, digits(random, 6)},
      {39, year < 1993 ? "00" : "000"},
      {41, random.one_in(2) ? "T" + digits(random, 7) : digits(random, 8)},
      {42, random.one_in(2) ? "MERCHANT0000001" : digits(random, 15)},
      {43, year < 1993 ? "CORNER SHOP 12         VIENNA       VIAT" : "CORNER SHOP 12\\RING 1\\VIENNA\\1010"},
      {48, "NOTE " + digits(random, 8)},
      {49, "978"},
      {52, "0123456789ABCDEF"},
      {54, "0044978D000000000150"},
      {60, digits(random, 6)},
      {63, digits(random, 30)}};
  all.merge(card_fields(card));
  if (year < 1993) {
    all[13] = "1123";
    all[90] = "0200" + digits(random, 6) + "1123110901" + digits(random, 22);
  }
  const std::uint64_t keep = random.between(2, 9);
  for (auto field = all.begin(); field != all.end();) {
    const bool essential = field->first == 3 || field->first == 4 || field->first == 11 || field->first == 41;
    const bool keeps = random.below(10) < (essential ? 9 : keep);
    field = keeps ? std::next(field) : all.erase(field);
  }
  return all;
}

// Without the fields that the dialect cannot write so.
base::Bytes written(const std::string& mti, FieldValues fields, const Dialect& dialect) {
  while (true) {
    iso8583::Composition composition(mti);
    if (dialect.header.listed) composition.set_header("ISO015000");
    for (const auto& [number, value] : fields) composition.set(number, value);
    const auto bytes = iso8583::encode(composition, dialect);
    if (bytes) return *bytes;
    REQUIRE(fields.erase(bytes.error().field) == 1);
  }
}

// The longest piece of card data that may be in anything: brand, last four and expiry are no secret.
constexpr std::size_t digits_max = 6;

class Secrets {
 public:
  explicit Secrets(const Card& card) {
    add(card.number);
    add(card.track2_tail);
    add(card.track1_tail);
  }

  // In clear, as hex of characters, or packed into the characters that a dialect makes of bytes.
  [[nodiscard]] std::string found_in(const std::string& text, const Dialect& dialect) const {
    if (std::string found = holds(text, pieces_, 1); !found.empty()) return found;
    if (std::string found = holds(text, wide_, 1); !found.empty()) return found;
    const iso8583::Charset* const charset = dialect.fields[42].charset;
    base::Bytes bytes(text.size(), '\0');
    const char* const end = charset->encode(text, bytes.data());
    if (end == nullptr) return {};
    bytes.resize(static_cast<std::size_t>(end - bytes.data()));
    return holds(base::to_hex(bytes), packed_, 2);
  }

 private:
  using Pieces = std::set<std::string>;

  void add(const std::string& secret) {
    for (const std::string& piece : pieces_of(secret, digits_max + 1)) {
      pieces_.insert(piece);
      std::string ascii;
      std::string ebcdic;
      for (const char c : piece) {
        ascii += {'3', c};
        ebcdic += {'F', c};
      }
      wide_.insert(ascii);
      wide_.insert(ebcdic);
    }
    packed_.merge(pieces_of(secret, digits_max + 2));
  }
  // But for rows of one or two digits, which amounts have as well.
  static Pieces pieces_of(const std::string& secret, std::size_t size) {
    Pieces pieces;
    for (std::size_t at = 0; at + size <= secret.size(); ++at) {
      const std::string piece = secret.substr(at, size);
      if (std::set<char>(piece.begin(), piece.end()).size() >= 3) pieces.insert(piece);
    }
    return pieces;
  }
  [[nodiscard]] static std::string holds(const std::string& text, const Pieces& pieces, std::size_t step) {
    constexpr std::string_view of_pieces = "23456789F";
    const std::size_t size = pieces.begin()->size();
    std::size_t run = 0;
    for (std::size_t end = 1; end <= text.size(); ++end) {
      run = of_pieces.contains(text[end - 1]) ? run + 1 : 0;
      if (run < size || (end - size) % step != 0) continue;
      if (std::string piece = text.substr(end - size, size); pieces.contains(piece)) return piece;
    }
    return {};
  }

  Pieces pieces_;
  Pieces wide_;
  Pieces packed_;
};

redact::CardGuard& guard() {
  static redact::CardGuard made = [] {
    redact::GuardSettings settings;
    settings.accept_card_numbers = redact::AcceptCardNumbers::always;
    settings.mark_key = redact::Secret(std::string(16, 'm'));
    return redact::CardGuard(std::move(settings), platform::hasher());
  }();
  return made;
}

void add_answer(std::map<std::string, std::string>& all, const Dialect& dialect, base::BytesView bytes) {
  const auto answer = iso8583::decode(bytes, dialect);
  if (!answer) return;
  for (unsigned number = answer->fields().next(0); number != 0; number = answer->fields().next(number))
    all[fmt::format("answer {}", number)] = answer->open(number).value_or("");
}

// What is shown to who tries a dialect.
void add_explanation(std::map<std::string, std::string>& all, const Dialect& dialect, base::BytesView bytes) {
  const auto decoded = iso8583::decode(bytes, dialect);
  const iso8583::Message& message = decoded ? *decoded : decoded.error().read;
  const auto placement = iso8583::placement_of(message, bytes, dialect);
  const bool misplaced = decoded ? placement.is_wrong() : placement.is_uncertain();
  const auto hidden = iso8583::hidden_in(message, placement, misplaced);
  all["explained"] = iso8583::explain(message, dialect, hidden);
  all["JSON"] = iso8583::to_json(message, decoded ? nullptr : &decoded.error(), hidden, placement.text());
}

// All that leaves the door, name by name.
std::map<std::string, std::string> told(const Dialect& dialect, base::BytesView bytes) {
  std::map<std::string, std::string> all;
  add_explanation(all, dialect, bytes);
  const Host host(dialect);
  auto reaction = host.react(bytes);
  if (const auto* const say = std::get_if<Host::Say>(&reaction)) add_answer(all, dialect, say->message);
  if (const auto* const reject = std::get_if<Host::Reject>(&reaction)) {
    add_answer(all, dialect, reject->message);
    for (const auto& [name, value] : reject->shape) all["notice " + name] = value;
  }
  if (const auto* const hung_up = std::get_if<Host::HangUp>(&reaction))
    for (const auto& [name, value] : hung_up->shape) all["notice " + name] = value;
  if (auto* const store = std::get_if<Host::Store>(&reaction)) {
    add_answer(all, dialect, host.conclude(store->echo, terminal::Stored{.event_id = "018f", .epoch = "e", .seq = 1}));
    const auto cleared = guard().clear(std::move(store->draft), {});
    REQUIRE(cleared);
    const redact::Fields& fields = cleared->fields();
    for (std::size_t i = 0; i < fields.texts.size(); ++i)
      all["event " + std::string(redact::name_of(redact::text_at(i)))] = fields.texts[i];
    for (std::size_t i = 0; i < fields.numbers.size(); ++i)
      all["event " + std::string(redact::name_of(redact::number_at(i)))] =
          std::to_string(fields.numbers[i].value_or(0));
    for (const auto& [name, value] : fields.attributes) all["event " + name] = value;
    if (fields.settlement) all["event net"] = std::to_string(fields.settlement->net_minor.value_or(0));
    for (const auto& name : fields.incomplete) all["event incomplete " + name] = "";
  }
  return all;
}

// With each bit of its first bitmap turned over in turn.
std::vector<base::Bytes> damaged(const base::Bytes& whole, const Dialect& dialect) {
  std::vector<base::Bytes> all;
  const std::size_t begin = (dialect.header.listed ? 9 : 0) + (dialect.mti == nullptr ? 2 : 4);
  for (unsigned bit = 0; bit < 64; ++bit) {
    base::Bytes bytes = whole;
    if (dialect.bitmap == nullptr) {
      bytes[begin + bit / 8] = static_cast<char>(bytes[begin + bit / 8] ^ (0x80U >> bit % 8));
    } else {
      char& digit = bytes[begin + bit / 4];
      const unsigned value = dialect.bitmap->hex_digit(digit) ^ (8U >> bit % 4);
      digit = dialect.bitmap->byte_of("0123456789ABCDEF"[value]);
    }
    all.push_back(std::move(bytes));
  }
  return all;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& shipped : iso8583::shipped_dialects()) all.emplace_back(shipped.name);
  return all;
}

// A message in one dialect, read in each other one, and with a damaged bitmap in its own.
void check_all_readings(const std::string& mti, const FieldValues& fields, const std::string& written_in,
                        const Card& card) {
  const Secrets secrets(card);
  const Dialect& source = test::dialect(written_in);
  const base::Bytes whole = written(mti, fields, source);
  const auto check = [&](const Dialect& dialect, base::BytesView bytes) {
    for (const auto& [name, value] : told(dialect, bytes)) {
      // Its terminal finds its message by it again, and nobody else sees it.
      if (name == "answer 41") continue;
      const std::string found = secrets.found_in(value, dialect);
      if (!found.empty())
        FAIL_CHECK(
            fmt::format("{} has {}: {} in {}, read in {}", name, found, base::to_hex(bytes), written_in, dialect.name));
    }
  };
  for (const std::string& name : names()) check(test::dialect(name), whole);
  for (const base::Bytes& bytes : damaged(whole, source)) check(source, bytes);
}

std::string mti_of(std::string mti, const Dialect& dialect) {
  mti[0] = dialect.year < 1993 ? '0' : '1';
  return mti;
}

}  // namespace

TEST_CASE(
    "wrong dialect: no piece of a card that any vector holds is told, stored or shown, in whichever dialect or bitmap "
    "it is read") {
  SeededRandom random(1);
  for (const test::IsoVector& vector : test::iso_vectors()) {
    for (const std::string& name : names()) {
      const Dialect& dialect = test::dialect(name);
      const bool is_1987 = vector.mti.starts_with('0');
      if (is_1987 != (dialect.year < 1993)) continue;
      const Card card(random);
      const FieldValues cards = card_fields(card);
      FieldValues as_it_came = vector.fields;
      FieldValues everywhere = vector.fields;
      for (const auto& [number, value] : cards) {
        if (as_it_came.contains(number)) as_it_came[number] = value;
        everywhere[number] = value;
      }
      if (as_it_came != vector.fields) check_all_readings(vector.mti, as_it_came, name, card);
      check_all_readings(vector.mti, everywhere, name, card);
    }
  }
}

TEST_CASE("wrong dialect: nor of any other message") {
  SeededRandom random(1);
  const auto all = names();
  constexpr std::array mtis = {"0220", "0200", "0420", "0320", "0120", "0221", "0500", "0620", "0800"};
  for (unsigned i = 0; i < 150; ++i) {
    const std::string& name = all[random.below(all.size())];
    const Dialect& dialect = test::dialect(name);
    const Card card(random);
    check_all_readings(mti_of(mtis.at(random.below(mtis.size())), dialect), fields_of(random, card, dialect.year), name,
                       card);
  }
}

TEST_CASE("wrong dialect: what is a dialect's own is never taken for another's") {
  for (const test::IsoVector& vector : test::iso_vectors()) {
    CAPTURE(vector.name);
    const Dialect dialect = test::dialect_of(vector);
    const auto message = iso8583::decode(vector.body, dialect);
    REQUIRE(message);
    const auto placement = iso8583::placement_of(*message, vector.body, dialect);
    CAPTURE(placement.text());
    CHECK_FALSE(placement.is_wrong());
  }
  SeededRandom random(1);
  const auto all = names();
  for (unsigned i = 0; i < 5000; ++i) {
    const std::string& name = all[random.below(all.size())];
    const Dialect& dialect = test::dialect(name);
    const Card card(random);
    const base::Bytes bytes =
        written(mti_of("0220", dialect), fields_of(random, card, dialect.year, "0123456789"), dialect);
    const auto message = iso8583::decode(bytes, dialect);
    REQUIRE(message);
    const auto placement = iso8583::placement_of(*message, bytes, dialect);
    CAPTURE(placement.text());
    CAPTURE(base::to_hex(bytes));
    CHECK_FALSE(placement.is_wrong());
  }
}
