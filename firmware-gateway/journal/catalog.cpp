#include "firmware-gateway/journal/catalog.hpp"

#include <algorithm>

#include "firmware-gateway/journal/crc32c.hpp"
#include "proto/base/assert.hpp"

namespace journal {
namespace {

// Little-endian numbers, fixed-size ids, and texts with a 64-bit length.
class Packer {
 public:
  Packer& number(std::uint64_t value) {
    for (unsigned i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  Packer& fixed(base::BytesView bytes) {
    bytes_.append(bytes);
    return *this;
  }
  Packer& text(base::BytesView bytes) { return number(bytes.size()).fixed(bytes); }
  [[nodiscard]] base::Bytes take() { return std::move(bytes_); }

 private:
  base::Bytes bytes_;
};

// Reads what Packer wrote. After a read beyond the end everything is zero and done() is false.
class Unpacker {
 public:
  explicit Unpacker(base::BytesView bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    const base::BytesView bytes = next(8);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) value = (value << 8U) | static_cast<std::uint8_t>(bytes[i - 1]);
    return value;
  }
  template <class Fixed>
  Fixed fixed() {
    return base::from_bytes<Fixed>(next(sizeof(Fixed::bytes))).value_or(Fixed{});
  }
  std::string text() { return std::string(next(number())); }
  [[nodiscard]] bool done() const { return !short_ && bytes_.empty(); }

 private:
  base::BytesView next(std::uint64_t count) {
    if (count > bytes_.size()) {
      short_ = true;
      return {};
    }
    const base::BytesView taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  base::BytesView bytes_;
  bool short_ = false;
};

template <class T>
std::optional<T> only_if(bool whole, T value) {
  if (!whole) return std::nullopt;
  return value;
}

constexpr std::uint64_t kDigestVoid = 1;
constexpr std::uint64_t kPossibleRepeat = 2;
constexpr std::uint64_t kSumKnown = 1;
constexpr std::uint64_t kSumSalvaged = 2;

template <class T>
bool keep(std::optional<T>& place, std::optional<T> value) {
  const bool good = value.has_value();
  if (good) place = std::move(value);
  return good;
}

template <class T>
bool append_to(std::vector<T>& list, const std::optional<T>& value) {
  if (value) list.push_back(*value);
  return value.has_value();
}

}  // namespace

std::uint32_t entry_crc(const Entry& entry) {
  return crc32c(crc32c(0, Packer().number(static_cast<std::uint64_t>(entry.kind)).number(entry.at).take()),
                entry.value);
}

Entry gateway_id_entry(std::string_view gateway_id) { return {Kind::gateway_id, 0, base::Bytes(gateway_id)}; }

Entry hash_key_entry(const HashKey& key) {
  return {Kind::hash_key, 0, base::Bytes(reinterpret_cast<const char*>(key.data()), key.size())};
}

Entry epoch_entry(const handoff::EpochStart& epoch) {
  Packer packer;
  packer.fixed(epoch.epoch.view()).number(epoch.first_row.value()).number(epoch.accepted ? 1 : 0);
  packer.number(epoch.supersedes ? 1 : 0);
  const handoff::Place place = epoch.supersedes.value_or(handoff::Place{});
  packer.fixed(place.epoch.view()).number(place.seq.value()).fixed(place.digest.view());
  packer.number(epoch.lost ? 1 : 0);
  const handoff::Lost lost = epoch.lost.value_or(handoff::Lost{});
  packer.number(lost.first.value()).number(lost.last.value()).text(lost.reason);
  // Left out where there are none, as in journals written before there were such numbers.
  if (epoch.repeats_through > Row(0) || epoch.lacks_from) packer.number(epoch.repeats_through.value());
  if (epoch.lacks_from) packer.number(epoch.lacks_from->value());
  return {Kind::epoch, 0, packer.take()};
}

Entry mark_entry(Kind kind, const handoff::Mark& mark) {
  ASSERT(kind == Kind::base || kind == Kind::acked);
  return {kind, 0,
          Packer().number(mark.row.value()).fixed(mark.epoch_digest.view()).fixed(mark.run_digest.view()).take()};
}

Entry segment_entry(const handoff::Segment& segment) {
  const std::uint64_t flags = (segment.digest_void ? kDigestVoid : 0) | (segment.possible_repeat ? kPossibleRepeat : 0);
  return {Kind::segment, segment.first_row.value(),
          Packer().fixed(segment.run.view()).number(segment.first_index.value()).number(flags).take()};
}

Entry answered_entry(const handoff::Answered& answered) {
  return {Kind::answered, answered.from.value(),
          Packer().fixed(answered.epoch.view()).number(answered.seq.value()).take()};
}

Entry tally_mark_entry(bool whole, const handoff::Run& run) {
  return {Kind::tally, 0, Packer().number(whole ? 1 : 0).fixed(run.view()).take()};
}

Entry tally_entry(std::size_t place, const TallySum& sum) {
  Packer packer;
  packer.text(sum.key).number((sum.numbers ? kSumKnown : 0) | (sum.salvaged ? kSumSalvaged : 0));
  for (const std::int64_t number : sum.numbers.value_or(TallyNumbers{}))
    packer.number(static_cast<std::uint64_t>(number));
  return {Kind::tally, place + 1, packer.take()};
}

Entry time_entry(Kind kind, Row through, base::UtcTime time) {
  ASSERT(kind == Kind::committed || kind == Kind::sent);
  return {kind, through.value(), Packer().number(static_cast<std::uint64_t>(time.time_since_epoch().count())).take()};
}

std::optional<HashKey> hash_key_of(const Entry& entry) {
  HashKey key{};
  if (entry.value.size() != key.size()) return std::nullopt;
  std::copy(entry.value.begin(), entry.value.end(), key.begin());
  return key;
}

std::optional<handoff::EpochStart> epoch_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  handoff::EpochStart epoch;
  epoch.epoch = unpacker.fixed<handoff::Epoch>();
  epoch.first_row = Row(unpacker.number());
  epoch.accepted = unpacker.number() != 0;
  const bool supersedes = unpacker.number() != 0;
  handoff::Place place;
  place.epoch = unpacker.fixed<handoff::Epoch>();
  place.seq = handoff::Seq(unpacker.number());
  place.digest = unpacker.fixed<base::Digest>();
  if (supersedes) epoch.supersedes = place;
  const bool lost = unpacker.number() != 0;
  handoff::Lost range;
  range.first = handoff::Seq(unpacker.number());
  range.last = handoff::Seq(unpacker.number());
  range.reason = unpacker.text();
  if (lost) epoch.lost = range;
  if (!unpacker.done()) epoch.repeats_through = Row(unpacker.number());
  if (!unpacker.done()) epoch.lacks_from = handoff::Seq(unpacker.number());
  return only_if(unpacker.done() && !epoch.epoch.empty(), epoch);
}

std::optional<handoff::Mark> mark_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  handoff::Mark mark;
  mark.row = Row(unpacker.number());
  mark.epoch_digest = unpacker.fixed<base::Digest>();
  mark.run_digest = unpacker.fixed<base::Digest>();
  return only_if(unpacker.done(), mark);
}

std::optional<handoff::Segment> segment_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  handoff::Segment segment;
  segment.run = unpacker.fixed<handoff::Run>();
  segment.first_row = Row(entry.at);
  segment.first_index = handoff::RunIndex(unpacker.number());
  const std::uint64_t flags = unpacker.number();
  segment.digest_void = (flags & kDigestVoid) != 0;
  segment.possible_repeat = (flags & kPossibleRepeat) != 0;
  return only_if(unpacker.done(), segment);
}

std::optional<handoff::Answered> answered_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  handoff::Answered answered;
  answered.from = Row(entry.at);
  answered.epoch = unpacker.fixed<handoff::Epoch>();
  answered.seq = handoff::Seq(unpacker.number());
  return only_if(unpacker.done(), answered);
}

std::optional<TallySum> tally_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  TallySum sum{.key = unpacker.text(), .numbers = TallyNumbers{}};
  const std::uint64_t flags = unpacker.number();
  sum.salvaged = (flags & kSumSalvaged) != 0;
  for (std::int64_t& number : *sum.numbers) number = static_cast<std::int64_t>(unpacker.number());
  if ((flags & kSumKnown) == 0) sum.numbers.reset();
  return only_if(unpacker.done(), sum);
}

std::optional<base::UtcTime> time_of(const Entry& entry) {
  Unpacker unpacker(entry.value);
  const auto count = static_cast<std::int64_t>(unpacker.number());
  return only_if(unpacker.done(), base::UtcTime(std::chrono::milliseconds(count)));
}

bool Catalog::take(const Entry& entry) {
  switch (entry.kind) {
    case Kind::gateway_id:
      gateway_id = entry.value;
      return true;
    case Kind::hash_key:
      return keep(hash_key, hash_key_of(entry));
    case Kind::epoch:
      return keep(epoch, epoch_of(entry));
    case Kind::base:
      return keep(base, mark_of(entry));
    case Kind::acked:
      return keep(acked, mark_of(entry));
    case Kind::segment:
      return append_to(segments, segment_of(entry));
    case Kind::answered:
      return append_to(answered, answered_of(entry));
    case Kind::committed:
    case Kind::sent:
      return time_of(entry).has_value();
    case Kind::tally:
      return take_tally(entry);
  }
  return true;
}

bool Catalog::take_tally(const Entry& entry) {
  if (entry.at == 0) {
    Unpacker unpacker(entry.value);
    tallies = Tallies(unpacker.number() == 1);
    tallied = unpacker.fixed<handoff::Run>();
    return unpacker.done();
  }
  auto sum = tally_of(entry);
  return sum && tallies.restore(std::move(*sum));
}

bool Catalog::whole() const {
  return gateway_id && hash_key && epoch && base && acked && acked->row >= base->row && !answered.empty() &&
         answered.back().epoch == epoch->epoch;
}

Catalog new_catalog(std::string_view gateway_id, const HashKey& hash_key, handoff::Epoch epoch,
                    const base::Hasher& hasher) {
  Catalog catalog;
  catalog.gateway_id = std::string(gateway_id);
  catalog.hash_key = hash_key;
  catalog.epoch =
      handoff::EpochStart{.epoch = epoch, .first_row = Row(1), .accepted = false, .supersedes = {}, .lost = {}};
  catalog.base = handoff::Mark{Row(0), handoff::chain_start(hasher, epoch), {}};
  catalog.acked = catalog.base;
  catalog.answered = {{Row(1), epoch, handoff::Seq(1)}};
  catalog.tallies = Tallies(true);
  return catalog;
}

std::vector<Entry> entries_of(const Catalog& catalog) {
  ASSERT(catalog.whole());
  std::vector<Entry> entries = {gateway_id_entry(*catalog.gateway_id), hash_key_entry(*catalog.hash_key),
                                epoch_entry(*catalog.epoch), mark_entry(Kind::base, *catalog.base),
                                mark_entry(Kind::acked, *catalog.acked)};
  for (const handoff::Segment& segment : catalog.segments) entries.push_back(segment_entry(segment));
  for (const handoff::Answered& answered : catalog.answered) entries.push_back(answered_entry(answered));
  entries.push_back(tally_mark_entry(catalog.tallies.whole(), catalog.tallied));
  for (std::size_t place = 0; place < catalog.tallies.sums().size(); ++place)
    entries.push_back(tally_entry(place, catalog.tallies.sums()[place]));
  return entries;
}

}  // namespace journal
