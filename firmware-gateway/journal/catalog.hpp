// Catalog: what the journal knows beside its rows, as numbered entries of bytes with a CRC each, so that a flipped bit
// in a mark cannot trim an event that the stream never had. This file fixes the format; README.md has it in prose.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "firmware-gateway/journal/journal.hpp"

namespace journal {

// What an entry's `at` means is in brackets.
enum class Kind : std::uint8_t {
  gateway_id = 1,  // [0] whose journal it is
  hash_key = 2,    // [0] key of the duplicate keys' hashes
  epoch = 3,       // [0] the current EpochStart
  base = 4,        // [0] Mark just before the oldest row
  acked = 5,       // [0] Mark of the last row known to be in the stream
  segment = 6,     // [first_row]
  answered = 7,    // [from]
  committed = 8,   // [last row] when rows up to this one (from the entry before) were acked, milliseconds since 1970
  sent = 9,        // [last row] when they were first sent
  tally = 10,      // [0] whether sums are whole, and the last run whose rows they count; [1 …] a TallySum
};

using HashKey = std::array<std::uint8_t, 16>;

struct Entry {
  Kind kind{};
  std::uint64_t at = 0;
  base::Bytes value;
};

// Of kind, at and value.
[[nodiscard]] std::uint32_t entry_crc(const Entry& entry);

[[nodiscard]] Entry gateway_id_entry(std::string_view gateway_id);
[[nodiscard]] Entry hash_key_entry(const HashKey& key);
[[nodiscard]] Entry epoch_entry(const handoff::EpochStart& epoch);
[[nodiscard]] Entry mark_entry(Kind kind, const handoff::Mark& mark);
[[nodiscard]] Entry segment_entry(const handoff::Segment& segment);
[[nodiscard]] Entry answered_entry(const handoff::Answered& answered);
[[nodiscard]] Entry tally_mark_entry(bool whole, const handoff::Run& run);
// `place`: of the sum in Tallies::sums().
[[nodiscard]] Entry tally_entry(std::size_t place, const TallySum& sum);
[[nodiscard]] Entry time_entry(Kind kind, Row through, base::UtcTime time);

// Nothing when the entry's value is not what its kind has.
[[nodiscard]] std::optional<HashKey> hash_key_of(const Entry& entry);
[[nodiscard]] std::optional<handoff::EpochStart> epoch_of(const Entry& entry);
[[nodiscard]] std::optional<handoff::Mark> mark_of(const Entry& entry);
[[nodiscard]] std::optional<handoff::Segment> segment_of(const Entry& entry);
[[nodiscard]] std::optional<handoff::Answered> answered_of(const Entry& entry);
[[nodiscard]] std::optional<TallySum> tally_of(const Entry& entry);
[[nodiscard]] std::optional<base::UtcTime> time_of(const Entry& entry);

// The catalog as it can be read, whole or in parts (of a damaged file).
struct Catalog {
  std::optional<std::string> gateway_id;
  std::optional<HashKey> hash_key;
  std::optional<handoff::EpochStart> epoch;
  std::optional<handoff::Mark> base;
  std::optional<handoff::Mark> acked;
  std::vector<handoff::Segment> segments;  // in row order
  std::vector<handoff::Answered> answered;
  Tallies tallies;
  // The last run whose rows the tallies count; empty: none.
  handoff::Run tallied;

  // Takes one entry, in ascending order of (kind, at). False: it is not what its kind has. Times are not kept,
  // nor what only a newer program knows.
  [[nodiscard]] bool take(const Entry& entry);
  // Every part that a journal must have is there, and they agree with each other.
  [[nodiscard]] bool whole() const;
  // Not, when rows were appended by an older program, which knows of no tallies.
  [[nodiscard]] bool tallies_count_every_row() const { return segments.empty() || segments.back().run == tallied; }

 private:
  [[nodiscard]] bool take_tally(const Entry& entry);
};

// A journal of this gateway with no rows.
[[nodiscard]] Catalog new_catalog(std::string_view gateway_id, const HashKey& hash_key, handoff::Epoch epoch,
                                  const base::Hasher& hasher);
[[nodiscard]] std::vector<Entry> entries_of(const Catalog& catalog);

}  // namespace journal
