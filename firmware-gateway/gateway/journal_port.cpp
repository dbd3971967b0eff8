#include "firmware-gateway/gateway/journal_port.hpp"

#include <utility>

namespace gateway {

namespace {

using Outcome = base::Result<JournalResult, journal::Error>;

Outcome done(const base::Result<void, journal::Error>& result) {
  if (!result) return base::fail(result.error());
  return Done{};
}

template <class T>
Outcome as_it_is(base::Result<T, journal::Error> result) {
  if (!result) return base::fail(result.error());
  return std::move(*result);
}

struct Service {
  journal::Journal& journal;

  Outcome operator()(AppendRows& append) const {
    auto outcomes = journal.append(append.items);
    if (!outcomes) return base::fail(outcomes.error());
    RowsAppended appended;
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
      const auto* stored = std::get_if<journal::Appended>(&(*outcomes)[i]);
      if (stored == nullptr) continue;
      if (appended.records.empty()) appended.first = stored->row;
      appended.records.push_back(std::move(append.items[i].record));
    }
    appended.outcomes = std::move(*outcomes);
    return appended;
  }
  Outcome operator()(const ReadRows& read) const {
    auto rows = journal.read(read.from, read.max_rows, read.max_bytes);
    if (!rows) return base::fail(rows.error());
    return RowsRead{.from = read.from, .rows = std::move(*rows)};
  }
  Outcome operator()(const FindRows& find) const {
    RowsFound found;
    for (const std::uint64_t hash : find.key_hashes) {
      auto rows = journal.find(hash, find.limit);
      if (!rows) return base::fail(rows.error());
      found.rows.push_back(std::move(*rows));
    }
    return found;
  }
  Outcome operator()(const StoreEpoch& store) const {
    if (auto stored = journal.start_epoch(store.start, store.run); !stored) return base::fail(stored.error());
    return EpochStored{.start = store.start};
  }
  Outcome operator()(const RememberAcked& remember) const {
    journal.remember_acked(remember.mark, remember.at);
    return Done{};
  }
  Outcome operator()(const RememberSent& remember) const {
    journal.remember_sent(remember.through, remember.at);
    return Done{};
  }
  Outcome operator()(const Flush&) const { return done(journal.flush()); }
  Outcome operator()(const Trim& trim) const { return as_it_is(journal.trim(trim.now)); }
  Outcome operator()(const MeasureUsage&) const { return journal.usage(); }
  Outcome operator()(const VerifyRows& verify) const { return as_it_is(journal.verify(verify.from)); }
};

}  // namespace

JournalReply serve(journal::Journal& journal, JournalRequest request) {
  return {.asker = request.asker, .token = request.token, .result = std::visit(Service{journal}, request.what)};
}

}  // namespace gateway
