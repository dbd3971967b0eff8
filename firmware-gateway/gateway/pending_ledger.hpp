// PendingLedger: what is not in the stream yet, in figures: how much money by currency, and since when.
//
// Rows come in by their numbers: live ones as they are appended, older ones by a scan of the journal at start, and
// whenever the stream is found to be elsewhere than thought. Rows leave as they are acknowledged.
//
//   acked        detailed            counted          next
//     │─ details_ ──│─ totals only, spans_ ─│─ to be scanned ─│
//
// Invariants:
//   (1) totals are those of the rows (acked, counted].
//   (2) details_ holds the rows (acked, detailed] one by one, at most details_max; what lies beyond is known by spans
//   of rows. (3) lowest_received() is never later than that of any pending row that is counted.
//
// A backlog of millions costs a few kilobytes: rows beyond details_ get their details when they are read to be sent.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "firmware-gateway/status/facts.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/instant.hpp"
#include "proto/handoff/types.hpp"

namespace gateway {

class PendingLedger {
 public:
  static constexpr std::size_t details_max = 8'192;
  static constexpr std::uint64_t span_rows = 1'024;

  // Starts over: rows (acked, next) are pending, none is counted.
  void on_opened(handoff::Row acked, handoff::Row next);
  // Rows first, first + 1 …, live, scanned, or read again to be sent.
  void on_rows(handoff::Row first, std::span<const base::Bytes> records, handoff::Row next);
  // Everything up to it is in the stream; lower than before: the stream was rolled back.
  void on_acked(handoff::Row acked);

  // The first row that has to be read from the journal; nothing: all are counted.
  [[nodiscard]] std::optional<handoff::Row> scan_from() const;
  [[nodiscard]] bool exact() const { return !scan_from(); }

  [[nodiscard]] std::vector<status::PendingAmount> amounts() const;
  // When the oldest pending row was received, and whether the clock was right then; nothing: none, or not read yet.
  struct Received {
    base::UtcTime at;
    bool clock_synced = false;
  };
  [[nodiscard]] std::optional<Received> oldest() const;
  // The lowest receive time of all that is counted; nothing when nothing is.
  [[nodiscard]] std::optional<base::UtcTime> lowest_received() const;

 private:
  // Of amounts up to 15 digits and rows without number: more than 64 bits hold. Kept in two parts, so that it is exact
  // while it is beyond them.
  class Total {
   public:
    void add(std::int64_t amount_minor);
    void subtract(std::int64_t amount_minor);
    // The nearest that can be said.
    [[nodiscard]] std::int64_t amount_minor() const;

   private:
    static constexpr std::int64_t unit = 1'000'000'000;
    std::int64_t units_ = 0;
    std::int64_t rest_ = 0;
  };
  struct Sum {
    Total total;
    std::uint64_t count = 0;
  };
  struct Detail {
    Received received;
    std::string currency;
    std::int64_t amount_minor = 0;
  };
  struct Span {
    handoff::Row last;
    base::UtcTime lowest;
  };

  [[nodiscard]] static Detail read(const base::Bytes& record);
  void count(handoff::Row row, const Detail& detail);
  void subtract(const Detail& detail);
  [[nodiscard]] handoff::Row detailed() const { return acked_ + details_.size(); }

  handoff::Row acked_;
  handoff::Row counted_;
  handoff::Row next_{1};
  std::map<std::string, Sum> totals_;
  std::deque<Detail> details_;
  std::deque<Span> spans_;
};

}  // namespace gateway
