// The floor of MQTT: a publisher and a subscriber at a broker, QoS 1, one message after the other at a steady pace.
//
//   bare_hop PORT SECONDS PER_SECOND
//
// One line of JSON: microseconds from the publish to the subscriber's callback.
#include <mosquitto.h>

#include <charconv>
#include <cstdlib>
#include <memory>

#include "tests/bench/stream/timing.hpp"

namespace {

constexpr int kQos = 1;
constexpr std::size_t kPayloadBytes = 400;  // an event as it is in a batch
constexpr const char* kTopic = "bench/hop";

struct Hop {
  bench::Arrivals arrivals;
  bench::Arrivals subscribed;
};

struct Close {
  void operator()(mosquitto* client) const {
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    mosquitto_destroy(client);
  }
};
using Client = std::unique_ptr<mosquitto, Close>;

Client connect(const char* id, int port, Hop& hop) {
  Client client(mosquitto_new(id, true, &hop));
  mosquitto_int_option(client.get(), MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_message_callback_set(client.get(), [](mosquitto*, void* self, const mosquitto_message* message) {
    unsigned number = 0;
    const auto* text = static_cast<const char*>(message->payload);
    std::from_chars(text, text + message->payloadlen, number);
    static_cast<Hop*>(self)->arrivals.note(number);
  });
  mosquitto_subscribe_callback_set(
      client.get(), [](mosquitto*, void* self, int, int, const int*) { static_cast<Hop*>(self)->subscribed.note(1); });
  ASSERT(mosquitto_connect(client.get(), "127.0.0.1", port, 60) == MOSQ_ERR_SUCCESS);
  ASSERT(mosquitto_loop_start(client.get()) == MOSQ_ERR_SUCCESS);
  return client;
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 4);
  mosquitto_lib_init();
  Hop hop;
  const Client subscriber = connect("bench-subscriber", std::atoi(argv[1]), hop);
  ASSERT(mosquitto_subscribe(subscriber.get(), nullptr, kTopic, kQos) == MOSQ_ERR_SUCCESS);
  static_cast<void>(hop.subscribed.wait(1));
  const Client publisher = connect("bench-publisher", std::atoi(argv[1]), hop);
  std::vector<double> times;
  bench::at_pace(std::atof(argv[2]), std::atof(argv[3]), [&](unsigned number) {
    std::string payload = fmt::format("{} ", number);
    payload.resize(kPayloadBytes, 'x');
    const auto begun = bench::Clock::now();
    ASSERT(mosquitto_publish(publisher.get(), nullptr, kTopic, static_cast<int>(payload.size()), payload.data(), kQos,
                             false) == MOSQ_ERR_SUCCESS);
    times.push_back(bench::microseconds(hop.arrivals.wait(number) - begun));
  });
  fmt::print("{{{}}}\n", bench::quantiles(times));
}
