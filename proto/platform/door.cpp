#include "proto/platform/door.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace platform {
namespace {

// The house during one look: who is inside, and how many of each origin.
class House {
 public:
  House(const std::vector<Guest>& guests, const DoorLimits& limits, Time now)
      : limits_(limits), now_(now), inside_(guests.size()) {
    seats_.reserve(guests.size());
    for (std::size_t index = 0; index < guests.size(); ++index) {
      std::size_t& held = held_[guests[index].origin];
      ++held;
      if (guests[index].unheard_since) seats_.push_back({index, *guests[index].unheard_since, &held});
    }
  }

  [[nodiscard]] std::size_t held_by(const Origin& origin) const {
    const auto found = held_.find(origin);
    return found == held_.end() ? 0 : found->second;
  }
  [[nodiscard]] bool full() const { return inside_ >= limits_.guests_max; }

  void admit(const Origin& origin) {
    ++inside_;
    ++held_[origin];
  }

  // Rules (2) and (3). Returns the guest's index; it is no longer inside.
  [[nodiscard]] std::optional<std::size_t> give_way(const Origin& origin, Time waiting_since) {
    const std::size_t* own = &held_[origin];
    std::size_t most = 0;
    for (const Seat& seat : seats_) most = std::max(most, *seat.held);
    const bool much_more = most >= *own + 2;
    const bool waited = now_ - waiting_since >= limits_.grace;
    const auto best = longest([&](const Seat& seat) {
      if (much_more) return *seat.held == most && (waited || now_ - seat.since >= limits_.grace);
      return (*seat.held > *own || seat.held == own) && now_ - seat.since >= limits_.grace;
    });
    if (best == seats_.end()) return std::nullopt;
    const std::size_t guest = best->guest;
    --*best->held;
    --inside_;
    *best = seats_.back();
    seats_.pop_back();
    return guest;
  }

 private:
  struct Seat {
    std::size_t guest;
    Time since;
    std::size_t* held;  // by its origin
  };

  // Of the largest origin that may, whoever has gone longest without completing anything.
  template <class May>
  std::vector<Seat>::iterator longest(const May& may) {
    auto best = seats_.end();
    for (auto seat = seats_.begin(); seat != seats_.end(); ++seat) {
      if (!may(*seat)) continue;
      const bool better = best == seats_.end() || *seat->held > *best->held ||
                          (*seat->held == *best->held && seat->since < best->since);
      if (better) best = seat;
    }
    return best;
  }

  const DoorLimits& limits_;
  Time now_;
  std::size_t inside_;
  std::map<Origin, std::size_t> held_;
  std::vector<Seat> seats_;  // of those who may give way
};

}  // namespace

std::optional<Newcomer> Door::wait(Newcomer newcomer, const Origin& origin, Time now) {
  line_.push_back({.newcomer = newcomer, .origin = origin, .since = now});
  if (line_.size() <= limits_.waiting_max) return std::nullopt;
  std::map<Origin, std::size_t> waiting;
  for (const Waiting& one : line_) ++waiting[one.origin];
  // From the back, so that among equals the newcomer's own origin is the one.
  auto last = line_.end() - 1;
  for (auto one = last; one != line_.begin();) {
    --one;
    if (waiting[one->origin] > waiting[last->origin]) last = one;
  }
  const Newcomer turned_away = last->newcomer;
  line_.erase(last);
  return turned_away;
}

void Door::forget(Newcomer newcomer) {
  std::erase_if(line_, [&](const Waiting& one) { return one.newcomer == newcomer; });
}

std::vector<DoorStep> Door::look(const std::vector<Guest>& guests, Time now) {
  std::vector<DoorStep> steps;
  if (line_.empty()) return steps;
  House house(guests, limits_, now);
  // An origin for whose first nobody gives way need not be asked again for its second.
  std::set<Origin> in_vain;
  while (true) {
    auto next = line_.end();
    for (auto one = line_.begin(); one != line_.end(); ++one) {
      if (in_vain.contains(one->origin)) continue;
      if (next == line_.end() || house.held_by(one->origin) < house.held_by(next->origin)) next = one;
    }
    if (next == line_.end()) break;
    if (house.full()) {
      const auto guest = house.give_way(next->origin, next->since);
      if (!guest) {
        in_vain.insert(next->origin);
        continue;
      }
      steps.emplace_back(GiveWay{*guest});
    }
    house.admit(next->origin);
    steps.emplace_back(Admit{next->newcomer});
    line_.erase(next);
  }
  turn_away_the_patient(steps, now);
  return steps;
}

void Door::turn_away_the_patient(std::vector<DoorStep>& steps, Time now) {
  while (!line_.empty() && now - line_.front().since >= limits_.patience) {
    steps.emplace_back(TurnAway{line_.front().newcomer});
    line_.pop_front();
  }
}

}  // namespace platform
