#include "tests/sim/world/box.hpp"

#include <fmt/format.h>

#include <utility>

#include "proto/handoff/topics.hpp"
#include "proto/wire/codec.hpp"
#include "tests/sim/story/messages.hpp"

namespace whole {
namespace {

using namespace std::chrono_literals;

// No machine asks for so much in one go.
constexpr int kOutputsMax = 100'000;
// Openings of different boxes have different numbers.
constexpr std::uint64_t kOpeningsMax = 1'000'000;

class OnlyUtc final : public ingest::TimeZones {
 public:
  [[nodiscard]] std::optional<std::chrono::seconds> offset_at(std::string_view /*zone*/,
                                                              base::UtcTime /*utc*/) const override {
    return std::chrono::seconds(0);
  }
};
const OnlyUtc zones;

}  // namespace

Box::Program::Program(const gateway::Settings& settings, const base::Hasher& hasher, base::Random& random)
    : machine(settings, zones, hasher, random) {}

Box::Box(Env& env, Broker& broker, Checker& checker, const base::Hasher& hasher, std::string gateway_id,
         std::uint64_t number)
    : Process(env),
      broker_(broker),
      checker_(checker),
      hasher_(hasher),
      gateway_id_(std::move(gateway_id)),
      number_(number),
      opening_(number * kOpeningsMax) {
  const std::string shard = handoff::shard_of(hasher, gateway_id_);
  filters_ = {handoff::down_topic(shard, gateway_id_), handoff::owner_topic(shard)};
}

gateway::Settings Box::settings() const {
  gateway::Settings settings;
  settings.gateway_id = gateway_id_;
  settings.version = "sim";
  settings.sender.gateway_id = gateway_id_;
  settings.sender.program = "sim";
  if (env_.faults.trim) settings.retention = 10min;
  if (env_.faults.small_queue) {
    settings.sender.window_events = 16;
    settings.sender.batch_events = 4;
  }
  settings.ingest.terminals.defaults.currency = "EUR";
  return settings;
}

base::Now Box::now() const {
  base::Now now = env_.clock.now();
  now.utc += std::chrono::duration_cast<std::chrono::milliseconds>(clock_error_);
  return now;
}

void Box::start() {
  env_.story.tell([&] { return fmt::format("{} box {} starts", gateway_id_, number_); });
  begin_life();
  program_ = std::make_unique<Program>(settings(), hasher_, env_.random);
  program_->machine.on_clock(true);
  open_journal();
  program_->machine.start(now());
  enter([] {});
}

void Box::submit(const Sale& sale, redact::OnConflict on_conflict, Answered answered) {
  enter([this, sale, on_conflict, answered = std::move(answered)] {
    redact::Draft draft;
    draft.fields.text(redact::Field::type) = "sale";
    draft.fields.text(redact::Field::terminal_id) = sale.terminal;
    draft.fields.text(redact::Field::terminal_ref) = sale.ref;
    draft.fields.text(redact::Field::occurred_at) = "2025-11-24T17:00:00Z";
    draft.fields.text(redact::Field::outcome) = "approved";
    draft.fields.number(redact::Field::amount_minor) = sale.amount;
    draft.fields.on_conflict = on_conflict;
    const gateway::Ticket ticket(++tickets_);
    waiting_.emplace(ticket, answered);
    program_->machine.submit(std::move(draft), {.tls = true, .peer_is_loopback = false}, ticket, now());
  });
}

bool Box::settled() const {
  return running() && program_->machine.sender().state() == handoff::SenderState::streaming &&
         program_->machine.sender().pending() == 0 && program_->journal && waiting_.empty();
}

std::string Box::state() const {
  if (!running()) return "is off";
  const handoff::Sender& sender = program_->machine.sender();
  return fmt::format("sender state {}, {} pending, journal {}", static_cast<int>(sender.state()), sender.pending(),
                     program_->journal ? "open" : "closed");
}

void Box::calm() {
  disk_full_until_ = {};
  clock_error_ = {};
}

// --- what the machine says -----------------------------------------------------------------------

void Box::settle() {
  for (int i = 0; auto output = program_->machine.poll(now()); ++i) {
    if (i > kOutputsMax) return env_.story.fail(fmt::format("{} never comes to rest", gateway_id_), gateway_id_);
    obey(std::move(*output));
  }
  wake_at(program_->machine.wakeup_at());
}

void Box::obey(gateway::Output output) {
  if (auto* journal = std::get_if<gateway::JournalRequest>(&output)) {
    request(std::move(*journal));
  } else if (const auto* reply = std::get_if<gateway::Reply>(&output)) {
    on_reply(*reply);
  } else if (auto* publish = std::get_if<gateway::Publish>(&output)) {
    env_.story.tell([&] {
      return fmt::format("{} box {} ▲ {}", gateway_id_, number_, sim::describe(*wire::decode_up(publish->payload)));
    });
    if (++unacknowledged_ > uplink::Settings{}.publishes_in_flight_max) {
      env_.story.fail(fmt::format("{} has {} publishes under way", gateway_id_, unacknowledged_), gateway_id_);
    }
    broker_.publish(connection_, publish->topic, std::move(publish->payload), true);
  } else if (const auto* to = std::get_if<uplink::Connect>(&output)) {
    connect(to->attempt);
  } else if (std::holds_alternative<uplink::Disconnect>(output)) {
    broker_.disconnect(connection_);
  } else if (const auto* line = std::get_if<gateway::LogLine>(&output)) {
    env_.story.tell([&] { return fmt::format("{} box {}: {}", gateway_id_, number_, line->text); });
  }
}

void Box::on_reply(const gateway::Reply& reply) {
  const auto waiting = waiting_.extract(reply.ticket);
  if (waiting.empty()) return env_.story.fail(fmt::format("{} answers one request twice", gateway_id_), gateway_id_);
  waiting.mapped()(reply.answer, opening_);
}

// --- the broker ----------------------------------------------------------------------------------

void Box::connect(uplink::Attempt attempt) {
  attempt_ = attempt;
  unacknowledged_ = 0;
  connection_ = broker_.connect(*this, filters_);
}

void Box::on_connected(Connection connection) {
  if (connection != connection_) return;
  enter([this] { program_->machine.on_link(uplink::Connected{.attempt = attempt_}, now()); });
}

void Box::on_lost(Connection connection, const std::string& reason) {
  if (connection != connection_) return;
  connection_ = 0;
  enter([this, reason] { program_->machine.on_link(uplink::Lost{.attempt = attempt_, .reason = reason}, now()); });
}

void Box::on_message(Connection connection, const std::string& topic, const base::Bytes& payload) {
  if (connection != connection_) return;
  enter([&] {
    program_->machine.on_link(uplink::Received{.attempt = attempt_, .topic = topic, .payload = payload}, now());
  });
}

void Box::on_acknowledged(Connection connection, std::uint8_t code, std::size_t bytes) {
  if (connection != connection_) return;
  --unacknowledged_;
  enter([this, code, bytes] {
    program_->machine.on_link(uplink::Published{.attempt = attempt_, .reason_code = code, .bytes = bytes}, now());
    if (env_.sabotage != Sabotage::trim_on_puback || !program_->journal) return;
    handoff::Mark mark = *disk_.journal.catalog.acked;
    mark.row = std::max(mark.row, program_->machine.sender().sent());
    on_acked({.mark = mark, .at = now().utc});
  });
}

}  // namespace whole
