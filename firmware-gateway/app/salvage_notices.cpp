#include "firmware-gateway/app/salvage_notices.hpp"

#include <fmt/format.h>

#include <memory>

#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/ingest/reference.hpp"
#include "proto/base/uuid.hpp"

namespace app {

namespace {

ingest::NoticeDetails details_of(const journal::Loss& loss) {
  ingest::NoticeDetails details{{"reason", "journal_damaged"},
                                {"first_row", fmt::format("{}", loss.first.value())},
                                {"last_row", loss.last ? fmt::format("{}", loss.last->value()) : "unknown"},
                                {"set_aside", loss.set_aside}};
  if (loss.first_answered) {
    details["epoch"] = base::to_hex(loss.first_answered->epoch.view());
    details["first_seq"] = fmt::format("{}", loss.first_answered->seq.value());
  }
  if (loss.perhaps_trimmed) details["at_most"] = "true";
  if (loss.last_answered) details["last_seq"] = fmt::format("{}", loss.last_answered->seq.value());
  return details;
}

// From now on everything is in the window again; of what was stored before nobody can promise it.
ingest::NoticeDetails details_of(const journal::Forgotten& forgotten) {
  ingest::NoticeDetails details{{"reason", "journal_damaged"},
                                {"window_seconds", "0"},
                                {"events_forgotten", fmt::format("{}", forgotten.rows)},
                                {"set_aside", forgotten.set_aside}};
  if (forgotten.more) details["more_forgotten"] = "unknown";
  return details;
}

template <class Told>
std::function<base::Bytes(const Told&)> notice_of(std::string name, base::Random& random) {
  return [name = std::move(name), ids = std::make_shared<base::UuidClock>(random)](const Told& told) {
    const ingest::Moment moment{.utc = told.found_at, .clock_synced = false};
    return ingest::to_record(ingest::make_notice(name, details_of(told), ids->next(told.found_at), moment));
  };
}

std::optional<journal::RecordKey> record_key(const journal::HashKey& key, base::BytesView record) {
  const auto stored = ingest::stored_key(key, record);
  if (!stored) return std::nullopt;
  return journal::RecordKey{.hash = stored->hash, .lasting = !stored->holds_marks};
}

}  // namespace

sqlite::JournalNeeds journal_needs(const base::Hasher& hasher, base::Random& random) {
  return {.hasher = hasher,
          .random = random,
          .make_notice = notice_of<journal::Loss>("events_lost", random),
          .record_key = &record_key,
          .make_forgotten_notice = notice_of<journal::Forgotten>("duplicate_window_shrunk", random)};
}

}  // namespace app
