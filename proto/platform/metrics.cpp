#include "proto/platform/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <list>
#include <map>

#include "proto/base/assert.hpp"

namespace platform {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

void Counter::add(std::uint64_t count) { counter_->Increment(static_cast<double>(count)); }

void Counter::advance_to(std::uint64_t total) {
  const double missing = static_cast<double>(total) - counter_->Value();
  if (missing > 0) counter_->Increment(missing);
}

void Gauge::set(double value) { gauge_->Set(value); }

void Histogram::observe(double value) { histogram_->Observe(value); }

// Lists, because what they hold must not move.
struct Metrics::Series {
  enum class Kind { counter, gauge, histogram };

  prometheus::Registry registry;
  std::list<Counter> counters;
  std::list<Gauge> gauges;
  std::list<Histogram> histograms;
  std::map<std::string, Kind> kinds;
  std::map<const void*, void*> handles;  // by prometheus's own object

  void check(const std::string& name, Kind kind, const Labels& labels) {
    ASSERT(is_name(name));
    ASSERT(std::all_of(labels.begin(), labels.end(), [](const auto& label) { return is_name(label.first); }));
    ASSERT((kind == Kind::counter) == name.ends_with("_total"));
    ASSERT(kinds.emplace(name, kind).first->second == kind);
    ASSERT(handles.size() < series_max);
  }

  template <class Handle, class Metric>
  Handle& handle(std::list<Handle>& list, Metric& metric) {
    void*& known = handles[&metric];
    if (known == nullptr) known = &list.emplace_back(metric);
    return *static_cast<Handle*>(known);
  }
};

Metrics::Metrics(std::string prefix) : prefix_(std::move(prefix)), series_(std::make_unique<Series>()) {}

Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  const std::string full = prefix_ + "_" + std::string(name);
  series_->check(full, Series::Kind::counter, labels);
  auto& family = prometheus::BuildCounter().Name(full).Help(std::string(help)).Register(series_->registry);
  return series_->handle(series_->counters, family.Add({labels.begin(), labels.end()}));
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  const std::string full = prefix_ + "_" + std::string(name);
  series_->check(full, Series::Kind::gauge, labels);
  auto& family = prometheus::BuildGauge().Name(full).Help(std::string(help)).Register(series_->registry);
  return series_->handle(series_->gauges, family.Add({labels.begin(), labels.end()}));
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                              const Labels& labels) {
  const std::string full = prefix_ + "_" + std::string(name);
  series_->check(full, Series::Kind::histogram, labels);
  ASSERT(std::is_sorted(bounds.begin(), bounds.end()));
  auto& family = prometheus::BuildHistogram().Name(full).Help(std::string(help)).Register(series_->registry);
  return series_->handle(series_->histograms, family.Add({labels.begin(), labels.end()}, bounds));
}

void Metrics::on_collect(std::function<void()> callback) { collectors_.push_back(std::move(callback)); }

std::string Metrics::text() const {
  for (const auto& collect : collectors_) collect();
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

std::vector<double> Metrics::second_bounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
}

}  // namespace platform
