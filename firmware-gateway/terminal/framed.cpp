#include "firmware-gateway/terminal/framed.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
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

struct TextMember {
  int number;
  Field field;
  std::string* (Submit::*text)();
};

constexpr std::array text_members{
    TextMember{Submit::kTypeFieldNumber, Field::type, &Submit::mutable_type},
    TextMember{Submit::kTerminalIdFieldNumber, Field::terminal_id, &Submit::mutable_terminal_id},
    TextMember{Submit::kTerminalRefFieldNumber, Field::terminal_ref, &Submit::mutable_terminal_ref},
    TextMember{Submit::kOccurredAtFieldNumber, Field::occurred_at, &Submit::mutable_occurred_at},
    TextMember{Submit::kMerchantIdFieldNumber, Field::merchant_id, &Submit::mutable_merchant_id},
    TextMember{Submit::kMerchantNameFieldNumber, Field::merchant_name, &Submit::mutable_merchant_name},
    TextMember{Submit::kMerchantCityFieldNumber, Field::merchant_city, &Submit::mutable_merchant_city},
    TextMember{Submit::kMccFieldNumber, Field::mcc, &Submit::mutable_mcc},
    TextMember{Submit::kTillIdFieldNumber, Field::till_id, &Submit::mutable_till_id},
    TextMember{Submit::kOperatorIdFieldNumber, Field::operator_id, &Submit::mutable_operator_id},
    TextMember{Submit::kBatchNoFieldNumber, Field::batch_no, &Submit::mutable_batch_no},
    TextMember{Submit::kCurrencyFieldNumber, Field::currency, &Submit::mutable_currency},
    TextMember{Submit::kOutcomeFieldNumber, Field::outcome, &Submit::mutable_outcome},
    TextMember{Submit::kAuthorizedByFieldNumber, Field::authorized_by, &Submit::mutable_authorized_by},
    TextMember{Submit::kCardLast4FieldNumber, Field::card_last4, &Submit::mutable_card_last4},
    TextMember{Submit::kCardBrandFieldNumber, Field::card_brand, &Submit::mutable_card_brand},
    TextMember{Submit::kCardTokenFieldNumber, Field::card_token, &Submit::mutable_card_token},
    TextMember{Submit::kCardTokenKeyFieldNumber, Field::card_token_key, &Submit::mutable_card_token_key},
    TextMember{Submit::kCardParFieldNumber, Field::card_par, &Submit::mutable_card_par},
    TextMember{Submit::kEntryModeFieldNumber, Field::entry_mode, &Submit::mutable_entry_mode},
    TextMember{Submit::kCvmFieldNumber, Field::cvm, &Submit::mutable_cvm},
    TextMember{Submit::kEmvAidFieldNumber, Field::emv_aid, &Submit::mutable_emv_aid},
    TextMember{Submit::kResponseCodeFieldNumber, Field::response_code, &Submit::mutable_response_code},
    TextMember{Submit::kAuthCodeFieldNumber, Field::auth_code, &Submit::mutable_auth_code},
    TextMember{Submit::kRrnFieldNumber, Field::rrn, &Submit::mutable_rrn},
    TextMember{Submit::kStanFieldNumber, Field::stan, &Submit::mutable_stan},
    TextMember{Submit::kOriginalRefFieldNumber, Field::original_ref, &Submit::mutable_original_ref},
    TextMember{Submit::kOriginalTerminalIdFieldNumber, Field::original_terminal_id,
               &Submit::mutable_original_terminal_id},
    TextMember{Submit::kOriginalTypeFieldNumber, Field::original_type, &Submit::mutable_original_type},
    TextMember{Submit::kReasonFieldNumber, Field::reason, &Submit::mutable_reason},
};
static_assert(text_members.size() == redact::text_count);

struct NumberMember {
  int number;
  Field field;
  bool (Submit::*given)() const;
  std::int64_t (Submit::*value)() const;
};

constexpr std::array number_members{
    NumberMember{Submit::kAmountMinorFieldNumber, Field::amount_minor, &Submit::has_amount_minor,
                 &Submit::amount_minor},
    NumberMember{Submit::kRequestedMinorFieldNumber, Field::requested_minor, &Submit::has_requested_minor,
                 &Submit::requested_minor},
    NumberMember{Submit::kTipMinorFieldNumber, Field::tip_minor, &Submit::has_tip_minor, &Submit::tip_minor},
    NumberMember{Submit::kCashbackMinorFieldNumber, Field::cashback_minor, &Submit::has_cashback_minor,
                 &Submit::cashback_minor},
    NumberMember{Submit::kSurchargeMinorFieldNumber, Field::surcharge_minor, &Submit::has_surcharge_minor,
                 &Submit::surcharge_minor},
    NumberMember{Submit::kInstallmentsFieldNumber, Field::installments, &Submit::has_installments,
                 &Submit::installments},
    NumberMember{Submit::kSalesCountFieldNumber, Field::sales_count, &Submit::has_sales_count, &Submit::sales_count},
    NumberMember{Submit::kSalesMinorFieldNumber, Field::sales_minor, &Submit::has_sales_minor, &Submit::sales_minor},
    NumberMember{Submit::kRefundsCountFieldNumber, Field::refunds_count, &Submit::has_refunds_count,
                 &Submit::refunds_count},
    NumberMember{Submit::kRefundsMinorFieldNumber, Field::refunds_minor, &Submit::has_refunds_minor,
                 &Submit::refunds_minor},
    NumberMember{Submit::kReversalsCountFieldNumber, Field::reversals_count, &Submit::has_reversals_count,
                 &Submit::reversals_count},
    NumberMember{Submit::kReversalsMinorFieldNumber, Field::reversals_minor, &Submit::has_reversals_minor,
                 &Submit::reversals_minor},
    NumberMember{Submit::kRefundReversalsCountFieldNumber, Field::refund_reversals_count,
                 &Submit::has_refund_reversals_count, &Submit::refund_reversals_count},
    NumberMember{Submit::kRefundReversalsMinorFieldNumber, Field::refund_reversals_minor,
                 &Submit::has_refund_reversals_minor, &Submit::refund_reversals_minor},
    NumberMember{Submit::kDeclinedCountFieldNumber, Field::declined_count, &Submit::has_declined_count,
                 &Submit::declined_count},
    NumberMember{Submit::kFailedCountFieldNumber, Field::failed_count, &Submit::has_failed_count,
                 &Submit::failed_count},
};
static_assert(number_members.size() == redact::number_count);

struct KnownField {
  Field field{};
  bool known = false;
  bool integer = false;
};

// By its number.
constexpr auto known_fields = [] {
  std::array<KnownField, redact::field_count + 1> fields{};
  for (const TextMember& member : text_members)
    fields.at(static_cast<std::size_t>(member.number)) = {member.field, true, false};
  for (const NumberMember& member : number_members)
    fields.at(static_cast<std::size_t>(member.number)) = {member.field, true, true};
  fields.at(Submit::kCardNumberFieldNumber) = {Field::card_number, true, false};
  fields.at(Submit::kAttributesFieldNumber) = {Field::attributes, true, false};
  return fields;
}();

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

CodedInputStream stream_of(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
}

// What the tag just read is followed by, when that has its length before it.
std::string_view take_bytes(CodedInputStream& input, std::string_view bytes) {
  std::uint32_t size = 0;
  const bool read = input.ReadVarint32(&size);
  const auto at = static_cast<std::size_t>(input.CurrentPosition());
  ASSERT(read && size <= bytes.size() - at);  // it has been parsed before
  input.Skip(static_cast<int>(size));
  return bytes.substr(at, size);
}

std::optional<Refusal> check_attribute(std::string_view entry, std::set<std::string_view>& keys) {
  constexpr std::uint32_t key = 1;
  constexpr std::uint32_t value = 2;
  CodedInputStream input = stream_of(entry);
  std::array<bool, value + 1> seen{};
  std::string_view name;
  while (const std::uint32_t tag = input.ReadTag()) {
    const auto number = static_cast<std::uint32_t>(WireFormatLite::GetTagFieldNumber(tag));
    if (number > value || WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED)
      return redact::invalid(Field::attributes, "holds an entry with more than a key and a value");
    if (std::exchange(seen.at(number), true))
      return redact::invalid(Field::attributes, "holds an entry with two keys or values");
    const std::string_view text = take_bytes(input, entry);
    if (number == key) name = text;
  }
  if (!keys.insert(name).second) return redact::invalid(Field::attributes, "holds a key twice");
  return std::nullopt;
}

// Protobuf's light runtime keeps unknown fields without saying so, and of a field that comes twice it takes the last.
// Fields that came with another wire type count as unknown.
std::optional<Refusal> check_fields(std::string_view payload) {
  CodedInputStream input = stream_of(payload);
  std::array<bool, known_fields.size()> seen{};
  std::set<std::string_view> keys;
  while (const std::uint32_t tag = input.ReadTag()) {
    const auto number = static_cast<std::size_t>(WireFormatLite::GetTagFieldNumber(tag));
    const KnownField field = number < known_fields.size() ? known_fields.at(number) : KnownField{};
    const auto type = field.integer ? WireFormatLite::WIRETYPE_VARINT : WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (!field.known || WireFormatLite::GetTagWireType(tag) != type)
      return Refusal{Reason::invalid_field,
                     {},
                     fmt::format("holds a field with number {} that is not known, or of another type", number),
                     {}};
    if (field.field == Field::attributes) {
      if (auto refusal = check_attribute(take_bytes(input, payload), keys)) return refusal;
      continue;
    }
    if (std::exchange(seen.at(number), true)) return redact::invalid(field.field, "is given twice");
    WireFormatLite::SkipField(&input, tag);
  }
  return std::nullopt;
}

Draft to_draft(Submit& submit) {
  Draft draft;
  draft.fields.source = redact::Source::framed;
  for (const TextMember& member : text_members) draft.fields.text(member.field).swap(*(submit.*member.text)());
  for (const NumberMember& member : number_members)
    if ((submit.*member.given)()) draft.fields.number(member.field) = (submit.*member.value)();
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
  if (auto refusal = check_fields(payload)) return base::fail(std::move(*refusal));
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
