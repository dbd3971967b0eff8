#include "tests/contract/stream/stream_rig.hpp"
#include "tests/support/stream/memory_stream.hpp"

namespace test {
namespace {

class MemoryRig final : public EmbeddedRig {
 public:
  Started start(stream::Post post) override {
    auto made = std::make_unique<MemoryStream>(store_, std::move(post));
    stream_ = made.get();
    auto* reader = made.get();
    return {std::move(made), reader};
  }

  CommittedView committed() override {
    CommittedView view{.records = {}, .dead_letters = {}, .gateways = store_.gateways};
    for (const auto& read : store_.records) view.records.push_back(read.record);
    for (const auto& [key, letter] : store_.dead_letters) view.dead_letters.push_back(letter);
    return view;
  }

  void fail_next_commit(Fault fault) override {
    store_.next_fault = fault == Fault::certain_failure ? CommitFault::before_commit : CommitFault::after_commit;
  }

  void block() override { store_.blocked = "full"; }
  void unblock() override {
    store_.blocked.clear();
    stream_->blocked_changed();
  }

 private:
  MemoryStreamStore store_;
  MemoryStream* stream_ = nullptr;
};

}  // namespace

std::unique_ptr<EmbeddedRig> make_embedded_rig() { return std::make_unique<MemoryRig>(); }
std::unique_ptr<StreamRig> make_rig() { return std::make_unique<MemoryRig>(); }
std::unique_ptr<StreamRig> make_spread_rig() { return std::make_unique<MemoryRig>(); }

}  // namespace test
