// What the gateway asks of its journal, as values: the machine emits requests, whoever has the journal serves them in
// order, and each reply goes back in. So the same machine works with a journal on another thread and with one in the
// simulator's hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "firmware-gateway/journal/journal.hpp"
#include "proto/base/strong.hpp"

namespace gateway {

using handoff::Row;

// Whose request it is; the reply goes to the same.
enum class Asker : std::uint8_t { ingest, sender, notices, ledger, history, housekeeping, operators };
// Which of an asker's requests; the asker's own number.
using Token = base::Strong<struct TokenTag>;

struct AppendRows {
  std::vector<journal::AppendItem> items;
};
struct ReadRows {
  Row from;
  std::size_t max_rows = 0;
  std::size_t max_bytes = 0;
};
struct FindRows {
  std::vector<std::uint64_t> key_hashes;
  std::size_t limit = 0;
};
struct StoreEpoch {
  handoff::EpochStart start;
  std::optional<handoff::Segment> run;
};
struct RememberAcked {
  handoff::Mark mark;
  base::UtcTime at;
};
struct RememberSent {
  Row through;
  base::UtcTime at;
};
struct Flush {};
struct Trim {
  base::UtcTime now;
};
struct MeasureUsage {};
struct VerifyRows {
  Row from;
};

struct JournalRequest {
  Asker asker{};
  Token token{};
  std::variant<AppendRows, ReadRows, FindRows, StoreEpoch, RememberAcked, RememberSent, Flush, Trim, MeasureUsage,
               VerifyRows>
      what;
};

struct RowsAppended {
  std::vector<journal::AppendOutcome> outcomes;
  // Those that were appended, in order; first is the first one's row.
  Row first{};
  std::vector<base::Bytes> records;
};
struct RowsRead {
  Row from{};
  std::vector<journal::StoredRow> rows;
};
// One list a key hash.
struct RowsFound {
  std::vector<std::vector<journal::History>> rows;
};
struct EpochStored {
  handoff::EpochStart start;
};
struct Done {};

using JournalResult = std::variant<RowsAppended, RowsRead, RowsFound, EpochStored, Done, journal::TrimOutcome,
                                   journal::Usage, journal::VerifyStep>;

struct JournalReply {
  Asker asker{};
  Token token{};
  // The error belongs to the journal, not to the request: broken and damaged end every later one as well.
  base::Result<JournalResult, journal::Error> result;
};

// Does what the request asks for.
[[nodiscard]] JournalReply serve(journal::Journal& journal, JournalRequest request);

}  // namespace gateway
