#include <doctest/doctest.h>

#include <limits>

#include "firmware-gateway/journal/catalog.hpp"
#include "proto/platform/system.hpp"

using handoff::Row;
using journal::Catalog;
using journal::Entry;

namespace {

Catalog full_catalog() {
  const base::Hasher& hasher = platform::hasher();
  handoff::Epoch epoch;
  epoch.bytes[3] = 9;
  Catalog catalog = journal::new_catalog("shop-0017", {1, 2, 3}, epoch, hasher);
  catalog.epoch->accepted = true;
  catalog.epoch->supersedes = handoff::Place{epoch, handoff::Seq(5), hasher.sha256({"s"})};
  catalog.epoch->lost = handoff::Lost{"disk_replaced", handoff::Seq(6), handoff::Seq(9)};
  catalog.acked = handoff::Mark{Row(4), hasher.sha256({"a"}), hasher.sha256({"b"})};
  catalog.segments = {{{}, Row(1), handoff::RunIndex(7), true, true}, {{}, Row(9), handoff::RunIndex(0), false, false}};
  catalog.tallies.add({.key = "T1\nEUR", .add = {1, -1250}});
  catalog.tallies.add({.key = "T2\nEUR", .add = {std::numeric_limits<std::int64_t>::max()}});
  catalog.tallies.add({.key = "T2\nEUR", .add = {1}});
  catalog.tallied = catalog.segments.back().run;
  return catalog;
}

}  // namespace

TEST_CASE("catalog: entries give back what went in") {
  const Catalog catalog = full_catalog();
  Catalog read;
  for (const Entry& entry : journal::entries_of(catalog)) CHECK(read.take(entry));
  CHECK(read.whole());
  CHECK(read.gateway_id == catalog.gateway_id);
  CHECK(read.hash_key == catalog.hash_key);
  CHECK(read.epoch == catalog.epoch);
  CHECK(read.base == catalog.base);
  CHECK(read.acked == catalog.acked);
  CHECK(read.segments == catalog.segments);
  CHECK(read.answered == catalog.answered);
  CHECK(read.tallies == catalog.tallies);
  CHECK(read.tallies.find("T1\nEUR")->numbers->at(1) == -1250);
  CHECK(!read.tallies.find("T2\nEUR"));
  CHECK(read.tallied == catalog.tallied);
  CHECK(read.take({static_cast<journal::Kind>(200), 7, "of a newer program"}));
  CHECK(read.whole());
  const base::UtcTime time(std::chrono::milliseconds(-5));
  for (const auto kind : {journal::Kind::committed, journal::Kind::sent}) {
    Entry entry = journal::time_entry(kind, Row(3), time);
    CHECK(read.take(entry));
    entry.value.pop_back();
    CHECK_FALSE(read.take(entry));
  }
  CHECK(journal::time_of(journal::time_entry(journal::Kind::sent, Row(3), time)) == time);
}

TEST_CASE("journal: each error has its word") {
  CHECK(to_string(journal::Error::full) == "full");
  CHECK(to_string(journal::Error::disk_full) == "disk full");
  CHECK(to_string(journal::Error::broken) == "broken");
  CHECK(to_string(journal::Error::damaged) == "damaged");
}

TEST_CASE("catalog: values of another length are refused, whatever their kind") {
  for (Entry entry : journal::entries_of(full_catalog())) {
    if (entry.kind == journal::Kind::gateway_id) continue;
    CAPTURE(static_cast<int>(entry.kind));
    Catalog catalog;
    entry.value.push_back('x');
    CHECK(!catalog.take(entry));
    for (std::size_t size = 0; size + 2 < entry.value.size(); ++size) {
      Entry cut = entry;
      cut.value.resize(size);
      CHECK(!catalog.take(cut));
    }
  }
}

TEST_CASE("catalog: the checksum covers kind, place and value") {
  const Entry entry = journal::mark_entry(journal::Kind::acked, {Row(4), {}, {}});
  Entry other = entry;
  other.kind = journal::Kind::base;
  CHECK(journal::entry_crc(other) != journal::entry_crc(entry));
  other = entry;
  other.at = 1;
  CHECK(journal::entry_crc(other) != journal::entry_crc(entry));
  other = entry;
  other.value[0] = 5;
  CHECK(journal::entry_crc(other) != journal::entry_crc(entry));
}

TEST_CASE("catalog: is whole only with every part, and when they agree") {
  const auto without = [](auto&& take_away) {
    Catalog catalog = full_catalog();
    take_away(catalog);
    return catalog.whole();
  };
  CHECK(without([](Catalog&) {}));
  CHECK(!without([](Catalog& c) { c.gateway_id.reset(); }));
  CHECK(!without([](Catalog& c) { c.hash_key.reset(); }));
  CHECK(!without([](Catalog& c) { c.epoch.reset(); }));
  CHECK(!without([](Catalog& c) { c.base.reset(); }));
  CHECK(!without([](Catalog& c) { c.acked.reset(); }));
  CHECK(!without([](Catalog& c) { c.answered.clear(); }));
  CHECK(!without([](Catalog& c) { c.base->row = Row(5); }));
  CHECK(!without([](Catalog& c) { c.epoch->epoch.bytes[0] = 77; }));
}
