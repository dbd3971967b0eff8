#include "firmware-gateway/terminal/ndjson.hpp"

#include <doctest/doctest.h>

#include <string>

#include "firmware-gateway/terminal/json_event.hpp"

using terminal::read_batch;
using terminal::Reason;
using terminal::Refusal;
using terminal::Stored;

TEST_CASE("batch: each line is its own event, with or without a last line feed, LF or CR LF") {
  for (const char* body : {"{\"stan\":\"1\"}\n{\"stan\":\"2\"}", "{\"stan\":\"1\"}\n{\"stan\":\"2\"}\n",
                           "{\"stan\":\"1\"}\r\n{\"stan\":\"2\"}\r\n"}) {
    const auto lines = read_batch(body);
    REQUIRE(lines);
    REQUIRE(lines->size() == 2);
    CHECK((*lines)[0]->fields.text(redact::Field::stan) == "1");
    CHECK((*lines)[1]->fields.text(redact::Field::stan) == "2");
  }
}

TEST_CASE("batch: a wrong line concerns that line alone, and an empty one keeps its number") {
  const auto lines =
      read_batch("{}\n\nnonsense\n{\"x\":1}\n" + std::string(terminal::event_bytes_max + 1, ' ') + "\n{}\n\n");
  REQUIRE(lines);
  REQUIRE(lines->size() == 7);
  CHECK((*lines)[0]);
  CHECK((*lines)[1].error().reason == Reason::invalid_json);
  CHECK((*lines)[2].error().reason == Reason::invalid_json);
  CHECK((*lines)[3].error().reason == Reason::invalid_field);
  CHECK((*lines)[4].error().reason == Reason::too_large);
  CHECK((*lines)[5]);
  CHECK((*lines)[6].error().reason == Reason::invalid_json);
}

TEST_CASE("batch: 1,000 lines are read, 1,001 refused whole; so is a batch beyond 4 MiB, and one without lines") {
  std::string body;
  for (std::size_t i = 0; i < terminal::batch_lines_max; ++i) body += "{}\n";
  CHECK(read_batch(body)->size() == 1000);
  CHECK(read_batch(body.substr(0, body.size() - 1))->size() == 1000);
  CHECK(read_batch(body + "{}").error().reason == Reason::too_large);
  CHECK(read_batch(body + "\n").error().reason == Reason::too_large);

  std::string large;
  while (large.size() + 16'000 <= terminal::batch_bytes_max) large += std::string(15'999, ' ') + "\n";
  large += std::string(terminal::batch_bytes_max - large.size(), ' ');
  CHECK(read_batch(large));
  CHECK(read_batch(large + " ").error().reason == Reason::too_large);
  CHECK(read_batch("").error().reason == Reason::invalid_json);
}

TEST_CASE("batch: results come in the order of the lines, each with its status, once all are there") {
  terminal::BatchAnswer answer(3);
  answer.set(2, Stored{.event_id = "c", .epoch = "e", .seq = 9, .duplicate = true});
  answer.set(0, Stored{.event_id = "a", .epoch = "e", .seq = 8, .duplicate = false});
  CHECK_FALSE(answer.complete());
  answer.set(1, redact::invalid(redact::Field::currency, "is \"odd\""));
  REQUIRE(answer.complete());
  const auto http = answer.to_http();
  CHECK(http.status == 200);
  CHECK(http.content_type == "application/x-ndjson");
  CHECK(
      http.body ==
      "{\"status\":201,\"event_id\":\"a\",\"epoch\":\"e\",\"seq\":8,\"duplicate\":false}\n"
      "{\"status\":400,\"error\":{\"code\":\"invalid_field\",\"field\":\"currency\",\"message\":\"is \\\"odd\\\"\"}}\n"
      "{\"status\":200,\"event_id\":\"c\",\"epoch\":\"e\",\"seq\":9,\"duplicate\":true}\n");
}
