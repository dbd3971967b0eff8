#include "tests/sim/world/central.hpp"

#include <algorithm>
#include <utility>

namespace whole {
namespace {

using namespace std::chrono_literals;

// transaction.timeout.ms
constexpr auto kTransactionTime = 10s;
// The coordinator tells a client to come again while the last transaction is not ended in every log.
constexpr auto kConcurrentRetry = 20ms;

}  // namespace

Central::Central(Env& env, StreamWatcher& watcher, std::uint32_t partitions, std::size_t event_logs)
    : env_(env), watcher_(watcher), partitions_(partitions), logs_(partitions + event_logs) {}

bool Central::settled() const {
  return std::ranges::all_of(logs_, [](const Log& log) { return log.stable == log.entries.size(); });
}

// --- requests ------------------------------------------------------------------------------------

void Central::ask(Serve serve, Answer answer) {
  if (unreachable() || env_.strikes(env_.faults.unknown_outcome, 40)) return;
  auto way = env_.between(200us, 2ms);
  if (env_.strikes(env_.faults.slow_commit, 8)) way = env_.between(20ms, 4s);
  if (env_.strikes(env_.faults.late_request, 25)) way = env_.between(8s, 40s);
  env_.clock.after(way, [this, serve = std::move(serve), answer = std::move(answer)] {
    if (unreachable()) return;
    serve([this, answer](const base::Result<std::uint64_t, Error>& result) {
      if (env_.strikes(env_.faults.unknown_outcome, 40)) return;
      env_.clock.after(env_.between(200us, 2ms), [answer, result] { answer(result); });
    });
  });
}

void Central::init(Id id, Answer answer) {
  ask(
      [this, id](const Answer& reply) {
        Producer& producer = producers_[id];
        ++producer.epoch;
        if (producer.open != 0) decide(producer.open, false);
        answer_init(id, producer.epoch, reply);
      },
      std::move(answer));
}

void Central::answer_init(Id id, Epoch epoch, const Answer& answer) {
  if (producers_[id].owing == 0) return answer(epoch);
  env_.clock.after(kConcurrentRetry, [this, id, epoch, answer] { answer_init(id, epoch, answer); });
}

void Central::produce(Id id, Epoch epoch, std::uint32_t partition, Contents contents, Answer answer) {
  ask(
      [this, id, epoch, partition, contents = std::move(contents)](const Answer& reply) {
        Producer& producer = producers_[id];
        if (producer.epoch != epoch) return reply(base::fail(Error::fenced));
        if (producer.open == 0) {
          producer.open = ++last_;
          transactions_[last_].id = id;
          env_.clock.after(kTransactionTime, [this, id, number = last_] {
            if (producers_[id].open != number) return;
            ++producers_[id].epoch;
            decide(number, false);
          });
        }
        append(producer.open, partition, *contents);
        reply(0);
      },
      std::move(answer));
}

void Central::end(Id id, Epoch epoch, Answer answer) {
  ask(
      [this, id, epoch](const Answer& reply) {
        const Producer& producer = producers_[id];
        if (producer.epoch != epoch) return reply(base::fail(Error::fenced));
        if (producer.open == 0) return reply(base::fail(Error::invalid_state));
        decide(producer.open, true);
        reply(0);
      },
      std::move(answer));
}

void Central::find_end(std::uint32_t partition, Answer answer) {
  ask([this, partition](const Answer& reply) { reply(logs_[partition].entries.size()); }, std::move(answer));
}

void Central::read_progress(std::uint32_t partition, Progress answer) {
  ask([](const Answer& reply) { reply(0); },
      [this, partition, answer = std::move(answer)](const base::Result<std::uint64_t, Error>& /*reached*/) {
        const Log& log = logs_[partition];
        std::vector<tillstream::v1::Progress> all;
        for (const auto& [gateway, progress] : log.progress) all.push_back(progress);
        answer(log.stable, all);
      });
}

// --- logs ----------------------------------------------------------------------------------------

std::size_t Central::event_log(const std::string& key) const {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : key) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return partitions_ + hash % (logs_.size() - partitions_);
}

void Central::append(Number number, std::uint32_t partition, const stream::Transaction& contents) {
  for (const stream::Record& record : contents.records) {
    const bool real = record.type != "notice";
    if (real && env_.sabotage == Sabotage::drop_event && env_.random.one_in(30)) continue;
    append_record(number, record);
    if (real && env_.sabotage == Sabotage::repeat_event && env_.random.one_in(30)) append_record(number, record);
  }
  for (const auto& progress : contents.progress) {
    logs_[partition].entries.push_back({number, nullptr, std::make_shared<const tillstream::v1::Progress>(progress)});
    transactions_[number].logs.insert(partition);
  }
}

void Central::append_record(Number number, const stream::Record& record) {
  Transaction& transaction = transactions_[number];
  const std::size_t log = event_log(record.key);
  auto kept = std::make_shared<const stream::Record>(record);
  transaction.records.push_back(kept);
  transaction.logs.insert(log);
  logs_[log].entries.push_back({number, std::move(kept), nullptr});
}

void Central::decide(Number number, bool commit) {
  Transaction& transaction = transactions_[number];
  Producer& producer = producers_[transaction.id];
  transaction.state = commit ? State::committed : State::aborted;
  producer.open = 0;
  ++decided_;
  env_.story.trace({number, commit ? 1U : 0U, transaction.records.size()});
  if (commit) {
    for (const auto& record : transaction.records) watcher_.on_decided(*record);
  }
  for (const std::size_t log : transaction.logs) {
    // The coordinator takes it for ended, but the log does not hear of it.
    const bool hangs = env_.strikes(env_.faults.hanging, 150);
    if (hangs) {
      env_.story.tell([&] { return fmt::format("transaction {} hangs in log {}", number, log); });
      env_.clock.after(env_.between(20s, 400s), [this, log, number] { mark(log, number); });
      continue;
    }
    ++producer.owing;
    env_.clock.after(env_.between(200us, 5ms), [this, log, number, id = transaction.id] {
      --producers_[id].owing;
      mark(log, number);
    });
  }
}

void Central::mark(std::size_t log, Number number) {
  logs_[log].marked.insert(number);
  advance(log);
}

void Central::advance(std::size_t at) {
  Log& log = logs_[at];
  while (log.stable < log.entries.size() && log.marked.contains(log.entries[log.stable].transaction)) {
    Entry& entry = log.entries[log.stable++];
    if (transactions_[entry.transaction].state != State::committed) continue;
    if (entry.progress) log.progress[entry.progress->gateway_id()] = *entry.progress;
    if (entry.record) watcher_.on_visible(at, *entry.record);
    entry.record.reset();
    entry.progress.reset();
  }
}

}  // namespace whole
