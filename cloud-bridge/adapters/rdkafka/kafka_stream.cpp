#include "cloud-bridge/adapters/rdkafka/kafka_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "cloud-bridge/adapters/rdkafka/diagnosis.hpp"
#include "cloud-bridge/adapters/rdkafka/event_reader.hpp"
#include "cloud-bridge/adapters/rdkafka/roll_call.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace kafka {
namespace {

// Of the diagnosis: who does not answer so soon is what it is about.
constexpr Milliseconds question_limit{2'000};

using Clock = std::chrono::steady_clock;

}  // namespace

struct KafkaStream::LoopSide : std::enable_shared_from_this<LoopSide> {
  // A partition that is ours, or was until the tenure's thread has ended.
  struct Held {
    std::unique_ptr<Tenure> tenure;
    Generation generation;
    bool owned = false;
    bool committing = false;
    Clock::time_point committed_at{};
    bool dropped = false;                  // Gone follows
    std::optional<std::uint64_t> again{};  // assigned to us once more before it was gone
  };

  KafkaStreamSettings settings;
  stream::Post post;
  stream::Owner* owner = nullptr;
  std::unique_ptr<Membership> membership;
  std::unique_ptr<RollCall> roll_call;
  std::unique_ptr<Opening> opening;
  std::unique_ptr<Diagnosis> diagnosis;
  std::string cause;  // of what is not ours yet, as the brokers tell it
  std::optional<base::UtcTime> cause_at;
  std::unique_ptr<EventReader> reader;
  std::uint32_t partitions = 0;
  stream::SizeLimits limits;
  base::Bytes value_prefix;
  MessageSizes sizes;
  std::map<std::int32_t, Held> held;
  stream::Status counts;
  std::function<void()> closed;
  bool closing = false;
  bool member = false;  // the group has given us our share, if only an empty one
  std::string silence;  // why it may not count us in any more
  std::optional<base::UtcTime> silent_at;

  LoopSide(KafkaStreamSettings given, stream::Post task) : settings(std::move(given)), post(std::move(task)) {}

  static stream::Partition named(std::int32_t partition) {
    return stream::Partition(static_cast<std::uint32_t>(partition));
  }

  // Runs on the loop's thread, unless we are gone by then.
  template <class Task>
  auto later(Task task) {
    return [weak = weak_from_this(), post = post, task = std::move(task)](auto output) {
      post([weak, task, shared = std::make_shared<decltype(output)>(std::move(output))] {
        if (const auto alive = weak.lock()) task(*alive, std::move(*shared));
      });
    };
  }

  [[nodiscard]] TopicsSettings topics_settings(Milliseconds limit) const {
    return {
        .properties = settings.properties, .names = settings.topics, .bridge_id = settings.bridge_id, .limit = limit};
  }

  void begin_opening() {
    opening = std::make_unique<Opening>(topics_settings(TopicsSettings{}.limit), settings.registry,
                                        later([](LoopSide& self, OpeningOutput output) {
                                          std::visit([&](auto& kind) { self.heard(std::move(kind)); }, output);
                                        }));
  }

  void note(std::string error) {
    counts.last_error = std::move(error);
    counts.last_error_at = platform::now().utc;
  }

  void heard(const Opened& opened) {
    for (const std::string& warning : opened.warnings) platform::log::warn("{}", warning);
    partitions = opened.partitions;
    limits = opened.limits;
    value_prefix = opened.value_prefix;
    sizes = opened.sizes;
    if (closing) return;
    diagnosis =
        std::make_unique<Diagnosis>(topics_settings(question_limit),
                                    later([](LoopSide& self, std::string found) { self.diagnosed(std::move(found)); }));
    diagnose();
    if (auto joined = membership->join(); !joined) note(joined.error());
  }

  void heard(Refused refused) { settings.refused(std::move(refused.problems)); }

  void heard(Unreachable unreachable) {
    platform::log::limited("kafka.opening", platform::log::Level::error, "kafka: {}", unreachable.reason);
    note(std::move(unreachable.reason));
  }

  void heard(Outside outside) { note(std::move(outside.reason)); }

  void heard(const Left& /*output*/) {
    if (const auto call = std::exchange(closed, {})) call();
  }

  void heard(const Silent& output) {
    silence =
        fmt::format("group {} has not counted this bridge in for {} ms ({}) and may have given its share to others",
                    settings.topics.progress, settings.session_timeout.count(), output.reason);
    silent_at = platform::now().utc;
    platform::log::warn("kafka: {}", silence);
    if (!closing) diagnose();
  }

  void heard(const Heard& /*output*/) {
    platform::log::info("kafka: group {} counts this bridge in again", settings.topics.progress);
    silence.clear();
    if (!closing) diagnose();
  }

  void heard(const Assignment& assignment) {
    if (closing) return;
    member = true;
    roll_call->expect(assignment.member_id);
    take_on(assignment);
    diagnose();
  }

  void take_on(const Assignment& assignment) {
    const auto ours = [&](std::int32_t partition) {
      return std::find(assignment.partitions.begin(), assignment.partitions.end(), partition) !=
             assignment.partitions.end();
    };
    for (auto& [partition, one] : held) {
      if (!ours(partition)) drop(partition, one, "the group has given it to another bridge");
    }
    for (const std::int32_t partition : assignment.partitions) {
      if (static_cast<std::uint32_t>(partition) >= partitions) {
        note(fmt::format("{} has grown beyond the {} partitions that it was made with", settings.topics.progress,
                         partitions));
        platform::log::error("{}", counts.last_error);
        continue;
      }
      const auto found = held.find(partition);
      if (found == held.end()) {
        begin_tenure(partition, assignment.number);
      } else if (found->second.dropped) {
        found->second.again = assignment.number;
      } else {
        found->second.tenure->assigned(assignment.number);
      }
    }
  }

  void begin_tenure(std::int32_t partition, std::uint64_t assignment) {
    Held& one = held[partition];
    one.tenure =
        std::make_unique<Tenure>(TenureSettings{.properties = settings.properties,
                                                .topics = settings.topics,
                                                .partition = partition,
                                                .sizes = sizes,
                                                .transaction_limit = settings.transaction_limit,
                                                .fenced_patience = settings.session_timeout * 2},
                                 *membership, assignment, later([partition](LoopSide& self, TenureOutput output) {
                                   std::visit([&](auto& kind) { self.heard(partition, std::move(kind)); }, output);
                                 }));
  }

  // What runs is finished by the tenure; its outcome is nobody's business here any more.
  void drop(std::int32_t partition, Held& one, std::string reason) {
    if (one.dropped) {
      one.again.reset();
      return;
    }
    one.dropped = true;
    one.tenure->drop();
    lost(partition, one, std::move(reason));
  }

  void lost(std::int32_t partition, Held& one, std::string reason) {
    const bool was_owned = std::exchange(one.owned, false);
    one.committing = false;
    if (!was_owned) return;
    ++counts.losses_total;
    owner->on_lost(named(partition), std::move(reason));
  }

  void heard(std::int32_t partition, Owned output) {
    Held& one = held.at(partition);
    if (one.dropped) return;
    one.owned = true;
    one.committing = false;
    one.generation = output.generation;
    diagnose();
    owner->on_owned(named(partition), std::move(output.progress));
  }

  void heard(std::int32_t partition, Lost output) {
    note(fmt::format("partition {}: {}", partition, output.reason));
    Held& one = held.at(partition);
    if (!one.dropped) lost(partition, one, std::move(output.reason));
    diagnose();
  }

  void heard(std::int32_t partition, Committed output) {
    Held& one = held.at(partition);
    one.committed_at = Clock::now();
    if (one.dropped && !closing) return;
    one.committing = false;
    owner->on_committed(named(partition), output.id);
  }

  void heard(std::int32_t partition, Gone /*output*/) {
    const auto again = held.at(partition).again;
    held.erase(partition);
    if (again && !closing) begin_tenure(partition, *again);
    diagnose();
    if (closing) finish_close();
  }

  // While the group is silent nobody knows whose a partition is; a commit that held is a proof as good as its word.
  [[nodiscard]] bool is_certain(const Held& one) const {
    return one.owned && (silence.empty() || Clock::now() < one.committed_at + settings.session_timeout);
  }

  [[nodiscard]] bool works() const {
    return member && silence.empty() && std::all_of(held.begin(), held.end(), [](const auto& entry) {
             return entry.second.owned || (entry.second.dropped && !entry.second.again);
           });
  }

  // What keeps a partition from being ours is asked for while there is one.
  void diagnose() {
    const bool wanted = !closing && !works();
    if (!wanted) {
      cause.clear();
      cause_at.reset();
    }
    diagnosis->want(wanted);
  }

  void diagnosed(std::string found) {
    if (closing || works()) return;
    if (!found.empty()) platform::log::limited("kafka.cause", platform::log::Level::warn, "kafka: {}", found);
    cause = std::move(found);
    cause_at = cause.empty() ? std::nullopt : std::optional(platform::now().utc);
  }

  void close(std::function<void()> done) {
    closing = true;
    closed = std::move(done);
    reader->close();
    for (auto& [partition, one] : held) {
      one.again.reset();
      if (!std::exchange(one.dropped, true)) one.tenure->drop();
    }
    finish_close();
  }

  void finish_close() {
    if (held.empty() && closed) membership->leave();
  }

  [[nodiscard]] bool may_begin(std::int32_t partition) const {
    const auto found = held.find(partition);
    return found != held.end() && found->second.owned && !found->second.committing && !found->second.dropped;
  }
};

namespace {

std::expected<void, std::string> make_clients(const KafkaStreamSettings& settings) {
  const auto member = Membership::make({.properties = settings.properties,
                                        .group = settings.topics.progress,
                                        .topic = settings.topics.progress,
                                        .member = settings.bridge_id,
                                        .session_timeout = settings.session_timeout},
                                       [](const MembershipOutput&) {});
  if (!member) return std::unexpected(member.error());
  const auto producer = Producer::make({.properties = settings.properties,
                                        .transactional_id = settings.topics.progress,
                                        .topics = settings.topics,
                                        .transaction_limit = settings.transaction_limit});
  if (!producer) return std::unexpected(producer.error());
  return {};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> find_property_problems(KafkaStreamSettings settings) {
  auto problems = find_property_problems(settings.properties);
  std::erase_if(settings.properties, [&](const auto& property) {
    return std::ranges::find(problems, property.first, [](const auto& one) { return one.first; }) != problems.end();
  });
  // A client connects as soon as it is made and knows where to; this is about the configuration alone.
  std::erase_if(settings.properties, [](const auto& property) { return property.first == "bootstrap.servers"; });
  if (const auto made = make_clients(settings); !made) {
    const auto named = std::ranges::find_if(
        settings.properties, [&](const auto& property) { return made.error().contains(property.first); });
    problems.emplace_back(named == settings.properties.end() ? "" : named->first, made.error());
  }
  return problems;
}

std::expected<std::unique_ptr<KafkaStream>, std::string> KafkaStream::start(KafkaStreamSettings settings,
                                                                            stream::Post post) {
  auto loop = std::make_shared<LoopSide>(std::move(settings), std::move(post));
  const auto& own = loop->settings;
  auto membership = Membership::make({.properties = own.properties,
                                      .group = own.topics.progress,
                                      .topic = own.topics.progress,
                                      .member = own.bridge_id,
                                      .session_timeout = own.session_timeout},
                                     loop->later([](LoopSide& self, MembershipOutput output) {
                                       std::visit([&](auto& kind) { self.heard(std::move(kind)); }, output);
                                     }));
  if (!membership) return std::unexpected(membership.error());
  loop->membership = std::move(*membership);
  auto roll_call = RollCall::make(
      {.properties = own.properties, .group = own.topics.progress, .session_timeout = own.session_timeout},
      loop->later([](LoopSide& self, RollCallOutput output) {
        std::visit([&](auto& kind) { self.heard(std::move(kind)); }, output);
      }));
  if (!roll_call) return std::unexpected(roll_call.error());
  loop->roll_call = std::move(*roll_call);
  loop->reader = std::make_unique<EventReader>(
      EventReaderSettings{.properties = own.properties, .topic = own.topics.events}, loop->post);
  return std::unique_ptr<KafkaStream>(new KafkaStream(std::move(loop)));
}

KafkaStream::~KafkaStream() {
  loop_->reader.reset();
  loop_->opening.reset();
  loop_->diagnosis.reset();
  loop_->roll_call.reset();
  // Tenures speak of the membership.
  loop_->held.clear();
  loop_->membership.reset();
}

void KafkaStream::open(stream::Owner& owner) {
  ASSERT(loop_->owner == nullptr);
  loop_->owner = &owner;
  loop_->begin_opening();
}

std::uint32_t KafkaStream::partitions() const { return loop_->partitions; }

stream::SizeLimits KafkaStream::size_limits() const { return loop_->limits; }

stream::ValueFormat KafkaStream::value_format() const {
  return {.encoding = loop_->settings.encoding, .prefix = loop_->value_prefix};
}

bool KafkaStream::may_begin(stream::Partition partition) const {
  return !loop_->closing && loop_->may_begin(static_cast<std::int32_t>(partition.value()));
}

void KafkaStream::begin(stream::Partition partition, stream::TransactionId id, stream::Transaction transaction) {
  ASSERT(may_begin(partition));
  ASSERT(!transaction.empty());
  auto& one = loop_->held.at(static_cast<std::int32_t>(partition.value()));
  one.committing = true;
  one.tenure->submit(one.generation, id, std::move(transaction));
}

stream::Status KafkaStream::status() const {
  stream::Status status = loop_->counts;
  auto& shares = status.shares.emplace();
  for (const auto& [partition, one] : loop_->held) {
    if (one.dropped && !one.again) continue;
    auto& share = shares.emplace_back(
        stream::Share{.partition = LoopSide::named(partition), .owned = loop_->is_certain(one), .reason = {}});
    if (share.owned) continue;
    const TenureStatus tenure = one.tenure->status();
    share.reason = one.owned ? loop_->silence : tenure.last_error;
    if (share.reason.empty()) share.reason = "being taken";
    if (!share.reason.contains(loop_->cause)) share.reason += "; " + loop_->cause;
    // To be taken, and nothing has gone wrong yet, is no error.
    const auto at = std::max(one.owned ? loop_->silent_at : tenure.last_error_at, loop_->cause_at);
    if (!at) continue;
    status.last_error = fmt::format("partition {}: {}", partition, share.reason);
    status.last_error_at = at;
  }
  const bool unsure_spare = shares.empty() && !loop_->silence.empty();
  if (unsure_spare) {
    status.last_error = loop_->silence;
    status.last_error_at = loop_->silent_at;
  }
  status.up = loop_->member && !unsure_spare &&
              std::all_of(shares.begin(), shares.end(), [](const auto& share) { return share.owned; });
  return status;
}

stream::StreamReader& KafkaStream::reader() { return *loop_->reader; }

void KafkaStream::close(std::function<void()> done) {
  ASSERT(loop_->owner != nullptr && !loop_->closing);
  loop_->close(std::move(done));
}

}  // namespace kafka
