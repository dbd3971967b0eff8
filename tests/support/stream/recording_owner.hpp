// RecordingOwner: writes down what a stream tells it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloud-bridge/stream/stream.hpp"

namespace test {

class RecordingOwner final : public stream::Owner {
 public:
  void on_owned(stream::Partition /*partition*/, std::vector<tillstream::v1::Progress> progress) override {
    note();
    owned = true;
    ++times_owned;
    progress_found = std::move(progress);
  }
  void on_lost(stream::Partition /*partition*/, std::string reason) override {
    note();
    owned = false;
    losses.push_back(std::move(reason));
  }
  void on_committed(stream::Partition /*partition*/, stream::TransactionId id) override {
    note();
    committed.push_back(id.value());
  }
  void on_ready(stream::Partition /*partition*/) override {
    note();
    ++times_ready;
  }

  bool owned = false;
  int times_owned = 0;
  int times_ready = 0;
  int calls = 0;
  bool inside_call = false;    // set by a test around its own calls
  bool called_inside = false;  // a callback came inside one
  std::vector<tillstream::v1::Progress> progress_found;
  std::vector<std::string> losses;
  std::vector<std::uint64_t> committed;

 private:
  void note() {
    ++calls;
    called_inside = called_inside || inside_call;
  }
};

}  // namespace test
