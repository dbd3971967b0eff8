// StreamRig: one kind of stream, as the contract suite needs it. Each kind links stream_contract.cpp with its own
// make_rig(); embedded ones embedded_contract.cpp with make_embedded_rig(), too.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cloud-bridge/stream/stream.hpp"

namespace test {

// What a reader of committed data sees that shares nothing with the stream under test.
struct CommittedView {
  std::vector<stream::Record> records;  // in the stream's order
  std::vector<stream::DeadLetter> dead_letters;
  std::map<std::string, std::string> gateways;
};

enum class Fault {
  certain_failure,    // the next commit fails and is not in the stream
  uncertain_outcome,  // the next commit fails so late that it may be
};

class StreamRig {
 public:
  struct Started {
    std::unique_ptr<stream::Stream> stream;
    stream::StreamReader* reader = nullptr;  // part of the stream
  };

  virtual ~StreamRig() = default;
  // A stream on the same store as the one before, which is gone by then.
  [[nodiscard]] virtual Started start(stream::Post post) = 0;
  [[nodiscard]] virtual CommittedView committed() = 0;
  virtual void fail_next_commit(Fault fault) = 0;
  // Leaves these in the store as an aborted transaction does. A kind that writes nothing before it commits has nothing
  // to leave.
  virtual void leave_aborted(const std::vector<stream::Record>& /*records*/) {}
  // Lets go of all records there are, as retention does. False: this kind keeps them for ever.
  [[nodiscard]] virtual bool remove_records() { return false; }
};

// Of a stream that the bridge itself keeps.
class EmbeddedRig : public StreamRig {
 public:
  // From the next commit on the stream is blocked, until unblock().
  virtual void block() = 0;
  virtual void unblock() = 0;
};

[[nodiscard]] std::unique_ptr<StreamRig> make_rig();
// Its records lie in several partitions, where the kind has any.
[[nodiscard]] std::unique_ptr<StreamRig> make_spread_rig();
[[nodiscard]] std::unique_ptr<EmbeddedRig> make_embedded_rig();

}  // namespace test
