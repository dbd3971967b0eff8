#include "firmware-gateway/redact/card_guard.hpp"

#include <doctest/doctest.h>

#include "proto/base/bytes.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/redact/token_keys.hpp"
#include "tests/unit/firmware-gateway/redact/test_cards.hpp"

using redact::AcceptCardNumbers;
using redact::CardGuard;
using redact::Channel;
using redact::Draft;
using redact::Field;
using redact::Reason;

namespace {

constexpr std::string_view pan = "4111111111111111";

CardGuard guard(AcceptCardNumbers accept = AcceptCardNumbers::always, bool with_key = true) {
  redact::GuardSettings settings;
  settings.accept_card_numbers = accept;
  settings.mark_key = redact::Secret(std::string(16, 'm'));
  if (with_key) settings.token_keys.current = token_key("k1");
  return {std::move(settings), platform::hasher()};
}

Draft with_card(std::string_view number) {
  Draft draft;
  draft.card_number.append(number);
  return draft;
}

Draft with_text(Field field, std::string text) {
  Draft draft;
  draft.fields.text(field) = std::move(text);
  return draft;
}

std::string cleared_text(CardGuard& door, Field field, std::string text) {
  auto cleared = door.clear(with_text(field, std::move(text)), {});
  REQUIRE(cleared);
  return cleared->fields().text(field);
}

}  // namespace

TEST_CASE("guard: a card number leaves as last four, brand and token") {
  auto door = guard();
  const auto cleared = door.clear(with_card("4111 1111 1111 1111"), {});
  REQUIRE(cleared);
  CHECK(cleared->fields().text(Field::card_last4) == "1111");
  CHECK(cleared->fields().text(Field::card_brand) == "visa");
  CHECK(cleared->fields().text(Field::card_token_key) == "k1");
  const auto full = platform::hasher().hmac_sha256(std::string(32, 'k'), pan);
  CHECK(cleared->fields().text(Field::card_token) == base::to_base32(full.view().substr(0, 16)));
}

TEST_CASE("guard: while keys are rotated an event carries the token of either, the older one apart") {
  redact::GuardSettings settings;
  settings.accept_card_numbers = AcceptCardNumbers::always;
  settings.mark_key = redact::Secret(std::string(16, 'm'));
  settings.token_keys = {.current = token_key("k2", 'n'), .previous = token_key("k1")};
  CardGuard rotating(std::move(settings), platform::hasher());
  const auto during = rotating.clear(with_card(pan), {});
  REQUIRE(during);
  CHECK(during->fields().text(Field::card_token_key) == "k2");
  REQUIRE(during->fields().previous_token);
  auto before = guard();
  CHECK(during->fields().previous_token->key == "k1");
  CHECK(during->fields().previous_token->token == before.clear(with_card(pan), {})->fields().text(Field::card_token));
  CHECK(during->fields().previous_token->token != during->fields().text(Field::card_token));
  CHECK_FALSE(rotating.clear(with_card("411111******1111"), {})->fields().previous_token);
}

TEST_CASE("guard: without a key there is no token, and a masked number has none either") {
  auto keyless = guard(AcceptCardNumbers::always, false);
  CHECK(keyless.clear(with_card(pan), {})->fields().text(Field::card_token).empty());
  CHECK(keyless.clear(with_card(pan), {})->fields().text(Field::card_token_key).empty());
  auto door = guard();
  const auto masked = door.clear(with_card("411111******1111"), {});
  CHECK(masked->fields().text(Field::card_token).empty());
  CHECK(masked->fields().text(Field::card_last4) == "1111");
}

TEST_CASE("guard: what the terminal knows of the card counts more than what its number suggests") {
  auto door = guard();
  Draft draft = with_card(pan);
  draft.fields.text(Field::card_brand) = "cartes_bancaires";
  draft.fields.text(Field::card_last4) = "1111";
  CHECK(door.clear(std::move(draft), {})->fields().text(Field::card_brand) == "cartes_bancaires");
  Draft other = with_card(pan);
  other.fields.text(Field::card_last4) = "2222";
  const auto refused = door.clear(std::move(other), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "card_last4");
}

TEST_CASE("guard: clear card numbers come only where they may; masked ones anywhere") {
  struct Case {
    AcceptCardNumbers accept{};
    Channel channel;
    bool accepted = false;
  };
  for (const Case& c : {Case{AcceptCardNumbers::never, {.tls = false, .peer_is_loopback = true}, false},
                        Case{AcceptCardNumbers::never, {.tls = true, .peer_is_loopback = false}, true},
                        Case{AcceptCardNumbers::loopback, {.tls = false, .peer_is_loopback = true}, true},
                        Case{AcceptCardNumbers::loopback, {.tls = false, .peer_is_loopback = false}, false},
                        Case{AcceptCardNumbers::loopback, {.tls = true, .peer_is_loopback = false}, true},
                        Case{AcceptCardNumbers::always, {.tls = false, .peer_is_loopback = false}, true}}) {
    auto door = guard(c.accept);
    CHECK(door.clear(with_card("411111******1111"), c.channel).has_value());
    for (const std::string_view number : {pan, std::string_view("4111111111111112")}) {
      const auto result = door.clear(with_card(number), c.channel);
      if (!c.accepted) {
        REQUIRE_FALSE(result);
        CHECK(result.error().reason == Reason::card_number_refused);
        CHECK(redact::status_of(result.error().reason) == 403);
        CHECK(result.error().field == "card_number");
      } else {
        CHECK(result.has_value() == (number == pan));
      }
    }
  }
}

TEST_CASE("guard: of what has happened an unreadable number is left out and named; it is refused where none may come") {
  const auto happened = [](std::string_view number) {
    Draft draft = with_card(number);
    draft.fields.on_conflict = redact::OnConflict::store;
    return draft;
  };
  auto door = guard(AcceptCardNumbers::never);
  const auto kept = door.clear(happened("no card"), {});
  REQUIRE(kept);
  CHECK(kept->fields().incomplete == std::vector<std::string>{"card_number"});
  CHECK(door.clear(happened("4111111111111112"), {}).error().reason == Reason::card_number_refused);
  auto open = guard(AcceptCardNumbers::always);
  CHECK(open.clear(happened("4111111111111112"), {})->fields().text(Field::card_last4).empty());
  Draft other = happened(pan);
  other.fields.text(Field::card_last4) = "2222";
  CHECK(open.clear(std::move(other), {})->fields().incomplete == std::vector<std::string>{"card_last4"});
}

TEST_CASE("guard: free text loses its card numbers, and each is counted for its field") {
  auto door = guard();
  CHECK(cleared_text(door, Field::merchant_name, "Cafe 4111 1111 1111 1111") == "Cafe [card data]");
  CHECK(cleared_text(door, Field::operator_id, "5555555555554444 4111111111111111") == "[card data] [card data]");
  CHECK(door.masked().at(static_cast<std::size_t>(Field::merchant_name)) == 1);
  CHECK(door.masked().at(static_cast<std::size_t>(Field::operator_id)) == 2);
  CHECK(door.masked().at(static_cast<std::size_t>(Field::till_id)) == 0);
}

TEST_CASE("guard: references that hold card numbers stay apart from each other, and equal ones equal") {
  auto door = guard();
  const std::string one = cleared_text(door, Field::terminal_ref, "R4111111111111111");
  const std::string same = cleared_text(door, Field::terminal_ref, "R4111111111111111");
  const std::string other = cleared_text(door, Field::terminal_ref, "R5555555555554444");
  CHECK(one == same);
  CHECK(one != other);
  CHECK(one.size() <= std::string_view("R4111111111111").size());
  CHECK(door.clear_identity("R4111111111111111") == one);
  CHECK(door.clear_identity(one) == one);
}

TEST_CASE("guard: a token that cannot be told from a card number is dropped") {
  auto door = guard();
  CHECK(cleared_text(door, Field::card_token, "4111111111111111").empty());
  CHECK(cleared_text(door, Field::card_par, "4111111111111111").empty());
  CHECK(cleared_text(door, Field::card_token, "tok_8a7b6c5d") == "tok_8a7b6c5d");
}

TEST_CASE("guard: attributes are cleared in keys and values, and by what their key says they are") {
  auto door = guard();
  Draft draft;
  draft.fields.attributes = {{"note", "card 4111111111111111"},
                             {"4111111111111111", "a"},
                             {"5555555555554444", "b"},
                             {"CVV-2", "123"},
                             {"Pin Block", "8F2A"},
                             {"table", "12"}};
  const auto cleared = door.clear(std::move(draft), {});
  REQUIRE(cleared);
  const auto& attributes = cleared->fields().attributes;
  CHECK(attributes.size() == 6);
  CHECK(attributes.at("note") == "card [card data]");
  CHECK(attributes.at("[card data]") == "a");
  CHECK(attributes.at("[card data]2") == "b");
  CHECK(attributes.at("CVV-2") == "[card data]");
  CHECK(attributes.at("Pin Block") == "[card data]");
  CHECK(attributes.at("table") == "12");
}

TEST_CASE("guard: a refusal never repeats what was sent") {
  auto door = guard();
  for (const auto& card : redact_test::cards) {
    std::string wrong(card.number);
    wrong.back() = wrong.back() == '9' ? '0' : static_cast<char>(wrong.back() + 1);
    const auto result = door.clear(with_card(wrong), {});
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find(wrong.substr(0, 6)) == std::string::npos);
  }
}
