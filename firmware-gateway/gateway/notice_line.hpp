// NoticeLine: what the gateway itself has to say in the stream, waiting for its append. Bounded: notices_max; a newer
// one of the same name replaces one that waits when there is no room.
//
// One append at a time; a notice that the full journal refuses waits for the next try. Somebody may wait for a notice:
// for its ticket.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "firmware-gateway/ingest/ingest.hpp"
#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/journal/journal.hpp"

namespace gateway {

class NoticeLine {
 public:
  static constexpr std::size_t notices_max = 64;

  // The ticket of a notice that was dropped to make room, if somebody waits for it.
  std::optional<ingest::Ticket> add(const std::string& name, const ingest::NoticeDetails& details,
                                    const base::Uuid& event_id, ingest::Moment moment,
                                    std::optional<ingest::Ticket> ticket = std::nullopt,
                                    std::optional<journal::Tally> tally = std::nullopt);
  // The next append; nothing: none waits, or one is on its way.
  [[nodiscard]] std::optional<journal::AppendItem> next(const ingest::HashKey& key);
  // It was stored; or it was not and has to be tried again.
  struct Stored {
    std::optional<ingest::Ticket> ticket;
    std::string event_id;
    std::optional<journal::Tally> tally;
  };
  [[nodiscard]] Stored on_appended();
  void on_refused() { on_its_way_ = false; }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Notice {
    tillstream::v1::Event event;
    std::optional<ingest::Ticket> ticket;
    std::optional<journal::Tally> tally;
  };
  std::deque<Notice> waiting_;
  bool on_its_way_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace gateway
