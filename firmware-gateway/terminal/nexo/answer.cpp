#include <fmt/format.h>

#include <algorithm>

#include "firmware-gateway/terminal/nexo/message.hpp"

namespace terminal::nexo {
namespace {

// What Adyen's webhook looks for.
constexpr std::string_view accepted = "[accepted]";
constexpr std::string_view not_for_us =
    "not for this gateway, which keeps results, totals and notifications; nothing was stored";

// The one that decides: cannot store now, before anything that no repeat can mend.
const Answer* first_refused(const std::vector<Answer>& answers) {
  const auto busy = std::ranges::find_if(answers, [](const Answer& answer) { return status_of(answer) == 503; });
  if (busy != answers.end()) return &*busy;
  const auto refused = std::ranges::find_if(answers, [](const Answer& answer) { return status_of(answer) >= 400; });
  return refused == answers.end() ? nullptr : &*refused;
}

}  // namespace

HttpAnswer to_http(bool notification, const std::vector<Answer>& answers) {
  if (const Answer* const refused = first_refused(answers)) return terminal::to_http(*refused);
  if (notification)
    return {.status = 200, .content_type = "text/plain; charset=utf-8", .body = std::string(accepted), .headers = {}};
  std::vector<std::string> events;
  events.reserve(answers.size());
  for (const Answer& answer : answers) events.push_back(to_json(answer));
  const std::string note = answers.empty() ? fmt::format(R"(,"note":"{}")", not_for_us) : std::string();
  return {.status = 200,
          .content_type = "application/json",
          .body = fmt::format(R"({{"answer":"{}","events":[{}]{}}})", accepted, fmt::join(events, ","), note),
          .headers = {}};
}

}  // namespace terminal::nexo
