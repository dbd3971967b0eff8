// Door: who comes in when every place is taken, and who gives way. One rule for every server with max_connections.
// Decides only; the sockets are the Lobby's.
//
//   newcomer ──a place is free──▶ inside ──completes nothing for `grace`, and somebody waits──▶ gives way
//      └──full──▶ waiting ──a place is free, or a guest gives way──▶ inside
//                    └──too many wait, or waited `patience`──▶ turned away
//
// Rules:
//   (1) A guest that is being answered never gives way.
//   (2) A newcomer takes the place of a guest that has completed nothing for `grace`: whoever has gone longest at the
//       origin that has most. Has no origin at least two guests more than the newcomer's, its own will do, too; never
//       one that has as few.
//   (3) Who has waited for `grace` takes the place of whoever has gone longest, however short that is, at the origin
//       that has most, if that is at least two more than its own. So requests without end do not hold all places.
//   (4) Of those who wait, the origin with the fewest guests comes first; at one origin, who came first.
//   (5) At most `waiting_max` wait. One more: the last to come of the origin that has most waiting is turned away.
//
// Hence an origin, however many connections it opens and opens again, keeps another origin's newcomer waiting for
// `grace` and a look at most: that newcomer comes first by (4), does not lose its place in the line by (5), and finds
// one by (2) or (3). And a guest has `grace` to itself, unless its origin has two more than the newcomer's.
//
// Cost of a look: guests × (1 + newcomers' origins). Not thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "proto/base/strong.hpp"

namespace platform {

using Time = std::chrono::steady_clock::time_point;

// Whom one party is taken to have: an IPv4 address (mapped into IPv6), or an IPv6 network of 64 bits, because whoever
// has one address of it has them all.
using Origin = std::array<unsigned char, 16>;

struct Guest {
  Origin origin{};
  // When it last completed a request, or began with one; none: it is being answered.
  std::optional<Time> unheard_since;
};

struct DoorLimits {
  std::size_t guests_max;
  std::size_t waiting_max = 64;
  std::chrono::milliseconds grace{1'000};
  std::chrono::milliseconds patience{3'000};
};

using Newcomer = base::Strong<struct NewcomerTag>;

struct GiveWay {
  std::size_t guest;  // its index in what look() was given
};
struct Admit {
  Newcomer newcomer;
};
struct TurnAway {
  Newcomer newcomer;
};
using DoorStep = std::variant<GiveWay, Admit, TurnAway>;

class Door {
 public:
  explicit Door(DoorLimits limits) : limits_(limits) {}

  // Waits from now on. Returns who is turned away for it, maybe the newcomer itself.
  [[nodiscard]] std::optional<Newcomer> wait(Newcomer newcomer, const Origin& origin, Time now);
  // It has gone by itself.
  void forget(Newcomer newcomer);
  [[nodiscard]] bool anyone_waits() const { return !line_.empty(); }

  // What is to be done now, in this order; whoever is named no longer waits.
  [[nodiscard]] std::vector<DoorStep> look(const std::vector<Guest>& guests, Time now);

 private:
  struct Waiting {
    Newcomer newcomer;
    Origin origin{};
    Time since;
  };

  void turn_away_the_patient(std::vector<DoorStep>& steps, Time now);

  DoorLimits limits_;
  std::deque<Waiting> line_;  // in order of arrival
};

}  // namespace platform
