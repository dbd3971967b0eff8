#include "firmware-gateway/tap/copies.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include "firmware-gateway/terminal/framed.hpp"
#include "proto/base/utf8.hpp"
#include "proto/wire/parse.hpp"
#include "proto/wire/tap.pb.h"

namespace tap {
namespace {

using redact::Draft;
using redact::Field;
using redact::Fields;
using redact::Reason;
using redact::WrittenTime;
using tillstream::v1::TapAnswer;
using tillstream::v1::TapCopy;
using tillstream::v1::TapUp;

base::Bytes frame_of(const google::protobuf::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  if (size > terminal::frame_bytes_max) return {};
  base::Bytes frame(terminal::frame_length_bytes + size, '\0');
  for (std::size_t i = 0; i < terminal::frame_length_bytes; ++i)
    frame[i] = static_cast<char>(size >> (8 * (terminal::frame_length_bytes - 1 - i)));
  static_cast<void>(message.SerializeToArray(frame.data() + terminal::frame_length_bytes, static_cast<int>(size)));
  return frame;
}

void put(TapCopy::Written& to, const WrittenTime& from) {
  if (from.year_of_century) to.set_year_of_century(*from.year_of_century);
  to.set_month(from.month);
  to.set_day(from.day);
  to.set_hour(from.hour);
  to.set_minute(from.minute);
  to.set_second(from.second);
}

// Whatever is no date or time: the mapping never writes such.
bool is_time(const TapCopy::Written& written) {
  return written.month() <= 12 && written.day() <= 31 && written.hour() <= 23 && written.minute() <= 59 &&
         written.second() <= 60 && written.year_of_century() <= 99 && (written.month() == 0) == (written.day() == 0);
}

std::optional<WrittenTime> read_time(const TapCopy::Written& written) {
  if (!is_time(written)) return std::nullopt;
  WrittenTime time{.year_of_century = {},
                   .month = static_cast<std::uint8_t>(written.month()),
                   .day = static_cast<std::uint8_t>(written.day()),
                   .hour = static_cast<std::uint8_t>(written.hour()),
                   .minute = static_cast<std::uint8_t>(written.minute()),
                   .second = static_cast<std::uint8_t>(written.second())};
  if (written.has_year_of_century()) time.year_of_century = static_cast<std::uint8_t>(written.year_of_century());
  return time;
}

void put(TapCopy::Original& copy, const redact::Original& original) {
  copy.set_mti(original.mti);
  copy.set_stan(original.stan);
  copy.set_time(original.time);
  if (base::utf8_prefix(original.rrn) == original.rrn.size()) copy.set_rrn(original.rrn);
  copy.set_rrn_named(original.rrn_named);
  copy.set_is_this(original.is_this);
  if (original.rest_minor) copy.set_rest_minor(*original.rest_minor);
}

void put(TapCopy::Settlement& copy, const redact::Settlement& settlement) {
  if (settlement.net_minor) copy.set_net_minor(*settlement.net_minor);
  copy.set_readable(settlement.readable);
  copy.set_after_upload(settlement.after_upload);
  copy.set_closed(settlement.closed_elsewhere.value_or(false));
}

// A frame holds nothing but UTF-8. What is none is told as incomplete: in the frame it would be what the gateway cannot
// read, and so be sent again for ever, and all others behind it.
bool fits(TapCopy& copy, std::string_view name, std::string_view text) {
  const bool fits = base::utf8_prefix(text) == text.size();
  if (!fits) copy.add_incomplete(std::string(name));
  return fits;
}

void put(TapCopy& copy, Fields& fields) {
  for (std::size_t i = 0; i < redact::text_count; ++i) {
    const Field field = redact::text_at(i);
    if (!fields.text(field).empty() && fits(copy, redact::name_of(field), fields.text(field)))
      (*copy.mutable_texts())[std::string(redact::name_of(field))] = std::move(fields.text(field));
  }
  for (std::size_t i = 0; i < redact::number_count; ++i) {
    const Field field = redact::number_at(i);
    if (const auto& number = fields.number(field))
      (*copy.mutable_numbers())[std::string(redact::name_of(field))] = *number;
  }
  for (auto& [name, value] : fields.attributes)
    if (fits(copy, name, value)) (*copy.mutable_attributes())[name] = std::move(value);
  for (std::string& name : fields.incomplete) copy.add_incomplete(std::move(name));
  if (fields.written_local) put(*copy.mutable_written_local(), *fields.written_local);
  if (fields.written_utc) put(*copy.mutable_written_utc(), *fields.written_utc);
  if (fields.original) put(*copy.mutable_original(), *fields.original);
  if (base::utf8_prefix(fields.parts_currency) == fields.parts_currency.size())
    copy.set_parts_currency(fields.parts_currency);
  if (fields.settlement) put(*copy.mutable_settlement(), *fields.settlement);
}

// A known field of that kind.
std::optional<Field> find(const std::string& name, redact::Kind kind) {
  const auto field = redact::find_field(name);
  return field && redact::rule_of(*field).kind == kind ? field : std::nullopt;
}

constexpr std::size_t mti_digits = 4;

std::optional<redact::Original> read_original(const TapCopy::Original& original) {
  if ((!original.mti().empty() && original.mti().size() != mti_digits) || original.stan().empty()) return std::nullopt;
  redact::Original read{.mti = original.mti(),
                        .stan = original.stan(),
                        .time = original.time(),
                        .rrn = original.rrn(),
                        .rrn_named = original.rrn_named(),
                        .is_this = original.is_this(),
                        .rest_minor = {}};
  if (original.has_rest_minor()) read.rest_minor = original.rest_minor();
  return read;
}

redact::Settlement read_settlement(const TapCopy::Settlement& copy) {
  redact::Settlement settlement{.net_minor = {},
                                .readable = copy.readable(),
                                .after_upload = copy.after_upload(),
                                .may_ask_upload = false,
                                .closed_elsewhere = copy.closed()};
  if (copy.has_net_minor()) settlement.net_minor = copy.net_minor();
  return settlement;
}

Draft read_draft(TapCopy& copy) {
  Draft draft;
  Fields& fields = draft.fields;
  fields.source = redact::Source::iso8583;
  fields.on_conflict = redact::OnConflict::store;
  for (auto& [name, value] : *copy.mutable_texts()) {
    if (const auto field = find(name, redact::Kind::text)) {
      fields.text(*field) = std::move(value);
    } else {
      fields.incomplete.push_back(name);
    }
  }
  for (const auto& [name, value] : copy.numbers()) {
    if (const auto field = find(name, redact::Kind::integer)) {
      fields.number(*field) = value;
    } else {
      fields.incomplete.push_back(name);
    }
  }
  draft.card_number.append(copy.card_number());
  redact::wipe(*copy.mutable_card_number());
  for (auto& [name, value] : *copy.mutable_attributes()) fields.attributes.emplace(name, std::move(value));
  for (std::string& name : *copy.mutable_incomplete()) fields.incomplete.push_back(std::move(name));
  if (copy.has_written_local()) fields.written_local = read_time(copy.written_local());
  if (copy.has_written_utc()) fields.written_utc = read_time(copy.written_utc());
  if (copy.has_original()) fields.original = read_original(copy.original());
  fields.parts_currency = copy.parts_currency();
  if (copy.has_settlement()) fields.settlement = read_settlement(copy.settlement());
  return draft;
}

TapAnswer::Outcome outcome_of(Reason reason) {
  return reason == Reason::busy || reason == Reason::storage ? TapAnswer::AGAIN : TapAnswer::REFUSED;
}

}  // namespace

base::Bytes to_frame(CopyId id, Draft draft) {
  TapUp up;
  TapCopy& copy = *up.mutable_copy();
  copy.set_id(id);
  put(copy, draft.fields);
  copy.set_card_number(draft.card_number.view().data(), draft.card_number.size());
  base::Bytes frame = frame_of(up);
  redact::wipe(*copy.mutable_card_number());
  return frame;
}

base::Bytes to_frame(CopyId id, const Loss& loss) {
  TapUp up;
  up.mutable_loss()->set_id(id);
  up.mutable_loss()->set_count(loss.count);
  up.mutable_loss()->set_first_at_ms(loss.first_at.time_since_epoch().count());
  up.mutable_loss()->set_last_at_ms(loss.last_at.time_since_epoch().count());
  return frame_of(up);
}

base::Bytes to_frame(CopyId id, const Unread& unread) {
  TapUp up;
  tillstream::v1::TapLoss& loss = *up.mutable_loss();
  loss.set_id(id);
  loss.set_count(1);
  loss.set_first_at_ms(unread.at.time_since_epoch().count());
  loss.set_last_at_ms(unread.at.time_since_epoch().count());
  for (const auto& [name, value] : unread.shape)
    if (base::utf8_prefix(value) == value.size()) loss.mutable_shape()->insert({name, value});
  return frame_of(up);
}

base::Bytes to_frame(CopyId id, const terminal::Answer& given) {
  TapAnswer answer;
  answer.set_id(id);
  if (const auto* const stored = std::get_if<terminal::Stored>(&given)) {
    answer.set_outcome(TapAnswer::STORED);
    answer.set_duplicate(stored->duplicate);
  } else {
    const auto& refusal = std::get<terminal::Refusal>(given);
    answer.set_outcome(outcome_of(refusal.reason));
    answer.set_error_code(std::string(word(refusal.reason)));
    answer.set_error_field(std::string(refusal.field));
    answer.set_error_message(refusal.message);
    answer.set_retry_after_seconds(static_cast<std::uint32_t>(refusal.retry_after.count()));
  }
  return frame_of(answer);
}

std::optional<Up> read_up(base::BytesView payload) {
  TapUp up;
  if (!wire::parse(up, payload)) return std::nullopt;
  if (up.has_copy()) return Copy{.id = up.copy().id(), .draft = read_draft(*up.mutable_copy())};
  if (!up.has_loss()) return std::nullopt;
  const auto at = [](std::int64_t ms) { return base::UtcTime(std::chrono::milliseconds(ms)); };
  const auto& shape = up.loss().shape();
  if (!shape.empty())
    return ToldUnread{.id = up.loss().id(),
                      .unread = {.shape = {shape.begin(), shape.end()}, .at = at(up.loss().first_at_ms())}};
  return ToldLoss{
      .id = up.loss().id(),
      .loss = {
          .count = up.loss().count(), .first_at = at(up.loss().first_at_ms()), .last_at = at(up.loss().last_at_ms())}};
}

std::optional<Verdict> read_verdict(base::BytesView payload) {
  TapAnswer answer;
  if (!wire::parse(answer, payload)) return std::nullopt;
  Verdict verdict{.id = answer.id(),
                  .outcome = {},
                  .duplicate = answer.duplicate(),
                  .code = answer.error_code(),
                  .field = answer.error_field(),
                  .retry_after_seconds = answer.retry_after_seconds()};
  switch (answer.outcome()) {
    case TapAnswer::STORED:
      verdict.outcome = Verdict::Outcome::stored;
      return verdict;
    case TapAnswer::AGAIN:
      verdict.outcome = Verdict::Outcome::again;
      return verdict;
    case TapAnswer::REFUSED:
      verdict.outcome = Verdict::Outcome::refused;
      return verdict;
    default:
      return std::nullopt;
  }
}

}  // namespace tap
