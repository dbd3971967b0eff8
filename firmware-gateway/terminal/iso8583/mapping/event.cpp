#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/tables.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/currency.hpp"
#include "proto/base/utf8.hpp"

namespace iso8583 {
namespace {

using redact::Draft;
using redact::Field;

constexpr std::string_view preauthorization_condition = "06";

// One request on its way to its event.
class Mapping {
 public:
  Mapping(const Message& request, const Mti& mti, const Dialect& dialect, const Told& told)
      : request_(request),
        mti_(mti),
        dialect_(dialect),
        told_(told),
        purpose_(purpose_of(text_of(request, 3))),
        original_(original_of(request, mti, dialect.year)) {}

  [[nodiscard]] std::optional<NoEvent> no_event() const;
  [[nodiscard]] Draft draft();

 private:
  void set_identity();
  void set_type();
  void set_times();
  void set_amounts();
  void set_replacement_amount();
  void set_additional_amounts();
  void set_decision();
  void set_card();
  void set_chip_data();
  void set_place();
  void set_codes();

  [[nodiscard]] bool reverses() const { return iso8583::reverses(mti_, original_); }
  // By MTI: not only by having its STAN.
  [[nodiscard]] bool names_original() const { return original_ && !original_->mti.empty(); }
  [[nodiscard]] bool preauthorized() const;
  // Of the answer, where it has it, else of the request.
  [[nodiscard]] std::string latest(unsigned number) const;
  void put(Field field, std::string_view value) { draft_.fields.text(field) = value; }
  void attribute(const char* name, std::string value) {
    if (!value.empty()) draft_.fields.attributes[name] = std::move(value);
  }
  void incomplete(Field field) { draft_.fields.incomplete.emplace_back(redact::name_of(field)); }

  const Message& request_;
  const Mti& mti_;
  const Dialect& dialect_;
  const Told& told_;
  Purpose purpose_;
  std::optional<redact::Original> original_;
  Draft draft_;
};

bool moves_money(MessageClass message_class) {
  return message_class == MessageClass::authorization || message_class == MessageClass::financial ||
         message_class == MessageClass::file_action || message_class == MessageClass::reversal;
}

std::optional<NoEvent> Mapping::no_event() const {
  const bool settles = mti_.message_class == MessageClass::reconciliation;
  const bool tells = moves_money(mti_.message_class) || mti_.message_class == MessageClass::administrative || settles;
  if (mti_.is_response() || !tells) return NoEvent::not_money;
  if (text_of(request_, 41).empty() || text_of(request_, 11).empty()) return NoEvent::unidentified;
  if (mti_.message_class == MessageClass::administrative || settles) return std::nullopt;
  if (purpose_ == Purpose::inquiry || purpose_ == Purpose::transfer) return NoEvent::not_money;
  // A verification of the card: nothing was asked for.
  const bool of_nothing = amount_of(request_, 4) == 0;
  if (of_nothing && purpose_ == Purpose::sale && !reverses()) return NoEvent::not_money;
  return std::nullopt;
}

Draft Mapping::draft() {
  draft_.fields.source = redact::Source::iso8583;
  draft_.fields.on_conflict = redact::OnConflict::store;
  set_identity();
  set_times();
  set_codes();
  if (mti_.message_class == MessageClass::administrative) {
    put(Field::type, "terminal_status");
    return std::move(draft_);
  }
  set_type();
  set_amounts();
  set_decision();
  set_card();
  set_chip_data();
  set_place();
  draft_.fields.original = std::move(original_);
  return std::move(draft_);
}

void Mapping::set_identity() {
  const std::string stan = text_of(request_, 11);
  const std::string rrn = reference_number_of(request_);
  put(Field::terminal_id, text_of(request_, 41));
  put(Field::stan, stan);
  put(Field::rrn, original_ && original_->rrn_named ? original_->rrn : latest(37));
  std::string ref = stan;
  if (names_original() && (reverses() || original_->is_this)) ref = original_->stan;
  // The repeat of a reversal may have a STAN of its own.
  if (!names_original() && reverses() && !rrn.empty()) ref = rrn;
  put(Field::terminal_ref, ref);
  attribute(redact::message_ref, message_ref_of(request_, mti_, dialect_.year, original_));
  if (names_original() && !original_->is_this) put(Field::original_ref, original_->stan);
}

bool Mapping::preauthorized() const {
  if (dialect_.year < 1993) return text_of(request_, 25) == preauthorization_condition;
  // Function codes 100 to 199 are authorizations.
  return text_of(request_, 24).starts_with('1') && mti_.message_class != MessageClass::financial;
}

void Mapping::set_type() {
  const auto original_mti = original_ ? read_mti(original_->mti) : std::nullopt;
  const MessageClass original_class = original_mti ? original_mti->message_class : mti_.message_class;
  const bool completes = original_mti && original_class == MessageClass::authorization && !original_->is_this;
  const MessageClass message_class =
      reverses() || (original_ && original_->is_this) ? original_class : mti_.message_class;
  const std::string_view type = type_of(purpose_, message_class, preauthorized(), completes && !reverses());
  const bool reverses_reversal = reverses() && original_mti && original_->is_reversal() && !original_->is_this;
  put(reverses() ? Field::original_type : Field::type, reverses_reversal ? "reversal" : type);
  if (reverses()) put(Field::type, "reversal");
  // What a credit adjustment moves goes the way of a refund.
  if (purpose_ == Purpose::credit_adjustment && !reverses()) put(Field::original_type, "refund");
  if (purpose_ == Purpose::unknown) incomplete(Field::type);
}

void Mapping::set_times() {
  if (!set_written_times(request_, dialect_.year, draft_.fields)) incomplete(Field::occurred_at);
  attribute(redact::transmitted_at, std::string(digits_of(request_, 7, 10).value_or("")));
  // Whatever brings a transaction again is found by that one's time, as a message that reverses it has it.
  if (original_ && original_->is_this && dialect_.year < 1993) attribute(redact::transmitted_at, original_->time);
}

void Mapping::set_amounts() {
  draft_.fields.number(Field::amount_minor) = amount_of(request_, 4);
  if (!draft_.fields.number(Field::amount_minor)) incomplete(Field::amount_minor);
  const std::string currency = latest(49);
  put(Field::currency, currency_code(currency));
  set_replacement_amount();
  set_additional_amounts();
}

// What the transaction comes to after a reversal of a part. In 1993 field 95 is the card issuer's reference.
void Mapping::set_replacement_amount() {
  constexpr std::size_t amount_digits = 12;
  const std::string replaced = text_of(request_, 95);
  if (!reverses() || dialect_.year >= 1993 || replaced.empty()) return;
  auto& amount = draft_.fields.number(Field::amount_minor);
  const auto rest = replaced.size() < amount_digits ? std::nullopt : to_number(replaced.substr(0, amount_digits));
  if (rest == 0) return;
  const bool makes_sense = rest && (!amount || *rest < *amount);
  if (makes_sense) {
    if (original_) original_->rest_minor = rest;
    if (amount) amount = *amount - *rest;
  } else if (amount) {
    incomplete(Field::amount_minor);
  } else {
    // It takes back something, and not the whole.
    attribute(redact::unread_amount, replaced.substr(0, amount_digits));
  }
}

// As three digits or three letters.
bool same_currency(std::string_view a, std::string_view b) {
  const auto one = base::find_currency(a);
  const auto other = base::find_currency(b);
  return one && other ? one->alpha == other->alpha : a == b;
}

std::optional<Field> part_of(std::string_view amount_type) {
  if (amount_type == "40") return Field::cashback_minor;
  if (amount_type == "42") return Field::surcharge_minor;
  if (amount_type == "44") return Field::tip_minor;
  return std::nullopt;
}

// Up to six times: account type n2, amount type n2, currency n3, sign C or D, amount n12. Several of one type, of
// several accounts, are added up.
void Mapping::set_additional_amounts() {
  constexpr std::size_t entry_bytes = 20;
  const std::string text = text_of(request_, 54);
  std::string currency = draft_.fields.text(Field::currency);
  for (std::size_t at = 0; at + entry_bytes <= text.size(); at += entry_bytes) {
    const std::string_view entry = std::string_view(text).substr(at, entry_bytes);
    const auto field = part_of(entry.substr(2, 2));
    if (!field) continue;
    const auto amount = to_number(entry.substr(8));
    if (currency.empty()) currency = draft_.fields.parts_currency = entry.substr(4, 3);
    if (amount && same_currency(entry.substr(4, 3), currency)) {
      draft_.fields.number(*field) = draft_.fields.number(*field).value_or(0) + *amount;
    } else {
      incomplete(*field);
    }
  }
}

std::string Mapping::latest(unsigned number) const {
  std::string text = told_.answer == nullptr ? std::string() : text_of(*told_.answer, number);
  return text.empty() ? text_of(request_, number) : text;
}

void Mapping::set_decision() {
  const bool is_advice = mti_.function != Function::request;
  std::string code = text_of(request_, 39);
  // What an advice tells has been decided before; of a reversal field 39 gives the reason, and it has happened, too.
  const bool decided_before = is_advice || told_.answer == nullptr;
  if (reverses()) {
    put(Field::reason, reversal_reason_of(dialect_.year >= 1993 ? text_of(request_, 25) : code));
    code = "";
  }
  if (!decided_before) code = text_of(*told_.answer, 39);
  Decision decision = decision_of(code);
  if (decision.outcome.empty()) {
    const bool happened = is_advice || reverses();
    decision.outcome = happened ? "approved" : "unknown";
  }
  if (told_.timed_out && !is_advice) decision.outcome = "unknown";
  if (purpose_ == Purpose::unknown) decision.outcome = "unknown";
  put(Field::outcome, decision.outcome);
  put(Field::authorized_by, decision.authorized_by);
  put(Field::response_code, code);
  if (told_.answer != nullptr && is_advice) attribute("host_response", text_of(*told_.answer, 39));
  if (decision.outcome != "partial" || decided_before) return;
  // Of which part the answer alone says.
  auto& amount = draft_.fields.number(Field::amount_minor);
  draft_.fields.number(Field::requested_minor) = std::exchange(amount, amount_of(*told_.answer, 4));
  if (!amount) incomplete(Field::amount_minor);
}

// The card's number is in the first of these that has one.
void Mapping::set_card() {
  const auto number = request_.sensitive(2);
  const auto track2 = request_.sensitive(35);
  const auto track1 = request_.sensitive(45);
  const auto chip = request_.sensitive(55);
  draft_.card_number = redact::pan_of_number(number);
  if (draft_.card_number.empty()) draft_.card_number = redact::pan_of_track2(track2);
  if (draft_.card_number.empty()) draft_.card_number = redact::pan_of_track1(track1);
  if (draft_.card_number.empty()) draft_.card_number = redact::pan_of_tlv(chip);
  put(Field::entry_mode, entry_mode_of(text_of(request_, 22)));
  if (request_.has(52)) put(Field::cvm, "pin");
}

void Mapping::set_chip_data() {
  if (!request_.has(55)) return;
  const auto chip = request_.sensitive(55);
  for (redact::TlvElement& element : redact::read_tlv(chip).elements) {
    if (element.masked) continue;
    if (element.tag == "4F" || element.tag == "84") put(Field::emv_aid, element.value);
    if (element.tag == "9F24") put(Field::card_par, base::from_hex(element.value).value_or(""));
    if (element.tag == "50") attribute("emv_label", base::from_hex(element.value).value_or(""));
    if (element.tag == "95") attribute("emv_tvr", element.value);
    if (element.tag == "9B") attribute("emv_tsi", element.value);
    if (element.tag == "9F27") attribute("emv_cid", element.value);
    if (element.tag == "9F34") {
      if (const auto cvm = cvm_of(element.value); !cvm.empty()) put(Field::cvm, cvm);
      attribute("emv_cvm_results", element.value);
    }
  }
}

// Of UTF-8: characters of a field in another charset may be several bytes each.
std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (count-- > 0 && at < text.size()) at += std::max<std::size_t>(base::utf8_length(text.substr(at)), 1);
  return text.substr(0, at);
}

// Name or street, city, region, country: 23, 13, 2 and 2 characters in 1987; parted by backslashes in 1993.
void Mapping::set_place() {
  put(Field::merchant_id, text_of(request_, 42));
  put(Field::mcc, text_of(request_, 18));
  if (!request_.has(43)) return;
  const std::string_view where = request_.open(43).value_or("");
  if (const std::size_t mark = where.find('\\'); mark != std::string_view::npos) {
    put(Field::merchant_name, trimmed(where.substr(0, mark)));
    const std::string_view rest = where.substr(mark + 1);
    const std::size_t next = rest.find('\\');
    if (next != std::string_view::npos)
      put(Field::merchant_city, trimmed(rest.substr(next + 1, rest.find('\\', next + 1) - next - 1)));
    return;
  }
  constexpr std::size_t name_characters = 23;
  constexpr std::size_t city_characters = 13;
  const std::string_view name = first_characters(where, name_characters);
  put(Field::merchant_name, trimmed(name));
  put(Field::merchant_city, trimmed(first_characters(where.substr(name.size()), city_characters)));
}

void Mapping::set_codes() {
  put(Field::auth_code, latest(38));
  attribute("processing_code", text_of(request_, 3));
  attribute("pos_condition", text_of(request_, 25));
}

}  // namespace

base::Result<Draft, NoEvent> to_draft(const Message& request, const Mti& mti, const Dialect& dialect,
                                      const Told& told) {
  Mapping mapping(request, mti, dialect, told);
  if (const auto reason = mapping.no_event()) return base::fail(*reason);
  if (mti.message_class == MessageClass::reconciliation) return totals_of(request, mti, dialect, told);
  return mapping.draft();
}

}  // namespace iso8583
