#include <doctest/doctest.h>

#include <limits>

#include "firmware-gateway/gateway/pending_ledger.hpp"
#include "firmware-gateway/gateway/row_numbers.hpp"
#include "proto/wire/event.pb.h"

namespace {

using gateway::PendingLedger;
using gateway::RowNumbers;
using handoff::Row;

base::Bytes record(const std::string& currency, std::int64_t effect_minor, std::int64_t received_ms = 1'000) {
  tillstream::v1::Event event;
  event.set_currency(currency);
  event.set_effect_minor(effect_minor);
  event.set_received_at_ms(received_ms);
  event.set_clock_synced(true);
  return event.SerializeAsString();
}

std::int64_t sum(const PendingLedger& ledger, const std::string& currency) {
  for (const auto& amount : ledger.amounts()) {
    if (amount.currency == currency) return amount.amount_minor;
  }
  return 0;
}

handoff::Epoch epoch(std::uint8_t first) {
  handoff::Epoch id;
  id.bytes[0] = first;
  return id;
}

}  // namespace

TEST_CASE("ledger: sums by currency what is pending, and forgets it as it is acknowledged") {
  PendingLedger ledger;
  ledger.on_opened(Row(0), Row(1));
  const std::vector<base::Bytes> rows{record("EUR", 100), record("CHF", 7), record("EUR", -30), record("", 0)};
  ledger.on_rows(Row(1), rows, Row(5));
  CHECK(sum(ledger, "EUR") == 70);
  CHECK(sum(ledger, "CHF") == 7);
  CHECK(ledger.exact());
  ledger.on_acked(Row(2));
  CHECK(sum(ledger, "EUR") == -30);
  CHECK(ledger.amounts().size() == 1);
  ledger.on_acked(Row(4));
  CHECK(ledger.amounts().empty());
  CHECK_FALSE(ledger.lowest_received());
}

TEST_CASE("ledger: more money than 64 bits hold is told as the most they hold, and is exact again when it is less") {
  for (const std::int64_t sign : {1, -1}) {
    CAPTURE(sign);
    constexpr std::int64_t largest = 999'999'999'999'999;
    PendingLedger ledger;
    ledger.on_opened(Row(0), Row(1));
    std::vector<base::Bytes> rows(10'000, record("EUR", sign * largest));
    rows.back() = record("EUR", sign * 42);
    // The last ones beyond details_max are known by their sums only, until they are read again.
    ledger.on_rows(Row(1), std::span(rows).first(8'000), Row(8'001));
    CHECK(sum(ledger, "EUR") == sign * 8'000 * largest);
    ledger.on_acked(Row(1));
    ledger.on_rows(Row(8'001), std::span(rows).subspan(8'000), Row(10'001));
    CHECK(sum(ledger, "EUR") == sign * std::numeric_limits<std::int64_t>::max());
    ledger.on_acked(Row(8'000));
    ledger.on_rows(Row(8'001), std::span(rows).subspan(8'000), Row(10'001));
    ledger.on_acked(Row(9'998));
    CHECK(sum(ledger, "EUR") == sign * (largest + 42));
  }
}

TEST_CASE("ledger: after a restart it is inexact until every pending row has been scanned, live rows in between") {
  PendingLedger ledger;
  ledger.on_opened(Row(10), Row(14));
  CHECK(ledger.scan_from() == Row(11));
  // A live row comes before the scan has reached it: counted by the scan, once.
  ledger.on_rows(Row(14), std::vector{record("EUR", 1'000)}, Row(15));
  CHECK(ledger.amounts().empty());
  ledger.on_rows(Row(11), std::vector{record("EUR", 1), record("EUR", 2), record("EUR", 4)}, Row(15));
  CHECK(ledger.scan_from() == Row(14));
  ledger.on_rows(Row(14), std::vector{record("EUR", 1'000)}, Row(15));
  CHECK(ledger.exact());
  CHECK(sum(ledger, "EUR") == 1'007);
  ledger.on_rows(Row(12), std::vector{record("EUR", 2)}, Row(15));
  CHECK(sum(ledger, "EUR") == 1'007);
}

TEST_CASE("ledger: a backlog beyond its details keeps its sums, and gets details when it is read again") {
  PendingLedger ledger;
  ledger.on_opened(Row(0), Row(1));
  const std::uint64_t rows = PendingLedger::details_max + 3 * PendingLedger::span_rows;
  for (std::uint64_t row = 1; row <= rows; ++row) {
    ledger.on_rows(Row(row), std::vector{record("EUR", 1, static_cast<std::int64_t>(1'000 + row))}, Row(row + 1));
  }
  CHECK(sum(ledger, "EUR") == static_cast<std::int64_t>(rows));
  CHECK(ledger.lowest_received() == base::UtcTime(std::chrono::milliseconds(1'001)));
  std::uint64_t acked = 0;
  while (acked < rows) {
    acked = std::min<std::uint64_t>(acked + 500, rows);
    // As in life: what is sent has been read, from the oldest on.
    for (std::uint64_t row = acked; row <= std::min<std::uint64_t>(acked + 600, rows); ++row) {
      ledger.on_rows(Row(row), std::vector{record("EUR", 1, static_cast<std::int64_t>(1'000 + row))}, Row(rows + 1));
    }
    ledger.on_acked(Row(acked));
    CHECK(sum(ledger, "EUR") == static_cast<std::int64_t>(rows - acked));
    if (acked < rows) CHECK(ledger.lowest_received() <= base::UtcTime(std::chrono::milliseconds(1'001 + acked)));
  }
  CHECK(ledger.exact());
}

TEST_CASE("ledger: the lowest receive time counts, not the first row's: clocks step back") {
  PendingLedger ledger;
  ledger.on_opened(Row(0), Row(1));
  ledger.on_rows(Row(1), std::vector{record("EUR", 1, 5'000), record("EUR", 1, 3'000)}, Row(3));
  CHECK(ledger.lowest_received() == base::UtcTime(std::chrono::milliseconds(3'000)));
  CHECK(ledger.oldest()->at == base::UtcTime(std::chrono::milliseconds(5'000)));
}

TEST_CASE("ledger: a stream that was rolled back makes it count anew") {
  PendingLedger ledger;
  ledger.on_opened(Row(0), Row(1));
  ledger.on_rows(Row(1), std::vector{record("EUR", 1), record("EUR", 1)}, Row(3));
  ledger.on_acked(Row(2));
  ledger.on_acked(Row(0));
  CHECK(ledger.scan_from() == Row(1));
}

TEST_CASE("row numbers: a row keeps the place that its terminal was told, whatever epoch carries it later") {
  RowNumbers numbers;
  handoff::JournalState state;
  state.answered = {{.from = Row(1), .epoch = epoch(1), .seq = handoff::Seq(1)}};
  numbers.on_opened(state);
  CHECK(numbers.place_of(Row(7))->seq == handoff::Seq(7));
  // The new epoch begins at row 5, but rows up to 9 were answered in the old one.
  numbers.on_epoch_stored({.epoch = epoch(2), .first_row = Row(5)}, Row(10));
  CHECK(numbers.place_of(Row(9))->epoch == epoch(1));
  CHECK(numbers.place_of(Row(9))->seq == handoff::Seq(9));
  CHECK(numbers.place_of(Row(10))->epoch == epoch(2));
  CHECK(numbers.place_of(Row(10))->seq == handoff::Seq(6));
  // Accepted by the bridge: the same epoch once more.
  numbers.on_epoch_stored({.epoch = epoch(2), .first_row = Row(5), .accepted = true}, Row(12));
  CHECK(numbers.place_of(Row(12))->seq == handoff::Seq(8));
  numbers.on_trimmed(Row(10));
  CHECK_FALSE(numbers.place_of(Row(9)));
  CHECK(numbers.place_of(Row(11))->seq == handoff::Seq(7));
}
