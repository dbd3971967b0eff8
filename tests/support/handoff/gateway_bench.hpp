// A sender on the bench: its journal does at once what it is asked, everything that it says is kept, and the test
// speaks the bridge's part.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proto/handoff/sender.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/handoff/model_journal.hpp"
#include "tests/support/seeded_random.hpp"

namespace support {

namespace v1 = tillstream::v1;
using handoff::Row;
using handoff::Seq;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::uint64_t kPlenty = 1U << 20U;

class GatewayBench {
 public:
  explicit GatewayBench(handoff::SenderSettings settings = {}, std::uint64_t seed = 1)
      : random(seed), journal(platform::hasher(), random), settings_(std::move(settings)) {
    settings_.gateway_id = "shop-1";
    reset();
  }

  // The process starts (again) on whatever the disk holds.
  void reset() {
    sender.emplace(platform::hasher(), random, settings_);
    sender->on_opened(journal.open(random), now);
    settle();
  }
  void connect(handoff::ConnectionLimits limits = {}) {
    sender->on_connected(limits, now);
    settle();
  }
  void append(std::vector<base::Bytes> records) {
    const Row first = journal.append(records);
    sender->on_appended(first, records, now);
    settle();
  }
  // n events with their own numbers as content.
  void append(std::size_t n, std::size_t size = 10) {
    std::vector<base::Bytes> records;
    for (std::size_t i = 0; i < n; ++i) records.push_back(std::to_string(++events_) + std::string(size, '.'));
    append(std::move(records));
  }
  void trim(Row through) {
    journal.trim(through);
    sender->on_trimmed(journal.oldest(), journal.base(), now);
  }
  // Lets time pass, timer by timer.
  void pass(base::Instant::duration time) {
    const base::Instant end = now + time;
    for (;;) {
      const auto wakeup = sender->wakeup_at();
      if (!wakeup || *wakeup > end) break;
      now = std::max(now + std::chrono::microseconds(1), *wakeup);
      settle();
    }
    now = std::max(now, end);
    settle();
  }
  void hear(const v1::Ack& ack) {
    sender->on_ack(ack, now);
    settle();
  }
  void settle() {
    for (int i = 0; auto output = sender->poll(now); ++i) {
      REQUIRE(i < 10'000);
      execute(*output);
    }
  }

  // --- the bridge's part ---

  [[nodiscard]] const v1::Hello& last_hello() const {
    for (auto up = sent.rbegin(); up != sent.rend(); ++up) {
      if (up->has_hello()) return up->hello();
    }
    REQUIRE_MESSAGE(false, "no Hello was said");
    return sent.back().hello();
  }
  [[nodiscard]] std::vector<v1::Hello> hellos() const {
    std::vector<v1::Hello> all;
    for (const v1::Up& up : sent) {
      if (up.has_hello()) all.push_back(up.hello());
    }
    return all;
  }
  [[nodiscard]] std::vector<v1::Batch> batches() const {
    std::vector<v1::Batch> all;
    for (const v1::Up& up : sent) {
      if (up.has_batch()) all.push_back(up.batch());
    }
    return all;
  }
  // The seqs of all batches sent, in order: "1+2 3+1".
  [[nodiscard]] std::string sent_seqs() const {
    std::string text;
    for (const v1::Batch& batch : batches()) {
      text += (text.empty() ? "" : " ") + std::to_string(batch.first_seq()) + "+" +
              std::to_string(batch.records().record_size());
    }
    return text;
  }
  // What the bridge would hold when it has the first `seq` rows of the current epoch.
  [[nodiscard]] handoff::Progress progress(std::uint64_t seq) const { return progress_of(journal, seq); }
  [[nodiscard]] static handoff::Progress progress_of(const ModelJournal& journal, std::uint64_t seq) {
    const base::Hasher& hasher = platform::hasher();
    const handoff::Segments segments(journal.segments());
    handoff::Progress progress{.gateway_id = "shop-1"};
    progress.place = {journal.epoch().epoch, Seq(seq), handoff::chain_start(hasher, journal.epoch().epoch)};
    handoff::Mark mark{};
    for (Row row(1); row < journal.epoch().first_row + seq; ++row) {
      mark = handoff::advance(hasher, segments, journal.epoch(), mark, journal.at(row));
      progress.set_run({segments.of(row).run, segments.index_of(row).value() + 1, mark.run_digest});
      if (row >= journal.epoch().first_row) progress.place.digest = mark.epoch_digest;
    }
    return progress;
  }
  [[nodiscard]] static v1::Ack place(const handoff::Progress& progress, std::uint64_t credit = kPlenty) {
    v1::Ack ack;
    ack.set_epoch(base::Bytes(progress.place.epoch.view()));
    ack.set_seq(progress.place.seq.value());
    ack.set_digest(base::Bytes(progress.place.digest.view()));
    ack.set_credit_bytes(credit);
    return ack;
  }
  // The answer to the last Hello.
  [[nodiscard]] v1::Ack answer(const std::optional<handoff::Progress>& progress, std::uint64_t credit = kPlenty) const {
    v1::Ack ack = progress ? place(*progress, credit) : v1::Ack();
    ack.set_credit_bytes(credit);
    ack.set_nonce(last_hello().nonce());
    if (progress) *ack.mutable_progress() = handoff::to_wire(*progress);
    return ack;
  }
  // Connected, greeted, everything up to `seq` acked.
  void stream_from(std::uint64_t seq, std::uint64_t credit = kPlenty) {
    connect();
    hear(answer(progress(seq), credit));
    REQUIRE(sender->state() == handoff::SenderState::streaming);
    sent.clear();
  }

  SeededRandom random;
  ModelJournal journal;
  std::optional<handoff::Sender> sender;
  base::Instant now{seconds(1)};
  std::vector<v1::Up> sent;
  std::vector<handoff::StoreEpoch> stored;
  std::vector<Row> acked;
  std::vector<handoff::AlarmKind> alarms;
  std::vector<handoff::AppendNotice> notices;
  std::size_t reads = 0;
  std::size_t reconnects = 0;
  bool journal_answers = true;

 private:
  void execute(handoff::SenderOutput& output) {
    if (auto* send = std::get_if<handoff::Send>(&output)) sent.push_back(std::move(send->up));
    if (auto* read = std::get_if<handoff::Read>(&output)) {
      ++reads;
      const Row first = std::max(read->from, journal.oldest());
      if (journal_answers) sender->on_rows(first, journal.read(read->from, read->max_rows, read->max_bytes), now);
    }
    if (auto* store = std::get_if<handoff::StoreEpoch>(&output)) {
      stored.push_back(*store);
      if (!journal_answers) return;
      journal.start_epoch(store->start, store->run);
      sender->on_epoch_stored(now);
    }
    if (auto* mark = std::get_if<handoff::Acked>(&output)) {
      acked.push_back(mark->mark.row);
      journal.remember_acked(mark->mark);
    }
    if (auto* alarm = std::get_if<handoff::Alarm>(&output)) alarms.push_back(alarm->kind);
    if (auto* notice = std::get_if<handoff::AppendNotice>(&output)) notices.push_back(*notice);
    if (std::holds_alternative<handoff::Reconnect>(output)) ++reconnects;
  }

  handoff::SenderSettings settings_;
  std::uint64_t events_ = 0;
};

}  // namespace support
