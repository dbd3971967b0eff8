// How long one core takes to decode and to encode ISO 8583 messages.
//
//   iso8583_bench SECONDS < MESSAGES      each line: dialect TAB message in hex
//
// All messages in turn, for SECONDS each way; one line of JSON: nanoseconds a message.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/bytes.hpp"

namespace {

struct Sample {
  const iso8583::Dialect* dialect;
  std::string bytes;
};

std::vector<Sample> read_samples() {
  static std::map<std::string, iso8583::Dialect> dialects;
  std::vector<Sample> samples;
  for (std::string line; std::getline(std::cin, line);) {
    const std::size_t tab = line.find('\t');
    ASSERT(tab != std::string::npos);
    const std::string name = line.substr(0, tab);
    if (!dialects.contains(name)) dialects.emplace(name, config::load_dialect(name).dialect.value());
    samples.push_back({.dialect = &dialects.at(name), .bytes = base::from_hex(line.substr(tab + 1)).value()});
  }
  ASSERT(!samples.empty());
  return samples;
}

// Of the whole process: others on this core do not count.
std::chrono::duration<double> cpu_time() {
  timespec time{};
  ASSERT(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Calls one(i) for each sample again and again; nanoseconds a call.
template <class One>
double time_each(std::size_t samples, std::chrono::duration<double> how_long, One one) {
  constexpr std::size_t rounds_a_look = 64;
  std::uint64_t calls = 0;
  const auto begun = cpu_time();
  auto now = begun;
  do {
    for (std::size_t round = 0; round < rounds_a_look; ++round)
      for (std::size_t i = 0; i < samples; ++i) one(i);
    calls += rounds_a_look * samples;
    now = cpu_time();
  } while (now - begun < how_long);
  return std::chrono::duration<double, std::nano>(now - begun).count() / static_cast<double>(calls);
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 2);
  const std::chrono::duration<double> how_long(std::atof(argv[1]));
  const std::vector<Sample> samples = read_samples();
  std::vector<iso8583::Message> messages;
  for (const Sample& sample : samples) {
    auto message = iso8583::decode(sample.bytes, *sample.dialect);
    ASSERT(message);
    ASSERT(iso8583::encode(iso8583::Composition(*message), *sample.dialect).value() == sample.bytes);
    messages.push_back(*std::move(message));
  }
  std::uint64_t sum = 0;  // so that nothing can be left out
  const auto decode_one = [&](std::size_t i) {
    sum += iso8583::decode(samples[i].bytes, *samples[i].dialect)->fields().count();
  };
  const auto encode_one = [&](std::size_t i) {
    sum += iso8583::encode(iso8583::Composition(messages[i]), *samples[i].dialect)->size();
  };
  const double decoding = time_each(samples.size(), how_long, decode_one);
  const double encoding = time_each(samples.size(), how_long, encode_one);
  fmt::print(R"({{"decode_ns": {:.1f}, "encode_ns": {:.1f}, "messages": {}, "sum": {}}})"
             "\n",
             decoding, encoding, samples.size(), sum % 10);
}
