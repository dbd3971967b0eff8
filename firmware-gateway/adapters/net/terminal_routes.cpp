#include "firmware-gateway/adapters/net/terminal_routes.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "firmware-gateway/terminal/http.hpp"
#include "firmware-gateway/terminal/json_event.hpp"
#include "firmware-gateway/terminal/ndjson.hpp"
#include "firmware-gateway/terminal/nexo/message.hpp"
#include "proto/platform/system.hpp"

namespace net {

namespace {

platform::HttpResponse to_response(terminal::HttpAnswer answer) {
  return {.status = answer.status,
          .content_type = std::move(answer.content_type),
          .body = std::move(answer.body),
          .headers = std::move(answer.headers)};
}

// What never becomes an event.
void refuse(Intake& intake, platform::Responder& responder, terminal::HttpAnswer answer) {
  if (answer.refused) intake.on_refused(*answer.refused);
  responder.send(to_response(std::move(answer)));
}

void submit_event(Intake& intake, redact::Channel channel, std::string& body,
                  std::shared_ptr<platform::Responder> responder) {
  auto draft = terminal::read_json_event(body);
  redact::wipe(body);
  if (!draft) return refuse(intake, *responder, terminal::to_http(std::move(draft.error())));
  intake.submit(std::move(*draft), channel, [responder = std::move(responder)](const terminal::Answer& answer) {
    responder->send(to_response(terminal::to_http(answer)));
  });
}

void submit_batch(Intake& intake, redact::Channel channel, std::string& body,
                  const std::shared_ptr<platform::Responder>& responder) {
  auto lines = terminal::read_batch(body);
  redact::wipe(body);
  if (!lines) return refuse(intake, *responder, terminal::to_http(std::move(lines.error())));
  const auto batch = std::make_shared<terminal::BatchAnswer>(lines->size());
  for (std::size_t i = 0; i < lines->size(); ++i) {
    const auto answered = [batch, i, responder](const terminal::Answer& answer) {
      batch->set(i, answer);
      if (batch->complete()) responder->send(to_response(batch->to_http()));
    };
    auto& line = (*lines)[i];
    if (line) {
      intake.submit(std::move(*line), channel, answered);
    } else {
      intake.on_refused(line.error().reason);
      answered(std::move(line.error()));
    }
  }
}

// The answers to the events of one nexo message, which is answered when all of them are there.
struct NexoAnswers {
  bool notification = false;
  std::vector<std::optional<terminal::Answer>> given;

  [[nodiscard]] bool complete() const {
    return std::ranges::all_of(given, [](const auto& answer) { return answer.has_value(); });
  }
  [[nodiscard]] terminal::HttpAnswer to_http() const {
    std::vector<terminal::Answer> answers;
    answers.reserve(given.size());
    for (const auto& answer : given) answers.push_back(*answer);
    return terminal::nexo::to_http(notification, answers);
  }
};

void submit_nexo(Intake& intake, redact::Channel channel, std::string& body,
                 const std::shared_ptr<platform::Responder>& responder) {
  const terminal::nexo::Context context{
      .hasher = platform::hasher(),
      .received_at = platform::now().utc,
      .currency_of = [&intake](std::string_view terminal_id) { return intake.currency_of(terminal_id); }};
  auto message = terminal::nexo::read_message(body, context);
  redact::wipe(body);
  if (!message) return refuse(intake, *responder, terminal::to_http(std::move(message.error())));
  const auto answers = std::make_shared<NexoAnswers>();
  answers->notification = message->notification;
  answers->given.resize(message->drafts.size());
  if (message->drafts.empty()) {
    intake.on_ignored();
    return responder->send(to_response(answers->to_http()));
  }
  for (std::size_t i = 0; i < message->drafts.size(); ++i) {
    intake.submit(std::move(message->drafts[i]), channel, [answers, i, responder](terminal::Answer answer) {
      answers->given[i] = std::move(answer);
      if (answers->complete()) responder->send(to_response(answers->to_http()));
    });
  }
}

}  // namespace

platform::HttpHandler terminal_routes(Intake& intake) {
  return [&intake](platform::HttpRequest request, std::shared_ptr<platform::Responder> responder) {
    auto route = terminal::route(request.method, request.path, request.content_type);
    if (auto* answer = std::get_if<terminal::HttpAnswer>(&route)) return refuse(intake, *responder, std::move(*answer));
    const redact::Channel channel{.tls = request.tls, .peer_is_loopback = request.peer_is_loopback};
    switch (std::get<terminal::Submission>(route)) {
      case terminal::Submission::event:
        return submit_event(intake, channel, request.body, std::move(responder));
      case terminal::Submission::batch:
        return submit_batch(intake, channel, request.body, responder);
      case terminal::Submission::nexo:
        return submit_nexo(intake, channel, request.body, responder);
    }
  };
}

std::size_t terminal_body_bytes_max(std::string_view /*method*/, std::string_view path) {
  return terminal::body_bytes_max(path);
}

}  // namespace net
