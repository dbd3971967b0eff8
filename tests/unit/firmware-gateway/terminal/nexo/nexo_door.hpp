// A nexo message from its bytes to records and answer: the real parser, guard and ingest, a journal in memory.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "firmware-gateway/terminal/nexo/message.hpp"
#include "tests/unit/firmware-gateway/ingest/intake.hpp"

namespace nexo_test {

inline std::string vector_text(const std::string& name) {
  std::ifstream file(TILLSTREAM_SOURCE_DIR "/tests/unit/firmware-gateway/terminal/nexo/vectors/" + name + ".json");
  REQUIRE_MESSAGE(file.good(), name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first place of `from` becomes `to`.
inline std::string with(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

inline const std::vector<std::string> vector_names{"event_notification_network_disconnected",
                                                   "event_notification_reject",
                                                   "get_totals_response",
                                                   "payment_response_HOSTILE_clear_pan",
                                                   "payment_response_refused",
                                                   "payment_response_success_additionalresponse_base64",
                                                   "payment_response_success_contactless",
                                                   "payment_response_three_decimal_currency",
                                                   "payment_response_tip_cashback",
                                                   "reconciliation_response",
                                                   "refund_response_success",
                                                   "reversal_response_success"};

class Door {
 public:
  explicit Door(redact::AcceptCardNumbers accept = redact::AcceptCardNumbers::always)
      : intake(ingest_test::default_settings(), guard_settings(accept)) {}

  [[nodiscard]] terminal::nexo::Context context() const {
    return {.hasher = platform::hasher(), .received_at = intake.moment.utc, .currency_of = [this](std::string_view) {
              return default_currency;
            }};
  }

  terminal::HttpAnswer send(const std::string& text, redact::Channel channel = {}) {
    auto message = terminal::nexo::read_message(text, context());
    if (!message) return terminal::to_http(message.error());
    std::vector<terminal::Answer> answers;
    for (auto& draft : message->drafts) answers.push_back(submit(std::move(draft), channel));
    return terminal::nexo::to_http(message->notification, answers);
  }

  // What one message has stored.
  tillstream::v1::Event store(const std::string& text) {
    const std::size_t before = intake.journal.rows.size();
    const auto answer = send(text);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    REQUIRE(intake.journal.rows.size() == before + 1);
    return intake.last();
  }
  [[nodiscard]] std::size_t rows() const { return intake.journal.rows.size(); }

  ingest_test::Intake intake;
  std::string default_currency = "EUR";

 private:
  static redact::GuardSettings guard_settings(redact::AcceptCardNumbers accept) {
    redact::GuardSettings settings = ingest_test::guard_settings();
    settings.accept_card_numbers = accept;
    return settings;
  }

  terminal::Answer submit(redact::Draft draft, redact::Channel channel) {
    const ingest::Ticket ticket(1'000'000 + ++tickets_);
    auto cleared = intake.guard.clear(std::move(draft), channel);
    if (!cleared) return std::move(cleared.error());
    intake.machine.submit(*cleared, ticket, intake.moment);
    intake.settle();
    return intake.answers.at(ticket);
  }

  std::uint64_t tickets_ = 0;
};

inline std::vector<std::string> incomplete(const tillstream::v1::Event& event) {
  return {event.incomplete().begin(), event.incomplete().end()};
}

using Names = std::vector<std::string>;

}  // namespace nexo_test
