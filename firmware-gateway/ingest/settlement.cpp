#include "firmware-gateway/ingest/settlement.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/ingest/recorder.hpp"

namespace ingest {
namespace {

using journal::Tally;
using journal::TallyNumbers;
using redact::Field;
using tillstream::v1::Event;

// Of a sum's numbers. Amounts are minor units, never negative.
enum Slot : std::size_t {
  sales_count,
  sales_minor,
  refunds_count,
  refunds_minor,
  reversals_count,
  reversals_minor,
  refund_reversals_count,
  refund_reversals_minor,
  // 1: the batch began with a settlement that this gateway closed as the terminal's host.
  begun_here,
  // What the terminal's doubts were then.
  doubts_before,
};
constexpr std::size_t slots = doubts_before + 1;
static_assert(slots == journal::kTallyNumbers);

// No currency has such a code.
constexpr std::string_view doubts = "doubts";

std::string key_of(std::string_view terminal_id, std::string_view currency) {
  std::string key(terminal_id);
  key += '\n';
  key += currency;
  return key;
}

// The moment of the last doubt about this terminal or about nobody knows which, in milliseconds since 1970; 0: none.
std::int64_t doubts_of(std::string_view terminal_id, const journal::Tallies& tallies) {
  const auto last = [&](std::string_view of) {
    const auto sum = tallies.find(key_of(of, doubts));
    return sum ? sum->numbers->front() : 0;
  };
  return std::max(last(terminal_id), last(any_terminal));
}

bool may_have_moved(const Event& event) {
  if (event.outcome() == "unknown") return true;
  return !event.has_effect_minor() && (event.outcome() == "approved" || event.outcome() == "partial");
}

TallyNumbers numbers_of(const Event& event) {
  TallyNumbers numbers{};
  const std::int64_t effect = event.effect_minor();
  const bool reversal = event.type() == "reversal";
  const bool refund = (effect < 0) != reversal;
  const Slot count =
      reversal ? (refund ? refund_reversals_count : reversals_count) : (refund ? refunds_count : sales_count);
  numbers.at(count) = 1;
  numbers.at(count + 1) = std::abs(effect);
  return numbers;
}

// Count or amount of one side, without what was taken back: terminals that leave reversed transactions out of their
// totals and those that list them beside agree in this.
struct Sides {
  std::int64_t sales = 0;
  std::int64_t refunds = 0;

  [[nodiscard]] std::int64_t net() const { return sales - refunds; }
  friend bool operator==(const Sides&, const Sides&) = default;
};

Sides counts_of(const TallyNumbers& numbers) {
  return {.sales = numbers[sales_count] - numbers[reversals_count],
          .refunds = numbers[refunds_count] - numbers[refund_reversals_count]};
}

Sides amounts_of(const TallyNumbers& numbers) {
  return {.sales = numbers[sales_minor] - numbers[reversals_minor],
          .refunds = numbers[refunds_minor] - numbers[refund_reversals_minor]};
}

// The terminal's own. What it does not say is zero.
TallyNumbers totals_of(const Event& event) {
  return {
      event.sales_count(),     event.sales_minor(),     event.refunds_count(),          event.refunds_minor(),
      event.reversals_count(), event.reversals_minor(), event.refund_reversals_count(), event.refund_reversals_minor()};
}

bool says_counts(const Event& event) {
  return event.has_sales_count() || event.has_refunds_count() || event.has_reversals_count() ||
         event.has_refund_reversals_count();
}

bool says_amounts(const Event& event) {
  return event.has_sales_minor() || event.has_refunds_minor() || event.has_reversals_minor() ||
         event.has_refund_reversals_minor();
}

// A total that no field rule lets pass is missing, not zero.
bool is_readable(const Event& event, const redact::Settlement& settlement) {
  constexpr std::array totals{
      Field::sales_count,     Field::sales_minor,     Field::refunds_count,          Field::refunds_minor,
      Field::reversals_count, Field::reversals_minor, Field::refund_reversals_count, Field::refund_reversals_minor};
  const auto& incomplete = event.incomplete();
  return settlement.readable && std::ranges::none_of(totals, [&](Field field) {
           return std::ranges::find(incomplete, redact::name_of(field)) != incomplete.end();
         });
}

void set_recorded(Event& event, const TallyNumbers& numbers) {
  event.set_recorded_sales_count(numbers[sales_count]);
  event.set_recorded_sales_minor(numbers[sales_minor]);
  event.set_recorded_refunds_count(numbers[refunds_count]);
  event.set_recorded_refunds_minor(numbers[refunds_minor]);
  event.set_recorded_reversals_count(numbers[reversals_count]);
  event.set_recorded_reversals_minor(numbers[reversals_minor]);
  event.set_recorded_refund_reversals_count(numbers[refund_reversals_count]);
  event.set_recorded_refund_reversals_minor(numbers[refund_reversals_minor]);
}

void compare(Event& event, const TallyNumbers& recorded) {
  const TallyNumbers told = totals_of(event);
  bool balanced = true;
  if (says_counts(event)) balanced = counts_of(told) == counts_of(recorded);
  if (says_amounts(event)) {
    event.set_difference_minor(amounts_of(told).net() - amounts_of(recorded).net());
    balanced = balanced && amounts_of(told) == amounts_of(recorded);
  } else if (event.has_net_minor()) {
    event.set_difference_minor(event.net_minor() - amounts_of(recorded).net());
    balanced = balanced && event.difference_minor() == 0;
  }
  event.set_in_balance(balanced);
}

// Sums and nets beyond it would not leave their difference in 64 bits; nobody has such takings.
constexpr std::int64_t sum_minor_max = 1'000'000'000'000'000'000;

bool in_range(std::int64_t number) { return number >= -sum_minor_max && number <= sum_minor_max; }

// Only who was the terminal's host from the batch's first event on, and has lost none, may say that some are missing.
bool knows_the_whole_batch(const journal::TallySum& sum, std::int64_t doubts_now) {
  return sum.numbers->at(begun_here) == 1 && !sum.salvaged && sum.numbers->at(doubts_before) == doubts_now;
}

}  // namespace

std::optional<Tally> tally_of(const Event& event) {
  if (event.source() != word(redact::Source::iso8583) || !moves_money(event.type()) || event.type() == "authorization")
    return std::nullopt;
  if (may_have_moved(event))
    return doubt_of(event.terminal_id(), base::UtcTime(std::chrono::milliseconds(event.received_at_ms())));
  if (event.effect_minor() == 0) return std::nullopt;
  return Tally{.key = key_of(event.terminal_id(), event.currency()), .add = numbers_of(event)};
}

Tally doubt_of(std::string_view terminal_id, base::UtcTime at) {
  return {.key = key_of(terminal_id, doubts), .add = {at.time_since_epoch().count()}, .reset = true};
}

std::optional<Tally> settle(Event& event, const redact::Settlement& settlement, const journal::Tallies& tallies) {
  event.set_schema_version(second_schema_version);
  const std::string key = key_of(event.terminal_id(), event.currency());
  const std::int64_t doubts_now = doubts_of(event.terminal_id(), tallies);
  auto sum = event.currency().empty() ? std::nullopt : tallies.find(key);
  if (sum && !std::ranges::all_of(*sum->numbers, in_range)) sum.reset();
  bool wants_upload = false;
  if (sum) set_recorded(event, *sum->numbers);
  if (sum && is_readable(event, settlement) && in_range(event.net_minor())) {
    compare(event, *sum->numbers);
    wants_upload = settlement.may_ask_upload && !settlement.after_upload && !event.in_balance() &&
                   knows_the_whole_batch(*sum, doubts_now);
  }
  event.set_batch_closed(settlement.closed_elsewhere.value_or(!wants_upload));
  if (!event.batch_closed() || event.currency().empty()) return std::nullopt;
  Tally fresh{.key = key, .reset = true};
  fresh.add.at(begun_here) = settlement.closed_elsewhere ? 0 : 1;
  fresh.add.at(doubts_before) = doubts_now;
  return fresh;
}

}  // namespace ingest
