#include "firmware-gateway/ingest/waiting_line.hpp"

#include <doctest/doctest.h>

using ingest::LineLimits;
using ingest::Ticket;
using ingest::Waiting;
using ingest::WaitingLine;

namespace {

Waiting of(const std::string& terminal, std::uint64_t ticket, std::size_t bytes = 10) {
  Waiting waiting{
      .ticket = Ticket(ticket), .event = {}, .original = {}, .seen_through = handoff::Row(0), .bytes = bytes};
  waiting.event.set_terminal_id(terminal);
  return waiting;
}

}  // namespace

TEST_CASE("line: terminals take turns, each keeps its order") {
  WaitingLine line(LineLimits{});
  for (const std::uint64_t n : {1, 2, 3}) CHECK(line.push(of("a", n)).empty());
  CHECK(line.push(of("b", 11)).empty());
  CHECK(line.push(of("c", 21)).empty());
  std::vector<std::uint64_t> order;
  while (auto next = line.pop()) order.push_back(next->ticket.value());
  CHECK(order == std::vector<std::uint64_t>{1, 11, 21, 2, 3});
  CHECK(line.empty());
  CHECK(line.bytes() == 0);
}

TEST_CASE("line: when it is full, whoever has most gives way, youngest first; equals do not displace each other") {
  WaitingLine line(LineLimits{.events = 4, .bytes = 1000});
  for (const std::uint64_t n : {1, 2, 3, 4}) CHECK(line.push(of("a", n)).empty());
  const auto own = line.push(of("a", 5));
  REQUIRE(own.size() == 1);
  CHECK(own[0].ticket == Ticket(5));
  const auto displaced = line.push(of("b", 11));
  REQUIRE(displaced.size() == 1);
  CHECK(displaced[0].ticket == Ticket(4));
  CHECK(line.push(of("b", 12)).at(0).ticket == Ticket(3));
  CHECK(line.push(of("b", 13)).at(0).ticket == Ticket(13));
  CHECK(line.events() == 4);
}

TEST_CASE("line: is bounded in bytes, too") {
  WaitingLine line(LineLimits{.events = 100, .bytes = 100});
  for (const std::uint64_t n : {1, 2, 3, 4}) CHECK(line.push(of("a", n, 25)).empty());
  // Two of the other's make room for one large one.
  const auto displaced = line.push(of("b", 11, 50));
  CHECK(displaced.size() == 2);
  CHECK(line.bytes() == 100);
  const auto impossible = line.push(of("c", 21, 101));
  REQUIRE(impossible.size() == 1);
  CHECK(impossible[0].ticket == Ticket(21));
  CHECK(line.bytes() == 100);
}
