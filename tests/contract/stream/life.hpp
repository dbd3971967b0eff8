// Life: one bridge's life with a stream, and what the contract's cases say about records.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/contract/stream/stream_rig.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/stream/test_loop.hpp"

namespace test {

using stream::Partition;
using stream::TransactionId;

inline constexpr Partition kPartition{0};

// One bridge's life with the stream. Destroying it without close() is a crash, as far as a process can play one.
class Life {
 public:
  explicit Life(StreamRig& rig) : started_(rig.start(loop.post())) {
    outside([this] { started_.stream->open(owner); });
  }

  [[nodiscard]] bool become_owner() {
    return loop.run_until([this] { return owner.owned; });
  }
  void begin(stream::Transaction transaction) {
    REQUIRE(stream().may_begin(kPartition));
    outside([&] { stream().begin(kPartition, TransactionId(++last_id_), std::move(transaction)); });
  }
  [[nodiscard]] bool await_commit() {
    return loop.run_until([this] { return !owner.committed.empty() && owner.committed.back() == last_id_; });
  }
  [[nodiscard]] bool commit(stream::Transaction transaction) {
    begin(std::move(transaction));
    return await_commit();
  }
  [[nodiscard]] bool await_loss() {
    return loop.run_until([this] { return !owner.losses.empty(); });
  }
  [[nodiscard]] bool close() {
    bool done = false;
    outside([&] { stream().close([&done] { done = true; }); });
    return loop.run_until([&done] { return done; });
  }
  using Page = base::Result<stream::ReadPage, stream::ReadFailure>;
  [[nodiscard]] Page read(const stream::Place& from, stream::ReadLimits limits = {}) {
    std::optional<Page> page;
    outside([&] { reader().read(from, limits, [&page](auto result) { page = std::move(result); }); });
    REQUIRE(loop.run_until([&page] { return page.has_value(); }));
    return *page;
  }
  [[nodiscard]] stream::Place find_end(std::size_t back = 0) {
    std::optional<base::Result<stream::Place, stream::ReadFailure>> end;
    outside([&] { reader().find_end(back, [&end](auto result) { end = std::move(result); }); });
    REQUIRE(loop.run_until([&end] { return end.has_value(); }));
    REQUIRE_MESSAGE(end->has_value(), (*end ? "" : end->error().reason));
    return **end;
  }
  [[nodiscard]] stream::Place place(std::string_view text, stream::Bound bound = stream::Bound::from) {
    const auto parsed = reader().parse(text, bound);
    REQUIRE_MESSAGE(parsed.has_value(), text);
    return *parsed;
  }

  stream::Stream& stream() { return *started_.stream; }
  stream::StreamReader& reader() { return *started_.reader; }

  TestLoop loop;
  RecordingOwner owner;

 private:
  // No callback may come inside a call.
  template <class Call>
  void outside(Call call) {
    owner.inside_call = true;
    call();
    owner.inside_call = false;
    CHECK_FALSE(owner.called_inside);
  }

  StreamRig::Started started_;
  std::uint64_t last_id_ = 0;
};

inline std::vector<std::uint64_t> seqs(const std::vector<stream::Record>& records, const std::string& gateway,
                                       int epoch) {
  std::vector<std::uint64_t> found;
  for (const auto& record : records) {
    if (record.gateway_id == gateway && record.epoch == epoch_hex(epoch) && record.seq) found.push_back(*record.seq);
  }
  return found;
}

inline std::vector<std::uint64_t> up_to(std::uint64_t last) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t seq = 1; seq <= last; ++seq) all.push_back(seq);
  return all;
}

inline std::uint64_t progress_of(const std::vector<tillstream::v1::Progress>& all, const std::string& gateway) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& row) { return row.gateway_id() == gateway; });
  return found == all.end() ? 0 : found->seq();
}

}  // namespace test
