#include "firmware-gateway/tap/copies.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/tap/gateway_end.hpp"
#include "proto/wire/tap.pb.h"
#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

namespace {

using redact::Field;
using tap::GatewayEnd;
using test::sale;

base::BytesView payload(const base::Bytes& frame) {
  return base::BytesView(frame).substr(terminal::frame_length_bytes);
}

redact::Draft draft() {
  const auto request = test::message("0420", sale({{2, "4111111111111111"},
                                                   {37, "632700004711"},
                                                   {43, "CORNER SHOP 12         VIENNA       VIAT"},
                                                   {54, "0044978D000000000150"},
                                                   {90, "020000004611231109010000000000000000000000"}}));
  auto made = iso8583::to_draft(request, *iso8583::read_mti("0420"), test::dialect(), {.timed_out = true});
  REQUIRE(made.has_value());
  made->fields.incomplete.emplace_back("mcc");
  return std::move(*made);
}

}  // namespace

TEST_CASE("copies: a draft arrives with all that it holds") {
  const auto sent = draft();
  const auto up = tap::read_up(payload(tap::to_frame(7, draft())));
  REQUIRE(up);
  const auto& copy = std::get<tap::Copy>(*up);
  CHECK(copy.id == 7);
  const auto& fields = copy.draft.fields;
  CHECK(fields.texts == sent.fields.texts);
  CHECK(fields.numbers == sent.fields.numbers);
  CHECK(fields.attributes == sent.fields.attributes);
  CHECK(fields.incomplete == sent.fields.incomplete);
  CHECK(fields.source == redact::Source::iso8583);
  CHECK(fields.on_conflict == redact::OnConflict::store);
  CHECK(copy.draft.card_number.view() == "4111111111111111");
  REQUIRE(fields.original);
  CHECK(fields.original->mti == sent.fields.original->mti);
  CHECK(fields.original->stan == "000046");
  CHECK(fields.original->time == sent.fields.original->time);
  CHECK(fields.original->rrn == sent.fields.original->rrn);
  CHECK(fields.original->is_this == sent.fields.original->is_this);
  REQUIRE(fields.written_local);
  CHECK_FALSE(fields.written_local->year_of_century);
  CHECK(fields.written_local->month == 11);
  CHECK(fields.written_local->day == 23);
  CHECK(fields.written_local->hour == 12);
  CHECK(fields.written_local->minute == 9);
  CHECK(fields.written_local->second == 1);
  CHECK(fields.written_utc->hour == 11);
}

TEST_CASE("copies: what is said of an original arrives, also where nothing names it; and the currency of parts") {
  redact::Draft made = draft();
  made.fields.original = redact::Original{.mti = "",
                                          .stan = "000047",
                                          .time = "",
                                          .rrn = "632700004711",
                                          .rrn_named = true,
                                          .is_this = true,
                                          .rest_minor = 500};
  made.fields.parts_currency = "978";
  const auto up = tap::read_up(payload(tap::to_frame(7, std::move(made))));
  REQUIRE(up);
  const auto& fields = std::get<tap::Copy>(*up).draft.fields;
  REQUIRE(fields.original);
  CHECK(fields.original->mti.empty());
  CHECK(fields.original->stan == "000047");
  CHECK(fields.original->rrn_named);
  CHECK(fields.original->is_this);
  CHECK(fields.original->rest_minor == 500);
  CHECK(fields.parts_currency == "978");
}

TEST_CASE("copies: what is no UTF-8 is told as incomplete, and the rest can be read") {
  redact::Draft made = draft();
  made.fields.text(Field::merchant_name) = "CAF\xC3";
  made.fields.attributes["emv_label"] =
      "CR\xC9"
      "DIT";
  made.fields.original->rrn = "\xFF";
  const auto up = tap::read_up(payload(tap::to_frame(7, std::move(made))));
  REQUIRE(up);
  const auto& fields = std::get<tap::Copy>(*up).draft.fields;
  CHECK(fields.text(Field::merchant_name).empty());
  CHECK(fields.text(Field::merchant_city) == "VIENNA");
  CHECK_FALSE(fields.attributes.contains("emv_label"));
  CHECK(fields.incomplete == std::vector<std::string>{"merchant_name", "emv_label", "mcc"});
  CHECK(fields.original->rrn.empty());
}

TEST_CASE("copies: the shape of what could not be read arrives, but for what is no UTF-8") {
  const tap::Unread unread{.shape = {{"reason", "field 4"}, {"field_11", "004711"}, {"line", "caf\xC3"}},
                           .at = base::UtcTime(std::chrono::milliseconds(5))};
  const auto up = tap::read_up(payload(tap::to_frame(9, unread)));
  REQUIRE(up);
  const auto& told = std::get<tap::ToldUnread>(*up);
  CHECK(told.id == 9);
  CHECK(told.unread.shape == terminal::Shape{{"reason", "field 4"}, {"field_11", "004711"}});
  CHECK(told.unread.at == unread.at);
}

TEST_CASE("copies: losses and verdicts arrive as they were said") {
  const tap::Loss loss{.count = 3,
                       .first_at = base::UtcTime(std::chrono::milliseconds(5)),
                       .last_at = base::UtcTime(std::chrono::milliseconds(9))};
  const auto up = tap::read_up(payload(tap::to_frame(8, loss)));
  REQUIRE(up);
  const auto& told = std::get<tap::ToldLoss>(*up);
  CHECK(told.id == 8);
  CHECK(told.loss.count == 3);
  CHECK(told.loss.first_at == loss.first_at);
  CHECK(told.loss.last_at == loss.last_at);

  using Outcome = tap::Verdict::Outcome;
  const auto verdict = [](const terminal::Answer& answer) {
    return tap::read_verdict(payload(tap::to_frame(9, answer)));
  };
  const auto stored = verdict(terminal::Stored{.event_id = "e", .epoch = "f", .seq = 1, .duplicate = true});
  REQUIRE(stored);
  CHECK(stored->id == 9);
  CHECK(stored->outcome == Outcome::stored);
  CHECK(stored->duplicate);
  using redact::Reason;
  for (std::size_t i = 0; i < redact::reason_count; ++i) {
    const auto reason = static_cast<Reason>(i);
    const auto refused = verdict(terminal::Refusal{reason, "amount_minor", "is x", std::chrono::seconds(5)});
    REQUIRE(refused);
    CHECK(refused->outcome ==
          (reason == Reason::busy || reason == Reason::storage ? Outcome::again : Outcome::refused));
    CHECK(refused->code == word(reason));
    CHECK(refused->field == "amount_minor");
    CHECK(refused->retry_after_seconds == 5);
  }
}

TEST_CASE("copies: a field of a newer tap is told as incomplete, and so is one of another kind") {
  tillstream::v1::TapUp up;
  auto& copy = *up.mutable_copy();
  copy.set_id(1);
  (*copy.mutable_texts())["type"] = "sale";
  (*copy.mutable_texts())["loyalty_points"] = "5";
  (*copy.mutable_texts())["amount_minor"] = "5";
  (*copy.mutable_numbers())["type"] = 5;
  (*copy.mutable_numbers())["amount_minor"] = 5;
  auto read = tap::read_up(up.SerializeAsString());
  REQUIRE(read);
  auto& fields = std::get<tap::Copy>(*read).draft.fields;
  std::ranges::sort(fields.incomplete);
  CHECK(fields.incomplete == std::vector<std::string>{"amount_minor", "loyalty_points", "type"});
  CHECK(fields.text(Field::type) == "sale");
  CHECK(fields.number(Field::amount_minor) == 5);
}

TEST_CASE("copies: a settlement arrives with what its host has made of it") {
  const auto request = test::message(
      "0520", {{3, "960000"}, {7, "1123220000"}, {11, "004800"}, {41, "TERM0001"}, {97, "C0000000000000400"}});
  const auto answer = test::message("0530", {{11, "004800"}, {39, "00"}});
  auto made = iso8583::to_draft(request, *iso8583::read_mti("0520"), test::dialect(), {.answer = &answer});
  REQUIRE(made.has_value());
  const auto up = tap::read_up(payload(tap::to_frame(7, std::move(*made))));
  REQUIRE(up);
  const auto& settlement = std::get<tap::Copy>(*up).draft.fields.settlement;
  REQUIRE(settlement);
  CHECK(settlement->net_minor == -400);
  CHECK(settlement->readable);
  CHECK(settlement->after_upload);
  CHECK_FALSE(settlement->may_ask_upload);
  CHECK(settlement->closed_elsewhere == true);
}

TEST_CASE("copies: times and originals that are none are left out") {
  tillstream::v1::TapUp up;
  auto& copy = *up.mutable_copy();
  copy.mutable_written_local()->set_month(300);
  copy.mutable_written_utc()->set_hour(10);
  copy.mutable_original()->set_mti("02");
  const auto read = tap::read_up(up.SerializeAsString());
  REQUIRE(read);
  const auto& fields = std::get<tap::Copy>(*read).draft.fields;
  CHECK_FALSE(fields.written_local);
  CHECK(fields.written_utc);
  CHECK_FALSE(fields.original);
}

TEST_CASE("copies: what is no message of the protocol is none") {
  CHECK_FALSE(tap::read_up(""));
  CHECK_FALSE(tap::read_up("\xFF\xFF\xFF"));
  CHECK_FALSE(tap::read_verdict(""));
  CHECK_FALSE(tap::read_verdict("\xFF"));
}

TEST_CASE("copies: a draft that is larger than a frame may be gives none") {
  auto large = draft();
  for (int i = 0; i < 100; ++i) large.fields.attributes["a" + std::to_string(i)] = std::string(1000, 'x');
  CHECK(tap::to_frame(1, std::move(large)).empty());
}

TEST_CASE("gateway end: copies and losses come out of pieces of any size; what is none ends it") {
  const base::Bytes bytes =
      tap::to_frame(1, draft()) + tap::to_frame(2, tap::Loss{.count = 1, .first_at = {}, .last_at = {}});
  for (const std::size_t step : {1UL, 5UL, bytes.size()}) {
    GatewayEnd end;
    std::vector<tap::CopyId> ids;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      end.add(base::BytesView(bytes).substr(at, step));
      while (true) {
        const auto next = end.next();
        if (const auto* const copy = std::get_if<tap::Copy>(&next)) {
          ids.push_back(copy->id);
        } else if (const auto* const loss = std::get_if<tap::ToldLoss>(&next)) {
          ids.push_back(loss->id);
        } else {
          CHECK(std::holds_alternative<GatewayEnd::NeedMore>(next));
          break;
        }
      }
    }
    CHECK(ids == std::vector<tap::CopyId>{1, 2});
  }
  GatewayEnd broken;
  broken.add(base::Bytes("\0\0\0\1\xFF", 5));
  CHECK(std::holds_alternative<GatewayEnd::Broken>(broken.next()));
  GatewayEnd huge;
  huge.add("\x7F\xFF\xFF\xFF");
  CHECK(std::holds_alternative<GatewayEnd::Broken>(huge.next()));
}
