// How fast the embedded stream takes events: decoded, rendered and committed as the bridge does it, beside the floor of
// the disk.
//
//   stream_bench [FOLDER]     (default: the current one; never a tmpfs)
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"
#include "cloud-bridge/stream/record.hpp"
#include "proto/base/assert.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/stream/test_loop.hpp"

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kGateways = 20;
constexpr std::chrono::seconds kDuration{4};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Of this process, all threads: what remains comparable on a busy machine.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

std::string wire_event(std::uint64_t n) {
  tillstream::v1::Event event;
  event.set_schema_version(1);
  event.set_event_id(std::string(8, 'x') + std::string(reinterpret_cast<const char*>(&n), 8));
  event.set_type("sale");
  event.set_source("http");
  event.set_terminal_id("till-0001");
  event.set_terminal_ref("ref-" + std::to_string(n));
  event.set_occurred_at_ms(1'800'000'000'000 + static_cast<std::int64_t>(n));
  event.set_utc_offset_minutes(60);
  event.set_received_at_ms(1'800'000'000'005 + static_cast<std::int64_t>(n));
  event.set_clock_synced(true);
  event.set_merchant_id("merchant-17");
  event.set_merchant_name("Café am Graben");
  event.set_merchant_city("Wien");
  event.set_mcc("5812");
  event.set_amount_minor(1234);
  event.set_currency("EUR");
  event.set_currency_exponent(2);
  event.set_effect_minor(1234);
  event.set_outcome("approved");
  event.set_authorized_by("online");
  event.set_card_last4("4242");
  event.set_card_brand("visa");
  event.set_card_token("abcdefghijklmnopqrstuvwxyz");
  event.set_card_token_key("k1");
  event.set_entry_mode("contactless");
  event.set_auth_code("123456");
  event.set_business_date("2026-11-24");
  event.set_business_key("mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q");
  return event.SerializeAsString();
}

class Bench {
 public:
  explicit Bench(const std::string& path) {
    auto started = sqlite::SqliteStream::start({.path = path, .limits = {}}, loop_.post());
    ASSERT(started.has_value());
    stream_ = std::move(*started);
    stream_->open(owner_);
    ASSERT(loop_.run_until([this] { return owner_.owned; }));
  }

  // As the bridge: the next transaction is made while the last one commits.
  void run(std::size_t events) {
    std::vector<double> latencies;
    std::uint64_t total = 0;
    const auto begin = Clock::now();
    const double cpu = cpu_seconds();
    stream::Transaction next = make(events);
    while (Clock::now() - begin < kDuration) {
      const auto started = Clock::now();
      const std::size_t committed = owner_.committed.size();
      stream_->begin(stream::Partition(0), stream::TransactionId(committed + 1), std::move(next));
      next = make(events);
      ASSERT(loop_.run_until([&] { return owner_.committed.size() > committed; }));
      latencies.push_back(seconds_since(started) * 1e3);
      total += events;
    }
    const double rate = static_cast<double>(total) / seconds_since(begin);
    const double p50 = percentile(latencies, 0.5);
    std::printf("%5zu events a transaction: %8.0f events/s, commit p50 %.2f ms, p99 %.2f ms, CPU %.1f us an event\n",
                events, rate, p50, percentile(latencies, 0.99),
                (cpu_seconds() - cpu) / static_cast<double>(total) * 1e6);
  }

  void render_only() {
    const double begin = cpu_seconds();
    std::size_t events = 0;
    for (; events < 50'000; events += 500) static_cast<void>(make(500));
    std::printf("decode and render alone:      CPU %.1f us an event\n",
                (cpu_seconds() - begin) / static_cast<double>(events) * 1e6);
  }

 private:
  stream::Transaction make(std::size_t events) {
    static const std::string wire = wire_event(1);
    stream::Transaction transaction;
    transaction.records.reserve(events);
    const int gateway = gateway_ = (gateway_ + 1) % kGateways;
    const std::string name = "shop-" + std::to_string(1000 + gateway);
    for (std::size_t i = 0; i < events; ++i) {
      const auto event = stream::decode_event(wire);
      transaction.records.push_back(
          stream::render_event(*event, {.gateway_id = name,
                                        .epoch = epoch_,
                                        .seq = handoff::Seq(++seq_[gateway]),
                                        .published_at = base::UtcTime(std::chrono::milliseconds(1'800'000'000'010)),
                                        .possible_repeat = false}));
    }
    transaction.progress.push_back(test::progress(name, 1, seq_[gateway]));
    return transaction;
  }

  test::TestLoop loop_;
  test::RecordingOwner owner_;
  std::unique_ptr<sqlite::SqliteStream> stream_;
  handoff::Epoch epoch_{.bytes = {1, 2, 3}};
  std::uint64_t seq_[kGateways] = {};
  int gateway_ = 0;
};

// What the disk asks for one durable append.
void floor(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ASSERT(descriptor >= 0 && ::posix_fallocate(descriptor, 0, 8 << 20) == 0 && ::fsync(descriptor) == 0);
  std::vector<double> latencies;
  const std::string block(4096, 'x');
  for (off_t i = 0; i < 1000; ++i) {
    const auto started = Clock::now();
    ASSERT(::pwrite(descriptor, block.data(), block.size(), i * 4096) == 4096 && ::fdatasync(descriptor) == 0);
    latencies.push_back(seconds_since(started) * 1e3);
  }
  ::close(descriptor);
  const double p50 = percentile(latencies, 0.5);
  std::printf("floor, 4 KiB + fdatasync:     p50 %.2f ms, p99 %.2f ms\n", p50, percentile(latencies, 0.99));
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = std::filesystem::path(argc > 1 ? argv[1] : ".") / "stream_bench.tmp";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  floor((folder / "floor").string());
  {
    Bench bench((folder / "stream.db").string());
    bench.render_only();
    for (const std::size_t events : {1, 16, 100, 500, 1000, 4000}) bench.run(events);
  }
  std::filesystem::remove_all(folder);
}
