#include "firmware-gateway/app/tap/report.hpp"

#include <fmt/format.h>

#include <array>

#include "firmware-gateway/app/tap/program.hpp"
#include "firmware-gateway/status/json.hpp"

namespace tap_app {
namespace {

using status::JsonArray;
using status::JsonObject;
using tap::DeliveryCounts;
using tap::ObserverCounts;
using tap::RelayCounts;

template <class Member>
struct Named {
  std::string_view name;
  std::string_view help;
  Member member;
};

using RelayMember = std::atomic<std::uint64_t> RelayCounts::*;
using ObserverMember = std::uint64_t ObserverCounts::*;
using DeliveryMember = std::uint64_t DeliveryCounts::*;

constexpr std::array relay_counters{
    Named<RelayMember>{"accepted", "Connections of terminals", &RelayCounts::accepted},
    Named<RelayMember>{"refused", "Connections reset because too many were open", &RelayCounts::refused},
    Named<RelayMember>{"unreachable", "Connections reset because the host could not be reached",
                       &RelayCounts::unreachable},
    Named<RelayMember>{"reset", "Connections that one of the two sides reset", &RelayCounts::reset},
    Named<RelayMember>{"terminal_handshakes_failed", "TLS handshakes with terminals that failed",
                       &RelayCounts::terminal_handshakes_failed},
    Named<RelayMember>{"host_handshakes_failed", "TLS handshakes with the host that failed",
                       &RelayCounts::host_handshakes_failed},
    Named<RelayMember>{"accept_pauses", "Pauses in accepting, for want of file descriptors or memory",
                       &RelayCounts::accept_pauses},
    Named<RelayMember>{"bytes_from_terminal", "Bytes relayed to the host", &RelayCounts::bytes_from_terminal},
    Named<RelayMember>{"bytes_from_host", "Bytes relayed to terminals", &RelayCounts::bytes_from_host},
};

constexpr std::array observer_counters{
    Named<ObserverMember>{"messages", "Messages read along", &ObserverCounts::messages},
    Named<ObserverMember>{"unreadable", "Messages that the dialect does not read", &ObserverCounts::unreadable},
    Named<ObserverMember>{"framing_lost", "Connections read no further: their frames are none of the dialect's",
                          &ObserverCounts::framing_lost},
    Named<ObserverMember>{"unread", "Connections not read: the terminal speaks TLS, and the line has no tls",
                          &ObserverCounts::unread},
    Named<ObserverMember>{"incomplete", "Connections read no further: not all of their bytes were copied",
                          &ObserverCounts::incomplete},
    Named<ObserverMember>{"answered", "Requests with their answers", &ObserverCounts::answered},
    Named<ObserverMember>{"unanswered", "Requests without an answer", &ObserverCounts::unanswered},
    Named<ObserverMember>{"given_up", "Requests given up because more were open than there is room for",
                          &ObserverCounts::given_up},
    Named<ObserverMember>{"unasked", "Answers to no open request", &ObserverCounts::unasked},
    Named<ObserverMember>{"mismatched",
                          "Answers not taken: TPDU, 7, 12, 13, 37 or 42 differs from the open request with their STAN",
                          &ObserverCounts::mismatched},
    Named<ObserverMember>{"no_event", "Messages that make no event", &ObserverCounts::no_event},
    Named<ObserverMember>{"wrong_direction", "Requests from the host and answers from terminals",
                          &ObserverCounts::wrong_direction},
};

constexpr std::array delivery_counters{
    Named<DeliveryMember>{"copies", "Copies for the gateway", &DeliveryCounts::copies},
    Named<DeliveryMember>{"copies_stored", "Copies that the gateway has on disk", &DeliveryCounts::stored},
    Named<DeliveryMember>{"copies_repeated", "Of these: it had them already", &DeliveryCounts::repeated},
    Named<DeliveryMember>{"copies_refused", "Copies that the gateway will never store", &DeliveryCounts::refused},
    Named<DeliveryMember>{"copies_postponed", "Times that the gateway could not take one", &DeliveryCounts::postponed},
    Named<DeliveryMember>{"copies_lost", "Copies dropped for want of memory", &DeliveryCounts::lost},
};

std::string line_json(const LineFacts& line) {
  JsonObject json;
  json.text("name", line.name).text("listen", line.listen).text("host", line.host).text("dialect", line.dialect);
  json.boolean("tls", line.tls).number("connections", line.relay->connections.load());
  for (const auto& counter : relay_counters) json.number(counter.name, (line.relay->*counter.member).load());
  for (const auto& counter : observer_counters) json.number(counter.name, line.observer->counts().*counter.member);
  json.number("open_requests", line.observer->open_requests());
  return json.str();
}

std::int64_t seconds(std::chrono::milliseconds time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

}  // namespace

std::string status_json(const Facts& facts) {
  JsonArray lines;
  for (const LineFacts& line : facts.lines) lines.add(line_json(line));
  const tap::Delivery& delivery = *facts.delivery;
  JsonObject gateway;
  gateway.text("socket", facts.socket).boolean("connected", delivery.connected());
  if (!facts.gateway_trouble.empty()) gateway.text("trouble", facts.gateway_trouble);
  gateway.number("waiting", delivery.waiting()).number("losses_untold", delivery.untold_lost());
  gateway.raw("oldest_seconds", facts.oldest ? std::to_string(seconds(*facts.oldest)) : "null");
  gateway.number("memory_used", delivery.bytes()).number("memory", delivery.memory_bytes());
  for (const auto& counter : delivery_counters) gateway.number(counter.name, delivery.counts().*counter.member);
  JsonObject json;
  json.text("version", version).number("pieces_not_copied", facts.pieces_refused);
  json.raw("gateway", gateway.str()).raw("lines", lines.str());
  return json.str() + "\n";
}

std::string trouble_of(const Facts& facts) {
  if (!facts.oldest || *facts.oldest <= facts.unhealthy_after) return {};
  const std::string why = facts.gateway_trouble.empty() ? "it is connected" : facts.gateway_trouble;
  return fmt::format("the gateway has not taken a copy for {} s: {}", seconds(*facts.oldest), why);
}

void fill(platform::Metrics& metrics, const Facts& facts) {
  for (const LineFacts& line : facts.lines) {
    const platform::Metrics::Labels labels{{"line", line.name}};
    const auto count = [&](std::string_view name, std::string_view help, std::uint64_t total) {
      metrics.counter(fmt::format("{}_total", name), help, labels).advance_to(total);
    };
    metrics.gauge("connections", "Open connections of terminals", labels)
        .set(static_cast<double>(line.relay->connections.load()));
    metrics.gauge("open_requests", "Requests that wait for their answer", labels)
        .set(static_cast<double>(line.observer->open_requests()));
    for (const auto& counter : relay_counters) count(counter.name, counter.help, (line.relay->*counter.member).load());
    for (const auto& counter : observer_counters)
      count(counter.name, counter.help, line.observer->counts().*counter.member);
  }
  metrics.counter("pieces_not_copied_total", "Pieces of what was relayed that found no room on the way to the reader")
      .advance_to(facts.pieces_refused);
  const tap::Delivery& delivery = *facts.delivery;
  for (const auto& counter : delivery_counters)
    metrics.counter(fmt::format("{}_total", counter.name), counter.help).advance_to(delivery.counts().*counter.member);
  metrics.gauge("gateway_connected", "Whether the gateway is there").set(delivery.connected() ? 1 : 0);
  metrics.gauge("copies_waiting", "Copies that the gateway has not stored yet")
      .set(static_cast<double>(delivery.waiting()));
  metrics.gauge("copies_oldest_seconds", "Age of the oldest of them")
      .set(facts.oldest ? static_cast<double>(facts.oldest->count()) / 1000 : 0);
  metrics.gauge("copies_memory_bytes", "Memory that they take").set(static_cast<double>(delivery.bytes()));
  metrics.gauge("copies_memory_max_bytes", "Memory that they may take")
      .set(static_cast<double>(delivery.memory_bytes()));
}

}  // namespace tap_app
