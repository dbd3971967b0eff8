#include "firmware-gateway/terminal/iso8583/host/host.hpp"

#include <fmt/format.h>

#include "firmware-gateway/terminal/iso8583/host/response_codes.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/reading.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace iso8583 {
namespace {

constexpr unsigned terminal_field = 41;
constexpr unsigned stan_field = 11;
constexpr unsigned response_field = 39;
constexpr unsigned settlement_code_field = 66;

// Field 66 (1987; in 1993 it is something else).
std::string_view settlement_code_of(const terminal::Settled& settled) {
  if (!settled.in_balance) return "3";
  return *settled.in_balance ? "1" : "2";
}

bool is_settlement(const Mti& mti) { return mti.message_class == MessageClass::reconciliation; }

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

}  // namespace

Host::Reaction Host::react(base::BytesView bytes) const {
  const Reading reading = read_message(bytes, dialect_);
  if (!reading.mti) return HangUp{};
  if (reading.mti->is_response()) return reading.is_whole() ? Reaction(Ignore{}) : Reaction(HangUp{});
  if (!can_be_answered(reading.message, *reading.mti)) return HangUp{};
  if (reading.is_misplaced()) return react_misplaced(reading);
  return reading.is_whole() ? react_whole(reading) : react_incomplete(reading);
}

Host::Reaction Host::react_whole(const Reading& reading) const {
  const Message& message = reading.message;
  const Mti& mti = *reading.mti;
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
Host::Reaction Host::react_incomplete(const Reading& reading) const {
  Echo echo = echo_of(reading.message, *reading.mti);
  if (!asks_for_approval(*reading.mti)) {
    if (auto draft = to_draft(reading.message, *reading.mti, dialect_, {}); draft && is_made_out(reading, *draft)) {
      tell_missing(*draft, reading.missing);
      return Store{.draft = std::move(*draft), .echo = std::move(echo)};
    }
  }
  return Reject{.message = answer(echo, format_error_code(dialect_.year)), .shape = shape_of(reading)};
}

// Nothing of it is told but its shape, and nothing given back but what its terminal needs to know its message by.
Host::Reaction Host::react_misplaced(const Reading& reading) const {
  const Bitmap& astray = reading.placement.astray;
  if (astray.has(stan_field) || astray.has(terminal_field)) return HangUp{.shape = shape_of(reading)};
  Echo echo = echo_of(reading.message, *reading.mti);
  std::erase_if(echo.fields,
                [](const auto& field) { return field.first != stan_field && field.first != terminal_field; });
  return Reject{.message = answer(echo, format_error_code(dialect_.year)), .shape = shape_of(reading)};
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

}  // namespace iso8583
