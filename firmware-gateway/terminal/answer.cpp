#include "firmware-gateway/terminal/answer.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace terminal {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

// Messages are our own words, but a quotation mark among them must not break the answer.
std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(json), "\\u{:04x}", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + '"';
}

std::string body(const Stored& stored) {
  return fmt::format(R"("event_id":{},"epoch":{},"seq":{},"duplicate":{})", quoted(stored.event_id),
                     quoted(stored.epoch), stored.seq, stored.duplicate);
}

std::string body(const Refusal& refusal) {
  std::string json = fmt::format(R"("error":{{"code":{})", quoted(word(refusal.reason)));
  if (!refusal.field.empty()) json += fmt::format(R"(,"field":{})", quoted(refusal.field));
  return json + fmt::format(R"(,"message":{}}})", quoted(refusal.message));
}

}  // namespace

unsigned status_of(const Answer& answer) {
  return std::visit(Overloaded{[](const Stored& stored) { return stored.duplicate ? 200U : 201U; },
                               [](const Refusal& refusal) { return redact::status_of(refusal.reason); }},
                    answer);
}

std::string to_json(const Answer& answer, bool with_status) {
  const std::string fields = std::visit([](const auto& kind) { return body(kind); }, answer);
  return with_status ? fmt::format(R"({{"status":{},{}}})", status_of(answer), fields) : fmt::format("{{{}}}", fields);
}

}  // namespace terminal
