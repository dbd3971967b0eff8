#include "proto/platform/metrics.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

using platform::Metrics;

namespace {

bool has_line(const Metrics& metrics, const std::string& line) {
  return ("\n" + metrics.text()).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: counters, gauges and histograms come out as Prometheus reads them") {
  Metrics metrics("tillstream_test");
  metrics.counter("events_total", "Events.").add();
  metrics.counter("events_total", "Events.").add(2);
  metrics.gauge("depth", "Depth.").set(7.5);
  auto& seconds = metrics.histogram("fsync_seconds", "Time of an fsync.", {0.1, 1});
  seconds.observe(0.05);
  seconds.observe(0.1);
  seconds.observe(0.5);
  seconds.observe(5);
  CHECK(has_line(metrics, "# HELP tillstream_test_events_total Events."));
  CHECK(has_line(metrics, "# TYPE tillstream_test_events_total counter"));
  CHECK(has_line(metrics, "tillstream_test_events_total 3"));
  CHECK(has_line(metrics, "# TYPE tillstream_test_depth gauge"));
  CHECK(has_line(metrics, "tillstream_test_depth 7.5"));
  CHECK(has_line(metrics, "# TYPE tillstream_test_fsync_seconds histogram"));
  CHECK(has_line(metrics, "tillstream_test_fsync_seconds_bucket{le=\"0.1\"} 2"));
  CHECK(has_line(metrics, "tillstream_test_fsync_seconds_bucket{le=\"1\"} 3"));
  CHECK(has_line(metrics, "tillstream_test_fsync_seconds_bucket{le=\"+Inf\"} 4"));
  CHECK(has_line(metrics, "tillstream_test_fsync_seconds_count 4"));
}

TEST_CASE("metrics: labels make series of their own, and the same labels the same series") {
  Metrics metrics("t");
  auto& stored = metrics.counter("answers_total", "Answers.", {{"status", "201"}});
  metrics.counter("answers_total", "Answers.", {{"status", "503"}}).add(4);
  stored.add();
  CHECK(&stored == &metrics.counter("answers_total", "Answers.", {{"status", "201"}}));
  CHECK(has_line(metrics, "t_answers_total{status=\"201\"} 1"));
  CHECK(has_line(metrics, "t_answers_total{status=\"503\"} 4"));
}

TEST_CASE("metrics: a series shows from its registration on, at zero") {
  Metrics metrics("t");
  static_cast<void>(metrics.counter("lost_total", "Lost."));
  CHECK(has_line(metrics, "t_lost_total 0"));
}

TEST_CASE("metrics: a total counted elsewhere is followed, never back") {
  Metrics metrics("t");
  auto& counter = metrics.counter("a_total", "A.");
  counter.advance_to(5);
  counter.advance_to(3);
  CHECK(has_line(metrics, "t_a_total 5"));
  counter.advance_to(6);
  CHECK(has_line(metrics, "t_a_total 6"));
}

TEST_CASE("metrics: collectors run before each exposition") {
  Metrics metrics("t");
  auto& gauge = metrics.gauge("age_seconds", "Age.");
  int calls = 0;
  metrics.on_collect([&] { gauge.set(++calls); });
  CHECK(has_line(metrics, "t_age_seconds 1"));
  CHECK(has_line(metrics, "t_age_seconds 2"));
}

TEST_CASE("metrics: large counts keep their last digit") {
  Metrics metrics("t");
  metrics.counter("bytes_total", "Bytes.").add(9'007'199'254'740'991);
  CHECK(has_line(metrics, "t_bytes_total 9007199254740991"));
}

TEST_CASE("metrics: threads lose no count") {
  Metrics metrics("t");
  auto& counter = metrics.counter("a_total", "A.");
  auto& histogram = metrics.histogram("b_seconds", "B.", Metrics::second_bounds());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          counter.add();
          histogram.observe(0.001);
        }
      });
    }
    for (int i = 0; i < 10; ++i) static_cast<void>(metrics.text());
  }
  CHECK(has_line(metrics, "t_a_total 4000"));
  CHECK(has_line(metrics, "t_b_seconds_count 4000"));
}
