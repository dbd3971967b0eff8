// HandOver: what the relay's thread has seen, for the thread that reads it. The relay never waits here for longer than
// it takes to put a piece into a list.
//
// Bounded by bytes_max; what finds no room is refused, and its connection is then read no further. Wiped when it goes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "firmware-gateway/tap/observer.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/instant.hpp"

namespace tap {

struct Seen {
  enum class What : std::uint8_t { from_terminal, from_host, gap, closed };
  std::size_t line = 0;
  Connection connection = 0;
  What what{};
  base::Bytes bytes;
  base::Now at;
};

class HandOver {
 public:
  // `wake` is called on the relay's thread when something is there and nothing was: it must not block.
  HandOver(std::size_t bytes_max, std::function<void()> wake) : bytes_max_(bytes_max), wake_(std::move(wake)) {}
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;
  ~HandOver();

  // The relay's thread. False: no room. A gap or an end always has room: a connection has one of each at most, and only
  // after bytes that were taken.
  [[nodiscard]] bool put(Seen seen);
  // Pieces that found no room. Any thread.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  // The reader's thread: all that is there.
  [[nodiscard]] std::vector<Seen> take();

 private:
  std::size_t bytes_max_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Seen> seen_;
  std::size_t bytes_ = 0;
  std::atomic<std::uint64_t> refused_{0};
};

// One connection's end of it, on the relay's thread.
class CopySide {
 public:
  CopySide(HandOver& hand_over, std::size_t line, Connection connection)
      : hand_over_(hand_over), line_(line), connection_(connection) {}

  void copy(Direction direction, base::BytesView bytes);
  void end();

 private:
  [[nodiscard]] bool put(Seen::What what, base::BytesView bytes);

  HandOver& hand_over_;
  std::size_t line_;
  Connection connection_;
  bool begun_ = false;
  bool torn_ = false;
};

}  // namespace tap
