// Metrics: counters, gauges and histograms, read by Prometheus as text. The only door to prometheus-cpp.
//
//   Metrics metrics("tillstream_gateway");
//   Counter& appended = metrics.counter("events_appended_total", "Events committed to the journal.");
//   …
//   appended.add();
//
// Everything is registered once, at start, with fixed label values: never with text from outside, which could grow
// without limit. References stay valid as long as the Metrics. Counting costs an atomic addition, observing one short
// lock; both may be done from any thread. Our own mistakes (a malformed name, a counter without _total, one name of two
// kinds, more than series_max) ASSERT.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace platform {

class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(std::uint64_t count = 1);
  // For a total that is counted elsewhere: never goes back. From one thread at a time.
  void advance_to(std::uint64_t total);

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value);

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  static constexpr std::size_t series_max = 1000;
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  // Names begin with "<prefix>_".
  explicit Metrics(std::string prefix);
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();

  // The same name and labels again give the same series.
  [[nodiscard]] Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  [[nodiscard]] Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  // `bounds` are the buckets' upper bounds, ascending.
  [[nodiscard]] Histogram& histogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                                     const Labels& labels = {});

  // Called before each exposition, to set what is not counted as it happens.
  void on_collect(std::function<void()> callback);
  // Prometheus's text format 0.0.4.
  [[nodiscard]] std::string text() const;

  // From 0.1 ms to 30 s: for times in seconds.
  [[nodiscard]] static std::vector<double> second_bounds();

 private:
  struct Series;
  std::string prefix_;
  std::unique_ptr<Series> series_;
  std::vector<std::function<void()>> collectors_;
};

}  // namespace platform
