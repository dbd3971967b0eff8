// World: gateways' boxes, bridges, the stream and the link between them, in simulated time. One 64-bit seed decides
// everything: which classes of fault are on, when each strikes, and every random number that the machines draw. The
// last phase is calm.
//
//   boxes (Sender + ModelJournal) ══ link: loses, doubles, reorders, delays ══ bridges (Receiver) ── ModelStream
//
// All boxes use the same gateway id: the first one, its restored images, and its clones.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/handoff/receiver.hpp"
#include "proto/handoff/sender.hpp"
#include "tests/sim/clock/clock.hpp"
#include "tests/sim/handoff/ledger.hpp"
#include "tests/support/handoff/model_journal.hpp"
#include "tests/support/seeded_random.hpp"

namespace sim {

inline const std::string kGateway = "shop-1";

// One switch for each class of fault: with all of them always on, one would hide what another would show.
struct Faults {
  bool loss = false;
  bool duplication = false;
  bool reordering = false;
  bool long_delay = false;  // messages that come minutes later
  bool disconnect = false;
  bool box_crash = false;
  bool image = false;    // a disk image is taken, and restored later
  bool clone = false;    // an image runs beside the live box
  bool memory = false;   // a snapshot of live memory and disk, restored or beside
  bool salvage = false;  // rows become unreadable
  bool disk_replaced = false;
  bool roll_back = false;  // the stream is restored from a backup
  bool wipe = false;       // the stream begins with nothing
  bool takeover = false;   // another bridge; the old one goes on with what it knows
  bool unknown_commit = false;
  bool trim = false;
  bool forged_ack = false;
  bool credit = false;  // credit shrinks, to nothing at times
  bool small_window = false;

  // Any that can bring a new epoch about.
  [[nodiscard]] bool forking() const { return image || clone || memory || salvage || disk_replaced || stream_loses(); }
  [[nodiscard]] bool stream_loses() const { return roll_back || wipe; }
  // Nothing but the stream loses anything, and every box remembers what it was told.
  [[nodiscard]] bool only_stream_loses() const {
    return stream_loses() && !(image || clone || memory || salvage || disk_replaced || box_crash);
  }
  [[nodiscard]] static Faults drawn(support::SeededRandom& random);
  [[nodiscard]] std::string describe() const;
};

struct Outcome {
  std::optional<std::string> failure;
  Faults faults;
  std::uint64_t events = 0;
  std::uint64_t entries = 0;
  std::uint64_t messages = 0;
  std::uint64_t forks = 0;
  std::uint64_t repeats = 0;
  std::uint64_t losses = 0;
  std::uint64_t quarantines = 0;
  base::Digest fingerprint;  // of everything that happened: the same seed gives the same one
};

class World {
 public:
  // `tell` receives the story line by line, or is empty. `adjust` may change the faults that were drawn.
  World(support::SeededRandom random, std::function<void(const std::string&)> tell,
        const std::function<void(Faults&)>& adjust);
  [[nodiscard]] Outcome run();

 private:
  struct Box {
    std::uint64_t number = 0;
    std::uint64_t origin = 0;
    support::ModelJournal disk;
    std::optional<handoff::Sender> sender{};
    bool connected = false;
    std::uint64_t life = 0;  // of the process: what was under way in an older one is void
    std::uint64_t requests = 0;
    base::Instant journal_free_at{};
    std::optional<base::Instant> wakeup{};
  };
  struct Bridge {
    std::uint64_t generation = 0;
    handoff::Receiver receiver;
    std::vector<handoff::Publish> gathered;
    bool committing = false;
  };
  struct Snapshot {
    support::ModelJournal disk;
    handoff::Sender sender;
    std::uint64_t origin;
  };
  using BoxPtr = std::shared_ptr<Box>;
  using BridgePtr = std::shared_ptr<Bridge>;

  // Time.
  void after(base::Instant::duration delay, std::function<void()> act) { clock_.after(delay, std::move(act)); }
  void run_until(base::Instant end);
  [[nodiscard]] base::Instant at() const { return clock_.at(); }

  // Boxes.
  [[nodiscard]] handoff::SenderSettings settings() const;
  BoxPtr add_box(support::ModelJournal disk);
  void start(const BoxPtr& box);
  void stop(const BoxPtr& box);
  void connect(const BoxPtr& box);
  void disconnect(const BoxPtr& box);
  void append(const BoxPtr& box, std::vector<base::Bytes> records);
  void tap(const BoxPtr& box);
  void pump(const BoxPtr& box);
  void execute(const BoxPtr& box, handoff::SenderOutput& output);
  void request(const BoxPtr& box, std::function<void(Box&)> act);
  void discard(const support::ModelJournal& disk);

  // Bridges.
  void take_over();
  void pump(const BridgePtr& bridge);
  void begin_commit(const BridgePtr& bridge);
  void end_commit(const BridgePtr& bridge, std::vector<handoff::Publish> transaction);
  void apply(std::vector<handoff::Publish>& transaction);
  void drop(const BridgePtr& bridge);

  // The link.
  void send_up(const tillstream::v1::Up& sent);
  void send_down(const tillstream::v1::Down& down);
  void carry(bool upwards, const std::function<void()>& deliver);
  void forge_ack();

  // Faults.
  void strike();
  void take_image(const BoxPtr& box);
  void restore_image(const BoxPtr& box);
  void restore_memory(const BoxPtr& box, bool beside);
  void salvage(const BoxPtr& box);
  void replace_disk(const BoxPtr& box);
  void roll_back(ModelStream to);
  void calm();
  [[nodiscard]] BoxPtr some_box();

  void tell(const std::function<std::string()>& line);
  void fail(const std::string& what);
  [[nodiscard]] bool converged() const;

  const base::Hasher& hasher_;
  support::SeededRandom random_;
  std::function<void(const std::string&)> tell_;
  Faults faults_;
  Ledger ledger_;
  ModelStream stream_;
  std::optional<ModelStream> backup_;
  std::uint64_t generation_ = 0;

  Clock clock_;

  std::vector<BoxPtr> boxes_;
  std::vector<BridgePtr> bridges_;
  std::vector<support::ModelJournal> images_;
  std::optional<Snapshot> memory_;
  std::uint64_t boxes_made_ = 0;
  std::uint64_t origins_ = 0;
  std::uint64_t taps_ = 0;
  bool chaos_ = true;
  bool coded_ = false;  // messages go through the wire's encoding
  base::Instant last_delivery_up_{};
  base::Instant last_delivery_down_{};
  Outcome outcome_;
};

// Runs one seed.
[[nodiscard]] Outcome simulate(std::uint64_t seed, std::function<void(const std::string&)> tell = {},
                               const std::function<void(Faults&)>& adjust = {});

}  // namespace sim
