#include "firmware-gateway/terminal/answer_queue.hpp"

#include <doctest/doctest.h>

using terminal::AnswerQueue;

TEST_CASE("answers: leave in the order of the requests, in whatever order they come") {
  AnswerQueue queue;
  const auto a = queue.open();
  const auto b = queue.open();
  const auto c = queue.open();
  queue.fill(c, "c");
  CHECK_FALSE(queue.pop());
  queue.fill(a, "a");
  CHECK(queue.pop() == "a");
  CHECK_FALSE(queue.pop());
  queue.fill(b, "b");
  CHECK(queue.pop() == "b");
  CHECK(queue.pop() == "c");
  CHECK_FALSE(queue.pop());
  CHECK(queue.size() == 0);
}

TEST_CASE("answers: a connection may have so many requests under way, and goes on once one has been answered") {
  AnswerQueue queue;
  const auto first = queue.open();
  while (!queue.full()) static_cast<void>(queue.open());
  CHECK(queue.size() == terminal::pipelined_requests_max);
  queue.fill(first, "1");
  CHECK(queue.pop() == "1");
  CHECK_FALSE(queue.full());
}
