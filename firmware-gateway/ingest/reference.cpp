#include "firmware-gateway/ingest/reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/journal/sip_hash.hpp"
#include "firmware-gateway/redact/card_guard.hpp"

namespace ingest {
namespace {

using tillstream::v1::Event;

// No field can hold a line feed.
constexpr char end = '\n';

bool same_totals(const Event& a, const Event& b) {
  return a.sales_count() == b.sales_count() && a.sales_minor() == b.sales_minor() &&
         a.refunds_count() == b.refunds_count() && a.refunds_minor() == b.refunds_minor() &&
         a.reversals_count() == b.reversals_count() && a.reversals_minor() == b.reversals_minor() &&
         a.refund_reversals_count() == b.refund_reversals_count() &&
         a.refund_reversals_minor() == b.refund_reversals_minor() && a.declined_count() == b.declined_count() &&
         a.failed_count() == b.failed_count() && a.net_minor() == b.net_minor();
}

// "All else may change in a retry": these may not, nor may amount and outcome.
bool same_transaction(const Event& a, const Event& b) {
  return a.type() == b.type() && a.currency() == b.currency() && a.original_ref() == b.original_ref() &&
         a.card_last4() == b.card_last4() && a.card_brand() == b.card_brand() && same_totals(a, b);
}

bool same_content(const Event& a, const Event& b) {
  return same_transaction(a, b) && a.has_amount_minor() == b.has_amount_minor() &&
         a.amount_minor() == b.amount_minor() && a.outcome() == b.outcome();
}

bool differ(std::string_view a, std::string_view b) { return !a.empty() && !b.empty() && a != b; }

// Its message ended early: its key may lack its end, and its content what stood behind.
bool breaks_off(const Event& event) {
  return event.source() == word(redact::Source::iso8583) &&
         std::ranges::any_of(event.incomplete(), [](std::string_view name) { return name.starts_with("iso8583 "); });
}

bool same_key(const Event& a, const Event& b) {
  const std::string key = duplicate_key(a);
  const std::string other = duplicate_key(b);
  const auto begins = [](std::string_view whole, std::string_view part) {
    return whole.starts_with(part) && whole.substr(part.size()).starts_with(' ');
  };
  return key == other || (breaks_off(a) && begins(other, key)) || (breaks_off(b) && begins(key, other));
}

// Of a message that broke off and the whole one: as far as both go. What the stored one does not say of money is news.
bool same_as_far_as_both_go(const Event& incoming, const Event& stored) {
  if (!breaks_off(incoming) && !breaks_off(stored)) return false;
  const bool same_amount =
      !incoming.has_amount_minor() || (stored.has_amount_minor() && incoming.amount_minor() == stored.amount_minor());
  return same_amount && incoming.type() == stored.type() && incoming.outcome() == stored.outcome() &&
         !differ(incoming.currency(), stored.currency()) && !differ(incoming.original_ref(), stored.original_ref()) &&
         incoming.card_last4() == stored.card_last4() && incoming.card_brand() == stored.card_brand();
}

// Of a partial approval amount_minor is what the host gave.
std::int64_t asked_for(const Event& event) {
  return event.has_requested_minor() ? event.requested_minor() : event.amount_minor();
}

constexpr std::string_view unknown = "unknown";
constexpr const char* processing_code = "processing_code";

// The same request, and one of the two says what became of it.
bool differ_in_knowledge(const Event& a, const Event& b) {
  return same_transaction(a, b) && asked_for(a) == asked_for(b) && (a.outcome() == unknown) != (b.outcome() == unknown);
}

std::string attribute(const Event& event, const char* name) {
  const auto found = event.attributes().find(name);
  return found == event.attributes().end() ? std::string() : found->second;
}

// Blank or zeros: terminals fill it so until a host has given one.
bool has_rrn(std::string_view rrn) { return rrn.find_first_not_of('0') != std::string_view::npos; }

// Whether two messages may be of one transaction: each of card, merchant and currency that both say is the same.
bool may_be_one(const Event& event, const Event& stored) {
  return !differ(event.card_last4(), stored.card_last4()) && !differ(event.merchant_id(), stored.merchant_id()) &&
         !differ(event.currency(), stored.currency());
}

// The same of amount and kind.
bool agrees(const redact::Original& original, const Event& event, const Event& stored) {
  const std::int64_t amount = event.amount_minor() + original.rest_minor.value_or(0);
  const bool same_amount = !event.has_amount_minor() || !stored.has_amount_minor() || amount == stored.amount_minor() ||
                           amount == asked_for(stored);
  return same_amount && !differ(attribute(event, processing_code), attribute(stored, processing_code));
}

// Its transmission time, or its local time.
bool is_of_time(std::string_view time, std::string_view message_ref, const Event& stored) {
  if (time.empty()) return false;
  if (attribute(stored, redact::transmitted_at) == time) return true;
  // In a reversal's this is the time of what it reverses.
  return stored.type() != "reversal" && message_ref.find(fmt::format(" time {}", time)) != std::string_view::npos;
}

bool has_mark(std::string_view text) { return text.find(redact::identity_mark_begin) != std::string_view::npos; }

}  // namespace

std::uint64_t reference_hash(const HashKey& key, std::string_view terminal_id, std::string_view terminal_ref) {
  std::string text(terminal_id);
  text += end;
  text += terminal_ref;
  return journal::sip_hash(key, text);
}

std::optional<StoredKey> stored_key(const HashKey& key, base::BytesView record) {
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) return std::nullopt;
  // No terminal repeats a notice.
  if (event.type() == "notice") return StoredKey{.hash = reference_hash(key, "", event.event_id())};
  const bool marks = has_mark(event.terminal_id()) || has_mark(event.terminal_ref()) || has_mark(event.batch_no()) ||
                     has_mark(event.original_ref());
  return StoredKey{.hash = reference_hash(key, event.terminal_id(), event.terminal_ref()), .holds_marks = marks};
}

std::string duplicate_key(const Event& event) {
  return event.terminal_id() + end + event.terminal_ref() + end + event.batch_no() + end + message_key(event);
}

std::string message_key(const Event& event) {
  // Any till may have an attribute of that name.
  if (event.source() == word(redact::Source::iso8583)) return attribute(event, redact::message_ref);
  // nexo's ServiceID counts for each till by itself.
  if (event.source() == word(redact::Source::nexo))
    return event.till_id() + ' ' + attribute(event, redact::message_ref);
  return {};
}

Naming naming_of(const redact::Original& original, const Event& event, const Event& stored) {
  if (stored.source() != word(redact::Source::iso8583) || stored.event_id() == event.event_id()) return Naming::other;
  const std::string ref = attribute(stored, redact::message_ref);
  const bool is_reversal = stored.type() == "reversal";
  // A reversal has the STAN of what it reverses as its reference, and one of its own.
  if ((is_reversal ? stored.stan() : stored.terminal_ref()) != original.stan) return Naming::other;
  const bool same_rrn = has_rrn(original.rrn) && has_rrn(stored.rrn()) && original.rrn == stored.rrn();
  if (original.mti.empty()) {
    if (is_reversal || !moves_money(stored.type())) return Naming::other;
    if (has_rrn(original.rrn) && has_rrn(stored.rrn())) return same_rrn ? Naming::by_name : Naming::other;
    return may_be_one(event, stored) && agrees(original, event, stored) ? Naming::by_content : Naming::other;
  }
  // Version and class: what was asked for as a request may have been told as an advice.
  if (!ref.starts_with(std::string_view(original.mti).substr(0, 2))) return Naming::other;
  if (same_rrn || is_of_time(original.time, ref, stored)) return Naming::by_name;
  const bool other_rrn = original.rrn_named && has_rrn(stored.rrn());
  if (other_rrn || !original.time.empty() || !may_be_one(event, stored)) return Naming::other;
  if (!agrees(original, event, stored)) return Naming::by_stan;
  const bool same_moment = original.is_this && event.occurred_at_ms() == stored.occurred_at_ms();
  return same_moment ? Naming::by_name : Naming::by_content;
}

void take_identity(Event& event, const Event& stored) {
  event.set_terminal_ref(stored.terminal_ref());
  event.set_batch_no(stored.batch_no());
  (*event.mutable_attributes())[redact::message_ref] = attribute(stored, redact::message_ref);
  event.set_original_ref(stored.original_ref());
  if (event.type() == "sale" && stored.type() == "completion") event.set_type(stored.type());
  if (event.card_last4().empty()) event.set_card_last4(stored.card_last4());
  if (event.card_brand().empty()) event.set_card_brand(stored.card_brand());
  const bool same_part = stored.outcome() == "partial" && event.outcome() == "approved" && stored.has_amount_minor() &&
                         event.amount_minor() == stored.amount_minor();
  if (same_part) event.set_outcome(stored.outcome());
}

void set_apart(Event& event, const Event& original) {
  std::string& ref = (*event.mutable_attributes())[redact::message_ref];
  ref = fmt::format("{} of {}", ref, attribute(original, redact::message_ref));
}

Relation relation(const Event& incoming, const Event& stored, std::chrono::milliseconds reference_reuse) {
  if (!same_key(incoming, stored)) return Relation::unrelated;
  if (same_content(incoming, stored) || same_as_far_as_both_go(incoming, stored)) return Relation::same_event;
  const std::int64_t apart = std::abs(incoming.occurred_at_ms() - stored.occurred_at_ms());
  if (apart > reference_reuse.count()) return Relation::reused;
  if (!differ_in_knowledge(incoming, stored)) return Relation::conflict;
  return incoming.outcome() == unknown ? Relation::knows_less : Relation::decides;
}

}  // namespace ingest
