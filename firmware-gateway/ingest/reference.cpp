#include "firmware-gateway/ingest/reference.hpp"

#include <cstdlib>

#include "firmware-gateway/journal/sip_hash.hpp"
#include "firmware-gateway/redact/card_guard.hpp"

namespace ingest {
namespace {

using tillstream::v1::Event;

// No field can hold a line feed.
constexpr char end = '\n';

// "All else may change in a retry": these may not.
bool same_content(const Event& a, const Event& b) {
  return a.type() == b.type() && a.has_amount_minor() == b.has_amount_minor() && a.amount_minor() == b.amount_minor() &&
         a.currency() == b.currency() && a.outcome() == b.outcome() && a.original_ref() == b.original_ref() &&
         a.card_last4() == b.card_last4() && a.card_brand() == b.card_brand();
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
  return event.terminal_id() + end + event.terminal_ref() + end + event.batch_no();
}

Relation relation(const Event& incoming, const Event& stored, std::chrono::milliseconds reference_reuse) {
  if (duplicate_key(incoming) != duplicate_key(stored)) return Relation::unrelated;
  if (same_content(incoming, stored)) return Relation::same_event;
  const std::int64_t apart = std::abs(incoming.occurred_at_ms() - stored.occurred_at_ms());
  return apart <= reference_reuse.count() ? Relation::conflict : Relation::reused;
}

}  // namespace ingest
