#include "proto/platform/door.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/platform/lobby.hpp"

using platform::Admit;
using platform::Door;
using platform::DoorLimits;
using platform::DoorStep;
using platform::GiveWay;
using platform::Guest;
using platform::Newcomer;
using platform::Origin;
using platform::Time;
using platform::TurnAway;
using std::chrono::milliseconds;

namespace {

constexpr Time start{std::chrono::hours(1)};

Origin from(unsigned char last) {
  Origin origin{};
  origin[15] = last;
  return origin;
}

Guest guest(unsigned char origin, int unheard_ms) {
  return {.origin = from(origin), .unheard_since = start - milliseconds(unheard_ms)};
}
Guest answered(unsigned char origin) { return {.origin = from(origin), .unheard_since = std::nullopt}; }

// Steps as words: "-2" guest 2 gives way, "+7" newcomer 7 comes in, "!7" it is turned away.
std::string text(const std::vector<DoorStep>& steps) {
  std::string words;
  for (const DoorStep& step : steps) {
    if (!words.empty()) words += ' ';
    if (const auto* leaves = std::get_if<GiveWay>(&step)) words += "-" + std::to_string(leaves->guest);
    if (const auto* enters = std::get_if<Admit>(&step)) words += "+" + std::to_string(enters->newcomer.value());
    if (const auto* refused = std::get_if<TurnAway>(&step)) words += "!" + std::to_string(refused->newcomer.value());
  }
  return words;
}

// What happens to one newcomer that has waited for so long.
std::string newcomer(unsigned char origin, const std::vector<Guest>& guests, int waited_ms = 0) {
  Door door({.guests_max = guests.size()});
  CHECK_FALSE(door.wait(Newcomer(7), from(origin), start - milliseconds(waited_ms)));
  return text(door.look(guests, start));
}

// A house in which time passes in steps, and its strangers and terminals.
class Siege {
 public:
  explicit Siege(DoorLimits limits) : limits_(limits), door_(limits) {}

  struct Caller {
    unsigned char origin = 0;
    bool completes = false;  // a request, as soon as it is inside; else it stays as it is
  };

  Newcomer knock(Caller caller) {
    const Newcomer number = last_ = last_.next();
    callers_[number] = caller;
    if (const auto refused = door_.wait(number, from(caller.origin), now_)) turn_away(*refused);
    return number;
  }

  void pass(milliseconds time) {
    now_ += time;
    std::vector<Newcomer> inside;
    std::vector<Guest> guests;
    for (const auto& [number, since] : inside_) {
      inside.push_back(number);
      guests.push_back({.origin = from(callers_[number].origin), .unheard_since = since});
    }
    for (const DoorStep& step : door_.look(guests, now_)) {
      if (const auto* leaves = std::get_if<GiveWay>(&step)) cut(inside[leaves->guest]);
      if (const auto* enters = std::get_if<Admit>(&step)) enter(enters->newcomer);
      if (const auto* refused = std::get_if<TurnAway>(&step)) turn_away(refused->newcomer);
    }
    CHECK(inside_.size() <= limits_.guests_max);
  }

  // All whose guest completes something do so now.
  void refresh(unsigned char origin) {
    for (auto& [number, since] : inside_) {
      if (callers_[number].origin == origin) since = now_;
    }
  }

  [[nodiscard]] bool served(Newcomer number) const { return served_.contains(number); }
  [[nodiscard]] std::vector<Caller> take_gone() { return std::exchange(gone_, {}); }
  [[nodiscard]] Time now() const { return now_; }

 private:
  void enter(Newcomer number) {
    if (callers_[number].completes) {
      served_.insert(number);
    } else {
      inside_[number] = now_;
    }
  }
  void cut(Newcomer number) {
    inside_.erase(number);
    gone_.push_back(callers_[number]);
  }
  void turn_away(Newcomer number) { gone_.push_back(callers_[number]); }

  DoorLimits limits_;
  Door door_;
  Time now_ = start;
  Newcomer last_;
  std::map<Newcomer, Caller> callers_;
  std::map<Newcomer, Time> inside_;
  std::set<Newcomer> served_;
  std::vector<Caller> gone_;
};

struct Attack {
  unsigned char origin = 2;
  int connections = 64;
  bool keeps_fresh = false;      // completes a request on each of them again and again
  int opens_more_each_step = 0;  // besides reopening what was cut
};

// A terminal at `origin` comes again and again while the attack goes on. Returns how often it came, was served, and how
// long it waited at most.
struct Outcome {
  int tries = 0;
  int served = 0;
  milliseconds longest{0};
};

Outcome besiege(const Attack& attack, unsigned char terminal) {
  constexpr milliseconds step{20};
  Siege siege({.guests_max = 64});
  const Siege::Caller stranger{.origin = attack.origin};
  for (int n = 0; n < attack.connections; ++n) static_cast<void>(siege.knock(stranger));
  siege.pass(step);
  Outcome outcome;
  std::optional<Newcomer> waiting;
  Time since = siege.now();
  for (int n = 0; n < 500; ++n) {
    const auto gone = siege.take_gone();
    const auto strangers = std::count_if(gone.begin(), gone.end(), [](const auto& one) { return !one.completes; });
    const auto again = std::min<std::ptrdiff_t>(strangers, attack.connections);
    for (std::ptrdiff_t one = 0; one < again; ++one) static_cast<void>(siege.knock(stranger));
    for (int more = 0; more < attack.opens_more_each_step; ++more) static_cast<void>(siege.knock(stranger));
    if (attack.keeps_fresh) siege.refresh(attack.origin);
    if (!waiting) {
      ++outcome.tries;
      since = siege.now();
      waiting = siege.knock({.origin = terminal, .completes = true});
    }
    siege.pass(step);
    const bool served = siege.served(*waiting);
    if (served) {
      ++outcome.served;
      outcome.longest = std::max(outcome.longest, std::chrono::duration_cast<milliseconds>(siege.now() - since));
    }
    const bool turned_away = siege.now() - since > std::chrono::seconds(5);
    if (served || turned_away) waiting.reset();
  }
  if (waiting) --outcome.tries;
  return outcome;
}

}  // namespace

TEST_CASE("door: a free place is given at once, in the order of arrival") {
  Door door({.guests_max = 3});
  CHECK_FALSE(door.anyone_waits());
  for (const unsigned n : {1U, 2U, 3U}) CHECK_FALSE(door.wait(Newcomer(n), from(1), start));
  CHECK(text(door.look({answered(9)}, start)) == "+1 +2");
  CHECK(door.anyone_waits());
  CHECK(text(door.look({answered(9), answered(9)}, start)) == "+3");
  CHECK_FALSE(door.anyone_waits());
}

TEST_CASE("door: who has gone longest without completing a request gives way, after its grace") {
  CHECK(newcomer(1, {guest(2, 1500), guest(2, 3000), guest(2, 2000)}) == "-1 +7");
  CHECK(newcomer(1, {guest(2, 999), guest(2, 10)}).empty());
  CHECK(newcomer(1, {guest(2, 1000), guest(2, 10)}) == "-0 +7");
}

TEST_CASE("door: who is being answered never gives way") {
  CHECK(newcomer(1, {answered(2), answered(2), answered(2)}, 2'000).empty());
  CHECK(newcomer(1, {answered(2), answered(2), guest(2, 1000)}) == "-2 +7");
}

TEST_CASE("door: the origin that has most is looked at first, however long others have waited") {
  CHECK(newcomer(1, {guest(3, 9000), guest(2, 1000), guest(2, 1200), guest(4, 8000)}) == "-2 +7");
  // Where it has nobody to give, the next one.
  CHECK(newcomer(1, {guest(3, 9000), answered(2), answered(2), guest(4, 8000)}) == "-0 +7");
}

TEST_CASE("door: a newcomer takes no place of an origin that has as few as its own, but one of its own") {
  CHECK(newcomer(1, {guest(2, 9000), answered(1)}).empty());
  CHECK(newcomer(1, {guest(2, 9000), guest(1, 1000)}) == "-1 +7");
  CHECK(newcomer(1, {guest(2, 9000), answered(1), answered(1)}, 2'000).empty());
  CHECK(newcomer(1, {guest(2, 9000), guest(2, 8000), answered(1)}) == "-0 +7");
}

TEST_CASE("door: while an origin has much more, it is the one that pays, and not the newcomer's neighbours") {
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20), guest(2, 30), guest(1, 9000), guest(3, 9000)}).empty());
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20), guest(2, 30), guest(1, 9000), guest(3, 9000)}, 1000) == "-2 +7");
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20), guest(1, 9000), guest(3, 9000)}) == "-2 +7");
}

TEST_CASE("door: after a grace of waiting the grace of an origin that has much more does not count") {
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20)}, 999).empty());
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20)}, 1000) == "-1 +7");
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20), guest(1, 5)}, 2000).empty());
  CHECK(newcomer(1, {guest(2, 10), guest(2, 20), guest(2, 0), guest(1, 5)}, 2000) == "-1 +7");
  CHECK(newcomer(1, {guest(1, 10), guest(1, 20), guest(1, 0)}, 2000).empty());
}

TEST_CASE("door: one look serves many, each place once") {
  Door door({.guests_max = 4});
  for (const unsigned n : {1U, 2U, 3U}) CHECK_FALSE(door.wait(Newcomer(n), from(static_cast<unsigned char>(n)), start));
  CHECK(text(door.look({guest(9, 2000), guest(9, 4000), answered(9), guest(9, 3000)}, start)) == "-1 +1 -3 +2 -0 +3");
}

TEST_CASE("door: of those who wait, the origin with the fewest guests comes first") {
  Door door({.guests_max = 3});
  CHECK_FALSE(door.wait(Newcomer(1), from(2), start));
  CHECK_FALSE(door.wait(Newcomer(2), from(2), start));
  CHECK_FALSE(door.wait(Newcomer(3), from(1), start));
  CHECK(text(door.look({guest(2, 1000), guest(2, 10), guest(2, 10)}, start)) == "-0 +3");
}

TEST_CASE("door: a crowd of one origin turns away its own last, not another's first") {
  Door door({.guests_max = 1, .waiting_max = 3});
  for (const unsigned n : {1U, 2U, 3U}) CHECK_FALSE(door.wait(Newcomer(n), from(2), start));
  CHECK(door.wait(Newcomer(4), from(2), start) == Newcomer(4));
  CHECK(door.wait(Newcomer(5), from(1), start) == Newcomer(3));
  CHECK(door.wait(Newcomer(6), from(2), start) == Newcomer(6));
  CHECK(text(door.look({}, start)) == "+1");
  door.forget(Newcomer(2));
  CHECK(text(door.look({}, start)) == "+5");
  CHECK_FALSE(door.anyone_waits());
}

TEST_CASE("door: among origins that wait alike the newcomer is turned away") {
  Door door({.guests_max = 1, .waiting_max = 2});
  CHECK_FALSE(door.wait(Newcomer(1), from(1), start));
  CHECK_FALSE(door.wait(Newcomer(2), from(2), start));
  CHECK(door.wait(Newcomer(3), from(3), start) == Newcomer(3));
}

TEST_CASE("door: nobody waits for ever") {
  Door door({.guests_max = 1});
  CHECK_FALSE(door.wait(Newcomer(1), from(1), start));
  CHECK_FALSE(door.wait(Newcomer(2), from(1), start + milliseconds(1)));
  CHECK(text(door.look({answered(2)}, start + milliseconds(2'999))).empty());
  CHECK(text(door.look({answered(2)}, start + milliseconds(3'000))) == "!1");
  // A place that is free then is not refused.
  CHECK(text(door.look({}, start + milliseconds(9'000))) == "+2");
}

TEST_CASE("door: one origin cannot keep another's terminal out, whatever it does with its connections") {
  for (const bool fresh : {false, true}) {
    for (const int connections : {64, 200}) {
      for (const int more : {0, 20}) {
        CAPTURE(fresh);
        CAPTURE(connections);
        CAPTURE(more);
        const auto outcome =
            besiege({.connections = connections, .keeps_fresh = fresh, .opens_more_each_step = more}, /*terminal=*/1);
        CHECK(outcome.tries >= 8);
        CHECK(outcome.served == outcome.tries);
        CHECK(outcome.longest <= milliseconds(1'040));
      }
    }
  }
}

TEST_CASE("door: a terminal at the attacker's own address is served in its turn") {
  const auto outcome = besiege({.origin = 1, .connections = 64}, /*terminal=*/1);
  CHECK(outcome.tries >= 8);
  CHECK(outcome.served == outcome.tries);
  CHECK(outcome.longest <= milliseconds(1'100));
}

TEST_CASE("door: an origin is an IPv4 address, however it is written, or an IPv6 network") {
  const auto origin = [](const char* address) { return platform::origin_of(boost::asio::ip::make_address(address)); };
  CHECK(origin("10.0.0.1") == origin("::ffff:10.0.0.1"));
  CHECK(origin("10.0.0.1") != origin("10.0.0.2"));
  CHECK(origin("::ffff:10.0.0.1") != origin("::ffff:10.0.0.2"));
  CHECK(origin("2001:db8::1") == origin("2001:db8::ffff:1"));
  CHECK(origin("2001:db8::1") != origin("2001:db8:0:1::1"));
  CHECK(origin("fe80::1") != origin("fe80::2"));
}
