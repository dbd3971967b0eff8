#include "firmware-gateway/app/events_lost.hpp"

#include <fmt/format.h>

#include <memory>

#include "firmware-gateway/ingest/notice.hpp"
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
  if (loss.last_answered) details["last_seq"] = fmt::format("{}", loss.last_answered->seq.value());
  return details;
}

}  // namespace

journal::NoticeMaker events_lost_notice(base::Random& random) {
  return [ids = std::make_shared<base::UuidClock>(random)](const journal::Loss& loss) {
    const ingest::Moment moment{.utc = loss.found_at, .clock_synced = false};
    return ingest::to_record(ingest::make_notice("events_lost", details_of(loss), ids->next(loss.found_at), moment));
  };
}

}  // namespace app
