#include "tests/support/stream/memory_stream.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"

namespace test {

using stream::Partition;

namespace {

constexpr std::size_t kWaitingReadsMax = 64;

stream::ReadFailure down() { return {.error = stream::ReadError::down, .reason = "the stream is down"}; }

}  // namespace

bool MemoryStreamStore::apply(const stream::Transaction& transaction) {
  std::set<std::tuple<std::string, std::string, std::uint64_t>> taken;
  for (const stream::Record& record : transaction.records) {
    if (!record.seq) continue;
    const auto place = std::tuple(record.gateway_id, record.epoch, *record.seq);
    if (places.contains(place) || !taken.insert(place).second) return false;
  }
  places.merge(taken);
  for (const stream::Record& record : transaction.records) {
    records.push_back({stream::Position(records.size() + 1), record});
  }
  for (const auto& row : transaction.progress) progress[row.gateway_id()] = row;
  for (const auto& letter : transaction.dead_letters) {
    dead_letters.try_emplace({letter.gateway_id, letter.epoch, letter.digest}, letter);
  }
  for (const auto& row : transaction.gateways) gateways[row.gateway_id] = row.value;
  return true;
}

struct MemoryStream::Side : std::enable_shared_from_this<Side> {
  struct Share {
    bool owned = false;
    bool committing = false;
    std::uint64_t generation = 0;
  };

  MemoryStreamStore& store;
  stream::Post post;
  stream::Owner* owner = nullptr;
  std::function<void()> changed;
  std::vector<Share> shares;
  std::uint64_t token = 0;
  std::size_t waiting_reads = 0;
  bool closing = false;
  bool done = false;
  stream::Status counts;

  Side(MemoryStreamStore& a_store, stream::Post a_post, std::uint32_t partitions)
      : store(a_store), post(std::move(a_post)), shares(partitions) {}

  void later(std::function<void(Side&)> task) {
    post([self = weak_from_this(), task = std::move(task)] {
      const auto alive = self.lock();
      if (alive && !alive->done) task(*alive);
    });
  }

  // All that is committed for the gateways of this partition. What a test put there itself is everybody's.
  [[nodiscard]] std::vector<tillstream::v1::Progress> progress(Partition partition) const {
    std::vector<tillstream::v1::Progress> all;
    for (const auto& [gateway, row] : store.progress) {
      const auto home = store.homes.find(gateway);
      if (home == store.homes.end() || home->second == partition.value()) all.push_back(row);
    }
    return all;
  }

  void own(Partition partition) {
    Share& share = shares[partition.value()];
    share.owned = true;
    share.committing = false;
    ++share.generation;
    owner->on_owned(partition, progress(partition));
  }

  void lose(Partition partition, const std::string& reason, bool take_again) {
    Share& share = shares[partition.value()];
    share.owned = share.committing = false;
    ++share.generation;
    ++counts.losses_total;
    counts.last_error = reason;
    counts.last_error_at = base::UtcTime();
    owner->on_lost(partition, reason);
    if (take_again) later([partition](Side& side) { side.own(partition); });
  }

  void commit(Partition partition, stream::TransactionId id, const stream::Transaction& transaction) {
    const CommitFault fault = std::exchange(store.next_fault, CommitFault::none);
    if (store.owners[partition.value()] != token) return lose(partition, "fenced", false);
    if (fault == CommitFault::before_commit) return lose(partition, "failed", true);
    if (!store.apply(transaction)) return lose(partition, "a second record of one place", true);
    for (const auto& row : transaction.progress) store.homes[row.gateway_id()] = partition.value();
    if (fault == CommitFault::after_commit) return lose(partition, "outcome unknown", true);
    shares[partition.value()].committing = false;
    owner->on_committed(partition, id);
    if (!transaction.records.empty() && changed) changed();
  }
};

MemoryStream::MemoryStream(MemoryStreamStore& store, stream::Post post, std::uint32_t partitions)
    : side_(std::make_shared<Side>(store, std::move(post), partitions)) {}

MemoryStream::~MemoryStream() = default;

void MemoryStream::open(stream::Owner& owner) {
  join(owner);
  for (std::uint32_t p = 0; p < partitions(); ++p) take(Partition(p));
}

void MemoryStream::join(stream::Owner& owner) {
  ASSERT(side_->owner == nullptr);
  side_->owner = &owner;
  side_->token = ++side_->store.streams;
}

void MemoryStream::take(Partition partition) {
  side_->store.owners[partition.value()] = side_->token;
  side_->later([partition](Side& side) { side.own(partition); });
}

void MemoryStream::revoke(Partition partition) {
  side_->later([partition](Side& side) {
    if (side.shares[partition.value()].owned) side.lose(partition, "assigned to another bridge", false);
  });
}

std::uint32_t MemoryStream::partitions() const { return static_cast<std::uint32_t>(side_->shares.size()); }

bool MemoryStream::may_begin(Partition partition) const {
  const Side::Share& share = side_->shares[partition.value()];
  return share.owned && !share.committing && !side_->closing && side_->store.blocked.empty();
}

void MemoryStream::begin(Partition partition, stream::TransactionId id, stream::Transaction transaction) {
  ASSERT(may_begin(partition));
  ASSERT(!transaction.empty());
  Side::Share& share = side_->shares[partition.value()];
  share.committing = true;
  side_->later([partition, id, transaction = std::move(transaction), generation = share.generation](Side& side) {
    if (side.shares[partition.value()].generation == generation) side.commit(partition, id, transaction);
  });
}

stream::Status MemoryStream::status() const {
  stream::Status status = side_->counts;
  status.up = !side_->done;
  for (const auto& share : side_->shares) status.up = status.up && share.owned;
  status.blocked = side_->store.blocked;
  if (!side_->store.records.empty()) status.last_position = side_->store.records.back().position;
  status.dead_letters = side_->store.dead_letters.size();
  return status;
}

void MemoryStream::close(std::function<void()> done) {
  ASSERT(side_->owner != nullptr && !side_->closing);
  side_->closing = true;
  side_->later([done = std::move(done)](Side& side) {
    side.done = true;
    done();
  });
}

base::Result<stream::Place, std::string> MemoryStream::parse(std::string_view text, stream::Bound bound) const {
  return stream::parse_position(text, bound);
}

void MemoryStream::find_end(std::size_t back, Placed done) {
  const std::size_t records = side_->store.records.size();
  const stream::Place end = stream::place_at(stream::Position(records + 1 - std::min(back, records)));
  side_->later([end, done = std::move(done)](Side& side) {
    if (side.closing) return done(base::fail(down()));
    done(end);
  });
}

void MemoryStream::read(stream::Place from, stream::ReadLimits limits, Done done) {
  if (side_->waiting_reads >= kWaitingReadsMax) {
    return side_->later([done = std::move(done)](Side& /*side*/) {
      done(base::fail(stream::ReadFailure{.error = stream::ReadError::busy, .reason = "too many reads"}));
    });
  }
  ++side_->waiting_reads;
  side_->later([from = stream::position_of(from), limits, done = std::move(done)](Side& side) {
    --side.waiting_reads;
    if (side.closing) return done(base::fail(down()));
    stream::ReadPage page;
    stream::Position next = from;
    std::size_t bytes = 0;
    for (const auto& read : side.store.records) {
      if (read.position < from) continue;
      page.more = !page.records.empty() && (page.records.size() >= limits.records || bytes >= limits.bytes);
      if (page.more) break;
      page.records.push_back({.id = std::to_string(read.position.value()), .value = read.record.value});
      bytes += read.record.value.size();
      next = read.position.next();
    }
    page.next = stream::place_at(next);
    done(std::move(page));
  });
}

void MemoryStream::watch(std::function<void()> changed) { side_->changed = std::move(changed); }

void MemoryStream::blocked_changed() {
  if (!side_->store.blocked.empty()) return;
  for (std::uint32_t p = 0; p < partitions(); ++p) {
    side_->later([p](Side& side) {
      const Side::Share& share = side.shares[p];
      if (share.owned && !share.committing && side.store.blocked.empty()) side.owner->on_ready(Partition(p));
    });
  }
}

void MemoryStream::lose(const std::string& reason) {
  for (std::uint32_t p = 0; p < partitions(); ++p) {
    side_->later([p, reason](Side& side) {
      if (side.shares[p].owned) side.lose(Partition(p), reason, true);
    });
  }
}

}  // namespace test
