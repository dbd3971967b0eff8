#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/tables.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace iso8583 {
namespace {

using redact::Draft;
using redact::Field;

constexpr unsigned net_field = 97;
constexpr std::size_t batch_digits_max = 12;

struct Place {
  unsigned number;
  Field field;
};
// Debits of the cardholder's account are the shop's sales.
constexpr std::array count_places{Place{76, Field::sales_count}, Place{74, Field::refunds_count},
                                  Place{77, Field::reversals_count}, Place{75, Field::refund_reversals_count}};
constexpr std::array amount_places{Place{88, Field::sales_minor}, Place{86, Field::refunds_minor},
                                   Place{89, Field::reversals_minor}, Place{87, Field::refund_reversals_minor}};

// Count and amount of what a pair stands for.
std::optional<std::pair<Field, Field>> fields_of(TotalOf pair) {
  switch (pair) {
    case TotalOf::sales:
      return std::pair(Field::sales_count, Field::sales_minor);
    case TotalOf::refunds:
      return std::pair(Field::refunds_count, Field::refunds_minor);
    case TotalOf::reversals:
      return std::pair(Field::reversals_count, Field::reversals_minor);
    case TotalOf::refund_reversals:
      return std::pair(Field::refund_reversals_count, Field::refund_reversals_minor);
    case TotalOf::nothing:
      break;
  }
  return std::nullopt;
}

// One settlement on its way to its event.
class Reading {
 public:
  Reading(const Message& request, const Mti& mti, const Dialect& dialect, const Told& told)
      : request_(request), mti_(mti), dialect_(dialect), told_(told) {
    draft_.fields.settlement.emplace();
  }

  [[nodiscard]] Draft draft();

 private:
  void set_identity();
  void set_times();
  void set_batch();
  void set_currency();
  void set_totals();
  void set_from_pairs();
  void set_from_fields();
  void set_net();
  void set_decision();
  void put(Field field, std::string_view value) { draft_.fields.text(field) = value; }
  void put(Field field, std::optional<std::int64_t> number);
  void unreadable(std::string_view name);
  [[nodiscard]] redact::Settlement& settlement() { return *draft_.fields.settlement; }

  const Message& request_;
  const Mti& mti_;
  const Dialect& dialect_;
  const Told& told_;
  Draft draft_;
};

Draft Reading::draft() {
  draft_.fields.source = redact::Source::iso8583;
  draft_.fields.on_conflict = redact::OnConflict::store;
  put(Field::type, "batch_total");
  set_identity();
  set_times();
  set_batch();
  set_currency();
  set_totals();
  set_decision();
  return std::move(draft_);
}

void Reading::unreadable(std::string_view name) {
  draft_.fields.incomplete.emplace_back(name);
  settlement().readable = false;
}

void Reading::put(Field field, std::optional<std::int64_t> number) {
  if (!number) return unreadable(redact::name_of(field));
  draft_.fields.number(field) = number;
}

void Reading::set_identity() {
  put(Field::terminal_id, text_of(request_, 41));
  put(Field::terminal_ref, text_of(request_, 11));
  put(Field::stan, text_of(request_, 11));
  put(Field::rrn, text_of(request_, 37));
  put(Field::merchant_id, text_of(request_, 42));
  const std::string code = text_of(request_, 3);
  std::string ref = message_ref_of(request_, mti_, dialect_.year, std::nullopt);
  if (!code.empty()) {
    ref += " code " + code;
    draft_.fields.attributes["processing_code"] = code;
  }
  draft_.fields.attributes[redact::message_ref] = std::move(ref);
}

void Reading::set_times() {
  if (!set_written_times(request_, dialect_.year, draft_.fields))
    draft_.fields.incomplete.emplace_back(redact::name_of(Field::occurred_at));
  if (const auto sent = digits_of(request_, 7, 10)) draft_.fields.attributes[redact::transmitted_at] = *sent;
}

// Terminals whose settlements have no time are told apart by the batch that they close.
void Reading::set_batch() {
  const std::string batch = text_of(request_, 60);
  const bool plain = !batch.empty() && batch.size() <= batch_digits_max &&
                     std::ranges::all_of(batch, [](char c) { return c >= '0' && c <= '9'; });
  if (plain) put(Field::batch_no, batch);
}

void Reading::set_currency() {
  const std::string settled = text_of(request_, 50);
  put(Field::currency, currency_code(settled.empty() ? text_of(request_, 49) : settled));
}

void Reading::set_totals() {
  const TotalsForm& form = dialect_.totals;
  if (form.field != 0 && request_.has(form.field)) {
    set_from_pairs();
  } else {
    set_from_fields();
  }
  if (!has_totals(draft_) && settlement().readable) unreadable("totals");
}

void Reading::set_from_pairs() {
  constexpr std::size_t pair_digits = total_count_digits + total_amount_digits;
  const std::string text = text_of(request_, dialect_.totals.field);
  if (text.size() % pair_digits != 0) return unreadable("totals");
  std::string_view rest = text;
  for (const TotalOf pair : dialect_.totals.pairs) {
    if (rest.empty()) return;
    if (const auto fields = fields_of(pair)) {
      put(fields->first, to_number(rest.substr(0, total_count_digits)));
      put(fields->second, to_number(rest.substr(total_count_digits, total_amount_digits)));
    }
    rest.remove_prefix(pair_digits);
  }
}

void Reading::set_from_fields() {
  for (const auto& [number, field] : count_places)
    if (request_.has(number)) put(field, amount_of(request_, number));
  for (const auto& [number, field] : amount_places)
    if (request_.has(number)) put(field, amount_of(request_, number));
  const bool amounts =
      std::ranges::any_of(amount_places, [&](const Place& place) { return request_.has(place.number); });
  if (!amounts && request_.has(net_field)) set_net();
}

// D: more was taken from cardholders than given back to them.
void Reading::set_net() {
  const std::string text = text_of(request_, net_field);
  const std::string_view digits = std::string_view(text).substr(std::min<std::size_t>(text.size(), 1));
  const auto net = to_number(digits);
  const bool debit = text.starts_with('D');
  if (!net || (!debit && !text.starts_with('C'))) return unreadable("net_minor");
  settlement().net_minor = debit ? *net : -*net;
}

void Reading::set_decision() {
  constexpr std::string_view compares_after_upload = "960000";
  constexpr std::string_view reconciled_1993 = "500";
  settlement().after_upload = text_of(request_, 3) == compares_after_upload;
  settlement().may_ask_upload = !dialect_.answers.out_of_balance.empty();
  if (told_.answer == nullptr && !told_.timed_out) return;
  const std::string code = told_.answer == nullptr ? std::string() : text_of(*told_.answer, 39);
  const bool closed = code == reconciled_1993 || decision_of(code).outcome == "approved";
  settlement().closed_elsewhere = closed;
  // Its repeat may be the one that is answered: by the outcome it is known for more than a repeat.
  put(Field::outcome, code.empty() ? "unknown" : closed ? "approved" : "declined");
  if (!code.empty()) draft_.fields.attributes["host_response"] = code;
}

}  // namespace

redact::Draft totals_of(const Message& request, const Mti& mti, const Dialect& dialect, const Told& told) {
  return Reading(request, mti, dialect, told).draft();
}

bool has_totals(const redact::Draft& draft) {
  const auto given = [&](const Place& place) { return draft.fields.number(place.field).has_value(); };
  return std::ranges::any_of(count_places, given) || std::ranges::any_of(amount_places, given) ||
         (draft.fields.settlement && draft.fields.settlement->net_minor);
}

bool has_total_fields(const Message& request) {
  const auto there = [&](const Place& place) { return request.has(place.number); };
  return std::ranges::any_of(count_places, there) || std::ranges::any_of(amount_places, there) ||
         request.has(net_field);
}

}  // namespace iso8583
