// Box: a gateway's box: its disk, and the process on it: the product's machine, its journal behind a queue that the
// disk serves in its own time, and one connection to the broker.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "firmware-gateway/gateway/gateway.hpp"
#include "tests/sim/checker/checker.hpp"
#include "tests/sim/world/broker.hpp"
#include "tests/sim/world/process.hpp"
#include "tests/support/memory_journal.hpp"

namespace whole {

// What survives a crash. A copy is a disk image.
struct Disk {
  support::MemoryJournal::Disk journal;
  // What is known of the rows without reading them.
  std::map<handoff::Row, std::string> event_ids;
  // The acked mark as it was last written with something else.
  std::optional<handoff::Mark> acked;
};

class Box final : public Process, private Peer {
 public:
  using Answered = std::function<void(const terminal::Answer& answer, std::uint64_t opening)>;

  // All must outlive it.
  Box(Env& env, Broker& broker, Checker& checker, const base::Hasher& hasher, std::string gateway_id,
      std::uint64_t number);

  void start();
  // As by kill -9, or a power cut: what was under way may have come to the disk or not.
  void kill();
  // A terminal submits; the answer comes if the process lives that long.
  void submit(const Sale& sale, redact::OnConflict on_conflict, Answered answered);

  // While it does not run.
  [[nodiscard]] const Disk& disk() const { return disk_; }
  [[nodiscard]] Disk exchange_disk(Disk disk);

  void fill_disk(base::Instant until) { disk_full_until_ = until; }
  void step_clock(base::Instant::duration by) { clock_error_ += by; }
  void calm();

  [[nodiscard]] const std::string& gateway_id() const { return gateway_id_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  // Everything that is stored is in the stream.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::string state() const;

 private:
  struct Program {
    Program(const gateway::Settings& settings, const base::Hasher& hasher, base::Random& random);
    gateway::Gateway machine;
    std::optional<support::MemoryJournal> journal;
  };

  [[nodiscard]] gateway::Settings settings() const;
  [[nodiscard]] base::Now now() const;
  void open_journal();
  void settle() override;
  void obey(gateway::Output output);
  void on_reply(const gateway::Reply& reply);
  void connect(uplink::Attempt attempt);

  // The disk: box_journal.cpp.
  void request(gateway::JournalRequest request);
  void serve_next();
  [[nodiscard]] base::Instant::duration disk_time(const gateway::JournalRequest& request);
  void serve_front();
  [[nodiscard]] gateway::JournalReply serve(gateway::JournalRequest request);
  void note_rows(const gateway::RowsAppended& appended);
  void on_acked(const gateway::RememberAcked& remember);
  void break_journal(journal::Error error);

  void on_connected(Connection connection) override;
  void on_lost(Connection connection, const std::string& reason) override;
  void on_message(Connection connection, const std::string& topic, const base::Bytes& payload) override;
  void on_acknowledged(Connection connection, std::uint8_t code, std::size_t bytes) override;

  Broker& broker_;
  Checker& checker_;
  const base::Hasher& hasher_;
  std::string gateway_id_;
  std::uint64_t number_;
  std::vector<std::string> filters_;
  Disk disk_;
  std::unique_ptr<Program> program_;
  std::uint64_t opening_ = 0;  // numbers the openings of all journals

  std::deque<gateway::JournalRequest> requests_;
  std::size_t requests_to_answer_ = 0;
  bool serving_ = false;
  base::Instant disk_full_until_{};
  base::Instant::duration clock_error_{};

  Connection connection_ = 0;
  uplink::Attempt attempt_ = 0;
  std::size_t unacknowledged_ = 0;
  std::uint64_t tickets_ = 0;
  std::map<gateway::Ticket, Answered> waiting_;
  std::map<gateway::Ticket, Sale> submitted_;
};

}  // namespace whole
