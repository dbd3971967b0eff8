// Checker: what every terminal was told, against what a reader of committed data sees. It knows nothing of the handoff:
// its facts are submissions, answers, records, and which disks are gone.
//
// What it holds against a run (the words in brackets are in its failures):
//   exactly once    an event that was told is in the stream once; twice only as a possible_repeat of a gateway whose
//                   disk was exchanged
//   order, no gap   StreamOrder, for each gateway's epochs and each terminal's events: what was told before another
//                   event was submitted comes before it
//   nothing early   what a journal takes for committed, or trims, the stream has decided to commit
//   nothing silent  what is not in the stream was on a disk that is gone, and a notice speaks of losses
//   consistent      a record is what its terminal submitted, at the place that it was told; a repeat gets the same
//   answer
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tests/sim/world/central.hpp"

namespace whole {

// What a terminal submits; the whole of it is its name.
struct Sale {
  std::string gateway;
  std::string terminal;
  std::string ref;
  std::int64_t amount = 0;

  [[nodiscard]] std::string name() const;
};

struct Told {
  std::string event_id;
  std::string epoch;
  std::uint64_t seq = 0;
  std::uint64_t opening = 0;  // of the journal that told it
};

class Checker final : public StreamWatcher {
 public:
  explicit Checker(Env& env) : env_(env) {}

  // Terminals. An answer that comes when nobody waits any more counts all the same, but says nothing about order.
  void on_submitted(const Sale& sale);
  void on_told(const Sale& sale, const Told& told, bool in_time);
  void on_refused_for_good(const Sale& sale);

  // Gateways. The journal takes this event for committed, and may forget it.
  void check_acked(const std::string& event_id);
  // The last disk that held it is gone.
  void on_gone(const std::string& event_id) { gone_.insert(event_id); }
  // Another disk than the one before: an image, a clone's, a new one.
  void on_disk_exchanged(const std::string& gateway) { exchanged_.insert(gateway); }
  void on_new_disk(const std::string& gateway);

  // The stream.
  void on_decided(const stream::Record& record) override;
  void on_visible(std::size_t log, const stream::Record& record) override;
  // Whether the stream holds anything of this gateway.
  [[nodiscard]] bool is_decided(const std::string& event_id) const { return decided_.contains(event_id); }

  // After the calm. Failures go into the story.
  void judge();

  [[nodiscard]] std::uint64_t told() const { return told_.size(); }
  [[nodiscard]] std::uint64_t records() const { return visible_.size(); }
  [[nodiscard]] std::uint64_t possible_repeats() const { return possible_repeats_; }
  [[nodiscard]] std::uint64_t losses() const;
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  struct Operation {
    Sale sale;
    std::uint64_t order = 0;  // of its submission
    std::optional<Told> told;
    bool told_in_time = false;
    bool refused = false;
  };
  struct Visible {
    std::size_t log = 0;
    std::string event_id;
    std::string gateway;
    std::string epoch;
    std::uint64_t seq = 0;
    bool possible_repeat = false;
    bool is_notice = false;
    std::string name;  // of the sale, or the notice
  };

  void fail(const std::string& promise, const std::string& what, const std::string& subject);
  [[nodiscard]] bool exchanged(const std::string& gateway) const { return exchanged_.contains(gateway); }
  // Repeats that are not recognised are possible, and told.
  [[nodiscard]] bool forgets(const std::string& gateway) const;
  void judge_record(const Visible& record);
  void judge_sale(const Visible& record, std::string& first_id);
  void judge_order();
  void judge_told();
  void judge_losses();

  Env& env_;
  std::unordered_map<std::string, Operation> operations_;
  std::map<std::string, std::string> told_;  // event_id → sale
  std::unordered_set<std::string> gone_;
  std::unordered_set<std::string> decided_;
  std::set<std::string> exchanged_;
  std::map<std::string, std::uint64_t> decided_of_;  // records of each gateway
  std::map<std::string, std::size_t> new_disks_;     // gateway → records visible when it got its last one
  std::vector<Visible> visible_;
  std::uint64_t possible_repeats_ = 0;
  std::uint64_t submissions_ = 0;
};

}  // namespace whole
