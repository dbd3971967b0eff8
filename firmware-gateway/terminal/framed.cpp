#include "firmware-gateway/terminal/framed.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "firmware-gateway/terminal/json_event.hpp"
#include "proto/base/assert.hpp"
#include "proto/wire/framed.pb.h"
#include "proto/wire/parse.hpp"

namespace terminal {
namespace {

using redact::Draft;
using redact::Field;
using tillstream::v1::Submit;

std::uint32_t read_length(std::string_view bytes) {
  std::uint32_t length = 0;
  for (const char c : bytes.substr(0, frame_length_bytes)) length = (length << 8U) | static_cast<std::uint8_t>(c);
  return length;
}

// The light protobuf runtime keeps unknown fields without saying so. Fields that came with another wire type count as
// unknown.
bool is_known(std::uint32_t tag) {
  using google::protobuf::internal::WireFormatLite;
  constexpr std::array integers{Submit::kAmountMinorFieldNumber,
                                Submit::kRequestedMinorFieldNumber,
                                Submit::kTipMinorFieldNumber,
                                Submit::kCashbackMinorFieldNumber,
                                Submit::kSurchargeMinorFieldNumber,
                                Submit::kInstallmentsFieldNumber,
                                Submit::kSalesCountFieldNumber,
                                Submit::kSalesMinorFieldNumber,
                                Submit::kRefundsCountFieldNumber,
                                Submit::kRefundsMinorFieldNumber,
                                Submit::kReversalsCountFieldNumber,
                                Submit::kReversalsMinorFieldNumber,
                                Submit::kRefundReversalsCountFieldNumber,
                                Submit::kRefundReversalsMinorFieldNumber,
                                Submit::kDeclinedCountFieldNumber,
                                Submit::kFailedCountFieldNumber};
  constexpr int last = Submit::kFailedCountFieldNumber;
  static_assert(Submit::kTypeFieldNumber == 1 && last == redact::field_count);
  const int number = WireFormatLite::GetTagFieldNumber(tag);
  const bool integer = std::ranges::find(integers, number) != integers.end();
  return number <= last && WireFormatLite::GetTagWireType(tag) ==
                               (integer ? WireFormatLite::WIRETYPE_VARINT : WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

// The number of the first field that is not known, or is not what it should be.
std::optional<int> find_unknown_field(std::string_view payload) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(payload.data()),
                                               static_cast<int>(payload.size()));
  while (const std::uint32_t tag = input.ReadTag())
    if (!is_known(tag) || !google::protobuf::internal::WireFormatLite::SkipField(&input, tag))
      return google::protobuf::internal::WireFormatLite::GetTagFieldNumber(tag);
  return std::nullopt;
}

struct TextMember {
  Field field;
  std::string* (Submit::*text)();
};

constexpr std::array text_members{
    TextMember{Field::type, &Submit::mutable_type},
    TextMember{Field::terminal_id, &Submit::mutable_terminal_id},
    TextMember{Field::terminal_ref, &Submit::mutable_terminal_ref},
    TextMember{Field::occurred_at, &Submit::mutable_occurred_at},
    TextMember{Field::merchant_id, &Submit::mutable_merchant_id},
    TextMember{Field::merchant_name, &Submit::mutable_merchant_name},
    TextMember{Field::merchant_city, &Submit::mutable_merchant_city},
    TextMember{Field::mcc, &Submit::mutable_mcc},
    TextMember{Field::till_id, &Submit::mutable_till_id},
    TextMember{Field::operator_id, &Submit::mutable_operator_id},
    TextMember{Field::batch_no, &Submit::mutable_batch_no},
    TextMember{Field::currency, &Submit::mutable_currency},
    TextMember{Field::outcome, &Submit::mutable_outcome},
    TextMember{Field::authorized_by, &Submit::mutable_authorized_by},
    TextMember{Field::card_last4, &Submit::mutable_card_last4},
    TextMember{Field::card_brand, &Submit::mutable_card_brand},
    TextMember{Field::card_token, &Submit::mutable_card_token},
    TextMember{Field::card_token_key, &Submit::mutable_card_token_key},
    TextMember{Field::card_par, &Submit::mutable_card_par},
    TextMember{Field::entry_mode, &Submit::mutable_entry_mode},
    TextMember{Field::cvm, &Submit::mutable_cvm},
    TextMember{Field::emv_aid, &Submit::mutable_emv_aid},
    TextMember{Field::response_code, &Submit::mutable_response_code},
    TextMember{Field::auth_code, &Submit::mutable_auth_code},
    TextMember{Field::rrn, &Submit::mutable_rrn},
    TextMember{Field::stan, &Submit::mutable_stan},
    TextMember{Field::original_ref, &Submit::mutable_original_ref},
    TextMember{Field::original_terminal_id, &Submit::mutable_original_terminal_id},
    TextMember{Field::original_type, &Submit::mutable_original_type},
    TextMember{Field::reason, &Submit::mutable_reason},
};
static_assert(text_members.size() == redact::text_count);

struct NumberMember {
  Field field;
  bool (Submit::*given)() const;
  std::int64_t (Submit::*number)() const;
};

constexpr std::array number_members{
    NumberMember{Field::amount_minor, &Submit::has_amount_minor, &Submit::amount_minor},
    NumberMember{Field::requested_minor, &Submit::has_requested_minor, &Submit::requested_minor},
    NumberMember{Field::tip_minor, &Submit::has_tip_minor, &Submit::tip_minor},
    NumberMember{Field::cashback_minor, &Submit::has_cashback_minor, &Submit::cashback_minor},
    NumberMember{Field::surcharge_minor, &Submit::has_surcharge_minor, &Submit::surcharge_minor},
    NumberMember{Field::installments, &Submit::has_installments, &Submit::installments},
    NumberMember{Field::sales_count, &Submit::has_sales_count, &Submit::sales_count},
    NumberMember{Field::sales_minor, &Submit::has_sales_minor, &Submit::sales_minor},
    NumberMember{Field::refunds_count, &Submit::has_refunds_count, &Submit::refunds_count},
    NumberMember{Field::refunds_minor, &Submit::has_refunds_minor, &Submit::refunds_minor},
    NumberMember{Field::reversals_count, &Submit::has_reversals_count, &Submit::reversals_count},
    NumberMember{Field::reversals_minor, &Submit::has_reversals_minor, &Submit::reversals_minor},
    NumberMember{Field::refund_reversals_count, &Submit::has_refund_reversals_count, &Submit::refund_reversals_count},
    NumberMember{Field::refund_reversals_minor, &Submit::has_refund_reversals_minor, &Submit::refund_reversals_minor},
    NumberMember{Field::declined_count, &Submit::has_declined_count, &Submit::declined_count},
    NumberMember{Field::failed_count, &Submit::has_failed_count, &Submit::failed_count},
};
static_assert(number_members.size() == redact::number_count);

Draft to_draft(Submit& submit) {
  Draft draft;
  draft.fields.source = redact::Source::framed;
  for (const TextMember& member : text_members) draft.fields.text(member.field).swap(*(submit.*member.text)());
  for (const NumberMember& member : number_members)
    if ((submit.*member.given)()) draft.fields.number(member.field) = (submit.*member.number)();
  draft.card_number.append(submit.card_number());
  redact::wipe(*submit.mutable_card_number());
  for (auto& [name, value] : *submit.mutable_attributes()) draft.fields.attributes.emplace(name, std::move(value));
  return draft;
}

tillstream::v1::Answer to_wire(const Stored& stored) {
  tillstream::v1::Answer answer;
  answer.set_event_id(stored.event_id);
  answer.set_epoch(stored.epoch);
  answer.set_seq(stored.seq);
  answer.set_duplicate(stored.duplicate);
  return answer;
}

tillstream::v1::Answer to_wire(const Refusal& refusal) {
  tillstream::v1::Answer answer;
  answer.set_error_code(std::string(word(refusal.reason)));
  answer.set_error_field(std::string(refusal.field));
  answer.set_error_message(refusal.message);
  answer.set_retry_after_seconds(static_cast<std::uint32_t>(refusal.retry_after.count()));
  return answer;
}

}  // namespace

void FrameReader::add(std::string_view bytes) {
  drop_read();
  buffer_.append(bytes);
}

// What has been read may hold card data, and so may the place from which the rest is moved.
void FrameReader::drop_read() {
  redact::wipe(buffer_.data(), at_);
  std::ranges::rotate(buffer_, buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  buffer_.resize(buffer_.size() - std::exchange(at_, 0));
}

FrameReader::Next FrameReader::next() {
  drop_read();
  const std::string_view rest = buffer_;
  if (too_large_) return TooLarge{};
  if (rest.size() < frame_length_bytes) return NeedMore{};
  const std::uint32_t length = read_length(rest);
  too_large_ = length > frame_bytes_max;
  if (too_large_) return TooLarge{};
  if (rest.size() < frame_length_bytes + length) return NeedMore{};
  at_ += frame_length_bytes + length;
  return Frame{rest.substr(frame_length_bytes, length)};
}

base::Result<Draft, Refusal> read_submit(std::string_view payload) {
  if (payload.size() > event_bytes_max) return base::fail(event_too_large());
  Submit submit;
  if (!wire::parse(submit, payload))
    return base::fail(Refusal{Reason::invalid_protobuf, {}, "is no Submit message", {}});
  if (const auto number = find_unknown_field(payload))
    return base::fail(
        Refusal{Reason::invalid_field,
                {},
                fmt::format("holds a field with number {} that is not known, or of another type", *number),
                {}});
  return to_draft(submit);
}

std::string to_frame(const Answer& answer) {
  tillstream::v1::Answer wire = std::visit([](const auto& kind) { return to_wire(kind); }, answer);
  wire.set_status(status_of(answer));
  const std::string payload = wire.SerializeAsString();
  ASSERT(payload.size() <= frame_bytes_max);
  std::string frame;
  for (unsigned shift = 32; shift > 0; shift -= 8) frame += static_cast<char>(payload.size() >> (shift - 8));
  return frame + payload;
}

Dialogue::Step FramedDialogue::take(Exchange& exchange) {
  const auto next = reader_.next();
  if (std::holds_alternative<FrameReader::NeedMore>(next)) return Step::need_more;
  const auto refuse = [&](const Refusal& refusal) {
    exchange.on_refused(refusal.reason);
    exchange.say(to_frame(refusal));
  };
  if (std::holds_alternative<FrameReader::TooLarge>(next)) {
    refuse(event_too_large());
    return Step::ended;
  }
  auto draft = read_submit(std::get<FrameReader::Frame>(next).payload);
  if (draft) {
    exchange.store(std::move(*draft), &to_frame);
  } else {
    refuse(draft.error());
  }
  return Step::taken;
}

}  // namespace terminal
