// Any bytes as entries of a journal's catalog, and the ranges that could be read beside them: each entry is refused or
// reads as it would be written again, and the salvage plan made of them keeps every readable row, in its order.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "firmware-gateway/journal/salvage_plan.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"

namespace {

using journal::Entry;
using journal::Kind;
using journal::Row;

constexpr std::size_t kEntriesMax = 64;
constexpr std::size_t kRangesMax = 64;
// No journal ever has so many rows.
constexpr std::uint64_t kRowMax = 1ULL << 40U;

class Script {
 public:
  explicit Script(base::BytesView bytes) : bytes_(bytes) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1).empty() ? 0 : last_.front()); }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (const char c : take(byte() % 9)) value = (value << 8U) | static_cast<std::uint8_t>(c);
    return value;
  }
  base::BytesView take(std::size_t count) {
    last_ = bytes_.substr(0, std::min(count, bytes_.size()));
    bytes_.remove_prefix(last_.size());
    return last_;
  }

 private:
  base::BytesView bytes_;
  base::BytesView last_;
};

template <class T, class Write>
void same_again(const Entry& entry, const std::optional<T>& value, std::optional<T> (*read)(const Entry&),
                const Write& write) {
  if (!value) return;
  const Entry written = write(*value);
  ASSERT(written.kind == entry.kind && written.at == entry.at);
  ASSERT(read(written) == value);
}

void check_entry(const Entry& entry) {
  const auto mark = [&entry](const auto& value) { return journal::mark_entry(entry.kind, value); };
  const auto time = [&entry](const auto& value) { return journal::time_entry(entry.kind, Row(entry.at), value); };
  switch (entry.kind) {
    case Kind::gateway_id:
      return;
    case Kind::hash_key:
      return same_again(Entry{entry.kind, 0, entry.value}, hash_key_of(entry), journal::hash_key_of,
                        journal::hash_key_entry);
    case Kind::epoch:
      return same_again(Entry{entry.kind, 0, entry.value}, epoch_of(entry), journal::epoch_of, journal::epoch_entry);
    case Kind::base:
    case Kind::acked:
      return same_again(Entry{entry.kind, 0, entry.value}, mark_of(entry), journal::mark_of, mark);
    case Kind::segment:
      return same_again(entry, segment_of(entry), journal::segment_of, journal::segment_entry);
    case Kind::answered:
      return same_again(entry, answered_of(entry), journal::answered_of, journal::answered_entry);
    case Kind::committed:
    case Kind::sent:
      return same_again(entry, time_of(entry), journal::time_of, time);
    case Kind::tally:
      if (entry.at == 0) return;  // the mark before the sums
      return same_again(entry, tally_of(entry), journal::tally_of,
                        [&entry](const auto& sum) { return journal::tally_entry(entry.at - 1, sum); });
  }
}

std::uint64_t rows_of(const journal::SalvagePlan& plan) {
  Row next(1);
  std::uint64_t kept = 0;
  for (const auto& step : plan.steps) {
    if (const auto* copy = std::get_if<journal::CopyStep>(&step)) {
      ASSERT(copy->to == next);
      const std::uint64_t count = copy->rows.last - copy->rows.first + 1;
      kept += count;
      next = next + count;
    } else {
      const auto* notice = std::get_if<journal::NoticeStep>(&step);
      ASSERT((notice != nullptr ? notice->to : std::get<journal::ForgottenStep>(step).to) == next);
      next = next.next();
    }
  }
  return kept;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Script script({size == 0 ? "" : reinterpret_cast<const char*>(data), size});
  journal::Readable readable;
  // As the file gives them: in the order of (kind, at).
  std::vector<Entry> entries;
  for (std::size_t left = script.byte() % kEntriesMax; left > 0; --left) {
    const auto kind =
        static_cast<Kind>(script.byte());  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange): a file may
    const std::uint64_t at = script.number();
    entries.push_back({kind, at, base::Bytes(script.take(script.byte()))});
  }
  std::ranges::sort(entries,
                    [](const Entry& a, const Entry& b) { return std::pair(a.kind, a.at) < std::pair(b.kind, b.at); });
  for (const Entry& entry : entries) {
    check_entry(entry);
    static_cast<void>(readable.catalog.take(entry));
  }
  Row next = readable.catalog.base ? readable.catalog.base->row.next() : Row(1);
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < kRangesMax && !script.empty() && next < Row(kRowMax); ++i) {
    const Row first = next + script.number() % 1000;
    const Row last = first + script.number() % 1000;
    readable.rows.push_back({first, last});
    rows += last - first + 1;
    next = last + 2;
  }
  if (script.byte() % 2 == 0) readable.end = next + script.number() % 1000;
  readable.forgotten = script.byte();
  const journal::SalvageIds ids{{.bytes = {1}}, {.bytes = {2}}, {.bytes = {3}}, {}};
  const auto plan = journal::plan_salvage(readable, "shop", ids, "set-aside", base::UtcTime{}, platform::hasher());
  ASSERT(rows_of(plan) == rows && plan.rows_kept == rows);
  ASSERT(plan.catalog.whole());
  ASSERT(!entries_of(plan.catalog).empty());
  return 0;
}
