#include "firmware-gateway/app/journal_desk.hpp"

#include <memory>
#include <utility>

namespace app {

namespace {

using gateway::JournalReply;
using gateway::JournalRequest;
using gateway::JournalResult;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

template <class T, class Wrap>
sqlite::JournalThread::Done<T> JournalDesk::answer(const JournalRequest& request, Wrap wrap) {
  return [this, asker = request.asker, token = request.token,
          wrap = std::move(wrap)](base::Result<T, journal::Error> result) mutable {
    JournalReply reply{.asker = asker, .token = token, .result = gateway::Done{}};
    if (!result) {
      reply.result = base::fail(result.error());
    } else {
      if constexpr (std::is_void_v<T>) {
        reply.result = wrap();
      } else {
        reply.result = wrap(std::move(*result));
      }
    }
    reply_(std::move(reply));
  };
}

// More requests than the thread takes: it must be stuck in one. The same as a disk that fails.
void JournalDesk::fail(const JournalRequest& request, journal::Error error) {
  reply_({.asker = request.asker, .token = request.token, .result = base::fail(error)});
}

void JournalDesk::append(const JournalRequest& request, std::vector<journal::AppendItem> items) {
  // The thread takes the items; the sender wants the records of those that were appended.
  auto records = std::make_shared<std::vector<base::Bytes>>();
  for (const auto& item : items) records->push_back(item.record);
  const auto wrap = [records](std::vector<journal::AppendOutcome> outcomes) -> JournalResult {
    gateway::RowsAppended appended;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const auto* stored = std::get_if<journal::Appended>(&outcomes[i]);
      if (stored == nullptr) continue;
      if (appended.records.empty()) appended.first = stored->row;
      appended.records.push_back(std::move((*records)[i]));
    }
    appended.outcomes = std::move(outcomes);
    return appended;
  };
  if (!thread_->append(std::move(items), answer<std::vector<journal::AppendOutcome>>(request, wrap))) {
    fail(request, journal::Error::full);
  }
}

void JournalDesk::find(const JournalRequest& request, const gateway::FindRows& find) {
  struct Gathering {
    gateway::RowsFound found;
    std::size_t missing = 0;
    std::optional<journal::Error> error;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = find.key_hashes.size();
  gathering->found.rows.resize(find.key_hashes.size());
  if (find.key_hashes.empty())
    return reply_({.asker = request.asker, .token = request.token, .result = gathering->found});
  for (std::size_t i = 0; i < find.key_hashes.size(); ++i) {
    const auto done = [this, gathering, i, asker = request.asker,
                       token = request.token](base::Result<std::vector<journal::History>, journal::Error> rows) {
      if (rows) {
        gathering->found.rows[i] = std::move(*rows);
      } else {
        gathering->error = rows.error();
      }
      if (--gathering->missing > 0) return;
      JournalReply reply{.asker = asker, .token = token, .result = gateway::Done{}};
      if (gathering->error) {
        reply.result = base::fail(*gathering->error);
      } else {
        reply.result = std::move(gathering->found);
      }
      reply_(std::move(reply));
    };
    if (!thread_->find(find.key_hashes[i], find.limit, done)) done(base::fail(journal::Error::full));
  }
}

void JournalDesk::ask(JournalRequest request) {
  using gateway::Row;
  const auto taken = [&](bool accepted) {
    if (!accepted) fail(request, journal::Error::full);
  };
  std::visit(
      Overloaded{
          [&](gateway::AppendRows& what) { append(request, std::move(what.items)); },
          [&](const gateway::FindRows& what) { find(request, what); },
          [&](const gateway::ReadRows& what) {
            taken(thread_->read(what.from, what.max_rows, what.max_bytes,
                                answer<std::vector<journal::StoredRow>>(
                                    request, [from = what.from](std::vector<journal::StoredRow> rows) -> JournalResult {
                                      return gateway::RowsRead{.from = from, .rows = std::move(rows)};
                                    })));
          },
          [&](const gateway::StoreEpoch& what) {
            taken(thread_->start_epoch(what.start, what.run,
                                       answer<void>(request, [start = what.start]() -> JournalResult {
                                         return gateway::EpochStored{.start = start};
                                       })));
          },
          [&](const gateway::RememberAcked& what) { thread_->remember_acked(what.mark, what.at); },
          [&](const gateway::RememberSent& what) { thread_->remember_sent(what.through, what.at); },
          [&](const gateway::Flush&) {
            taken(thread_->flush(answer<void>(request, []() -> JournalResult { return gateway::Done{}; })));
          },
          [&](const gateway::Trim& what) {
            taken(thread_->trim(what.now,
                                answer<journal::TrimOutcome>(
                                    request, [](journal::TrimOutcome&& outcome) -> JournalResult { return outcome; })));
          },
          [&](const gateway::MeasureUsage&) {
            taken(thread_->usage(
                answer<journal::Usage>(request, [](journal::Usage&& usage) -> JournalResult { return usage; })));
          },
          [&](const gateway::VerifyRows& what) {
            taken(thread_->verify(
                what.from, answer<journal::VerifyStep>(
                               request, [](journal::VerifyStep&& step) -> JournalResult { return std::move(step); })));
          }},
      request.what);
}

}  // namespace app
