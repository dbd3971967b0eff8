#include "firmware-gateway/terminal/iso8583/host/host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "firmware-gateway/terminal/iso8583/host/response_codes.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace iso8583 {
namespace {

constexpr unsigned terminal_field = 41;
constexpr unsigned stan_field = 11;
constexpr unsigned response_field = 39;
constexpr unsigned settlement_code_field = 66;
// What makes out a transaction, when the rest of its message cannot be read.
constexpr std::array essential = {stan_field, terminal_field, 3U, 4U};

// Field 66 (1987; in 1993 it is something else).
std::string_view settlement_code_of(const terminal::Settled& settled) {
  if (!settled.in_balance) return "3";
  return *settled.in_balance ? "1" : "2";
}

bool is_settlement(const Mti& mti) { return mti.message_class == MessageClass::reconciliation; }

// What a message that breaks off must say to be kept: of a transaction what makes it out, of a settlement a total.
bool is_made_out(const Message& read, const Mti& mti, const redact::Draft& draft) {
  if (is_settlement(mti)) return has_totals(draft);
  return std::ranges::all_of(essential, [&](unsigned field) { return !text_of(read, field).empty(); });
}

// Network management comes from terminals that have no id yet.
bool can_be_answered(const Message& message, const Mti& mti) {
  if (text_of(message, stan_field).empty()) return false;
  return mti.message_class == MessageClass::network || !text_of(message, terminal_field).empty();
}

bool asks_for_approval(const Mti& mti) {
  return mti.function == Function::request && mti.message_class != MessageClass::reversal &&
         mti.message_class != MessageClass::reconciliation && mti.message_class != MessageClass::network;
}

// Keys of the terminal's to exchange: this host has none.
bool asks_for_keys(const Message& message, const Mti& mti) {
  if (mti.message_class != MessageClass::network) return false;
  constexpr std::string_view key_exchange_1987 = "101";
  constexpr std::string_view key_exchange_1993 = "811";
  const std::string code = text_of(message, 70);
  return std::string_view(code).ends_with(key_exchange_1987) || text_of(message, 24) == key_exchange_1993;
}

std::string list_of(const Bitmap& fields) {
  std::string list;
  for (unsigned number = fields.next(0); number != 0; number = fields.next(number))
    list += (list.empty() ? "" : " ") + std::to_string(number);
  return list;
}

}  // namespace

Host::Reaction Host::react(base::BytesView bytes) const {
  const auto message = decode(bytes, dialect_);
  if (!message) return react_incomplete(message.error(), bytes);
  const auto mti = read_mti(message->mti());
  if (!mti) return HangUp{};
  const Placement placement = placement_of(*message, bytes, dialect_);
  if (placement.is_wrong() && !mti->is_response()) return react_misplaced(*message, *mti, placement, {});
  return react(*message, *mti);
}

Host::Reaction Host::react(const Message& message, const Mti& mti) const {
  if (mti.is_response()) return Ignore{};
  if (!can_be_answered(message, mti)) return HangUp{};
  Echo echo = echo_of(message, mti);
  const unsigned year = dialect_.year;
  if (asks_for_approval(mti)) {
    const std::string& code = dialect_.answers.request_code;
    return Say{answer(echo, code.empty() ? not_supported_code(year) : std::string_view(code))};
  }
  if (asks_for_keys(message, mti)) return Say{answer(echo, not_supported_code(year))};
  auto draft = to_draft(message, mti, dialect_, {});
  if (draft) return Store{.draft = std::move(*draft), .echo = std::move(echo)};
  return Say{answer(echo, accepted_code(mti.message_class, year))};
}

// It has happened: what identifies it is enough to keep it.
Host::Reaction Host::react_incomplete(const DecodeError& error, base::BytesView bytes) const {
  const Message& read = error.read;
  const auto mti = read_mti(read.mti());
  if (!mti) return HangUp{};
  const Placement placement = placement_of(read, bytes, dialect_);
  const std::string reason = error.text(dialect_.year);
  if (placement.is_uncertain()) return react_misplaced(read, *mti, placement, reason + "; ");
  if (mti->is_response() || !can_be_answered(read, *mti)) return HangUp{};
  Echo echo = echo_of(read, *mti);
  if (!asks_for_approval(*mti)) {
    if (auto draft = to_draft(read, *mti, dialect_, {}); draft && is_made_out(read, *mti, *draft)) {
      if (draft->fields.settlement) draft->fields.settlement->readable = false;
      draft->fields.incomplete.emplace_back(error.part == Part::field
                                                ? fmt::format("iso8583 field {} and what follows", error.field)
                                                : std::string("iso8583 end of the message"));
      return Store{.draft = std::move(*draft), .echo = std::move(echo)};
    }
  }
  return Reject{.message = answer(echo, format_error_code(dialect_.year)), .shape = shape_of(read, reason)};
}

// Nothing of it is told but its shape, and nothing given back but what its terminal needs to know its message by.
Host::Reaction Host::react_misplaced(const Message& read, const Mti& mti, const Placement& placement,
                                     std::string reason) const {
  if (mti.is_response() || !can_be_answered(read, mti)) return HangUp{};
  Shape shape{{"mti", std::string(read.mti())}, {"reason", std::move(reason) + placement.text()}};
  if (!placement.bitmap_astray) shape.emplace("fields", list_of(read.fields()));
  if (placement.astray.has(stan_field) || placement.astray.has(terminal_field))
    return HangUp{.shape = std::move(shape)};
  Echo echo = echo_of(read, mti);
  std::erase_if(echo.fields,
                [](const auto& field) { return field.first != stan_field && field.first != terminal_field; });
  return Reject{.message = answer(echo, format_error_code(dialect_.year)), .shape = std::move(shape)};
}

base::Bytes Host::conclude(const Echo& echo, const terminal::Answer& given) const {
  if (const auto* const stored = std::get_if<terminal::Stored>(&given)) {
    if (stored->settled && is_settlement(echo.request)) return conclude(echo, *stored->settled);
    return answer(echo, accepted_code(echo.request.message_class, dialect_.year));
  }
  const auto& refusal = std::get<terminal::Refusal>(given);
  const std::string_view code = refused_code(refusal.reason, dialect_.answers.cannot_store, dialect_.year);
  return code.empty() ? base::Bytes() : answer(echo, code);
}

base::Bytes Host::conclude(const Echo& echo, const terminal::Settled& settled) const {
  const std::string_view code = settled.closed ? accepted_code(echo.request.message_class, dialect_.year)
                                               : out_of_balance_code(dialect_.answers.out_of_balance, dialect_.year);
  return answer(echo, code, echo.wants_settlement_code ? settlement_code_of(settled) : std::string_view());
}

Echo Host::echo_of(const Message& message, const Mti& mti) const {
  Echo echo{.request = mti, .header = {}, .fields = {}};
  if (dialect_.header.listed) echo.header = redact::shown(message.header());
  echo.wants_settlement_code = dialect_.year < 1993 && is_settlement(mti) && has_total_fields(message);
  const auto& own = dialect_.answers.echo_for;
  const auto found = own.find(response_mti(mti));
  for (const unsigned field : found == own.end() ? dialect_.answers.echo : found->second) {
    if (!may_echo(field) || field == response_field) continue;
    if (const auto value = message.open(field)) echo.fields.emplace_back(field, *value);
  }
  return echo;
}

base::Bytes Host::answer(const Echo& echo, std::string_view code, std::string_view settlement_code) const {
  const std::string mti = response_mti(echo.request);
  Composition composition(mti);
  if (dialect_.header.listed) composition.set_header(echo.header);
  for (const auto& [field, value] : echo.fields) composition.set(field, value);
  if (dialect_.fields.at(response_field).listed) composition.set(response_field, code);
  if (!settlement_code.empty() && dialect_.fields.at(settlement_code_field).listed)
    composition.set(settlement_code_field, settlement_code);
  auto message = encode(composition, dialect_);
  return message ? std::move(*message) : base::Bytes();
}

// What was read with the wrong lengths may hold a card number amid other digits.
Host::Shape Host::shape_of(const Message& message, std::string reason) {
  Shape shape{
      {"mti", std::string(message.mti())}, {"reason", std::move(reason)}, {"fields", list_of(message.fields())}};
  for (unsigned number = message.fields().next(0); number != 0; number = message.fields().next(number)) {
    const auto value = message.open(number);
    if (!value) continue;
    const bool suspicious = redact::may_hold_pan(*value) || !redact::find_card_data(*value).empty();
    terminal::add_to(shape, fmt::format("field_{}", number), suspicious ? "[card data]" : trimmed(*value));
  }
  return shape;
}

}  // namespace iso8583
