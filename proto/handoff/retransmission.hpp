// Retransmission: how long to wait for an Ack before sending again. The estimate is that of RFC 6298 (smoothed round
// trip plus four times its deviation); what each further attempt adds is drawn with full jitter, and the sum never
// exceeds 2 s.  [H-23]
#pragma once

#include <algorithm>
#include <chrono>

#include "proto/base/instant.hpp"
#include "proto/base/random.hpp"

namespace handoff {

class Retransmission {
 public:
  using Duration = base::Instant::duration;
  static constexpr Duration kInitial = std::chrono::seconds(1);
  static constexpr Duration kMin = std::chrono::milliseconds(100);
  static constexpr Duration kMax = std::chrono::seconds(2);
  static constexpr unsigned kDoublingsMax = 5;

  explicit Retransmission(base::Random& random) : random_(&random) {}

  // A round trip of rows that were sent once only.
  void on_round_trip(Duration sample);
  void on_timeout() { attempts_ = std::min(attempts_ + 1, kDoublingsMax); }
  void on_progress() { attempts_ = 0; }

  [[nodiscard]] Duration estimate() const;
  // The wait to arm now: in [estimate, 2 s].
  [[nodiscard]] Duration draw();

 private:
  base::Random* random_;
  bool measured_ = false;
  Duration smoothed_{};
  Duration deviation_{};
  unsigned attempts_ = 0;
};

inline void Retransmission::on_round_trip(Duration sample) {
  if (!measured_) {
    measured_ = true;
    smoothed_ = sample;
    deviation_ = sample / 2;
    return;
  }
  deviation_ += (std::chrono::abs(smoothed_ - sample) - deviation_) / 4;
  smoothed_ += (sample - smoothed_) / 8;
}

inline Retransmission::Duration Retransmission::estimate() const {
  return measured_ ? std::clamp(smoothed_ + 4 * deviation_, kMin, kMax) : kInitial;
}

inline Retransmission::Duration Retransmission::draw() {
  const Duration least = estimate();
  const Duration most = std::min(least * (2U << attempts_), kMax);
  return least + Duration(random_->below(static_cast<std::uint64_t>((most - least).count()) + 1));
}

}  // namespace handoff
