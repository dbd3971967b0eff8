// EventReader: the events topic's committed records for readers of this bridge. Those at the end share one consumer
// (follower.hpp), those behind it are answered one after another by a second one (history.hpp): two consumers, whatever
// the number of readers.
//
// A place is the next offset of every partition, and a record's id the place behind it: whoever goes on there gets
// exactly what it has not seen, in whichever order the partitions were mixed. A partition that a place does not name is
// read from its beginning.
//
// This side lives on the bridge's loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace kafka {

// Reads that may wait at a time.
inline constexpr std::size_t kWaitingReadsMax = 64;

struct EventReaderSettings {
  Properties properties;  // the operator's, bootstrap.servers among them
  std::string topic;
};

class EventReader final : public stream::StreamReader {
 public:
  EventReader(const EventReaderSettings& settings, stream::Post post);
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;
  ~EventReader() override;

  [[nodiscard]] base::Result<stream::Place, std::string> parse(std::string_view text,
                                                               stream::Bound bound) const override;
  void find_end(std::size_t back, Placed done) override;
  void read(stream::Place from, stream::ReadLimits limits, Done done) override;
  void watch(std::function<void()> changed) override;
  // Answers what waits; whoever asks from now on hears that the stream is down.
  void close();

 private:
  struct LoopSide;

  std::shared_ptr<LoopSide> loop_;  // touched on the loop's thread only; tasks under way hold it weakly
};

}  // namespace kafka
