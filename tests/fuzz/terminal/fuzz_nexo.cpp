// The body of POST /v1/nexo, from the bytes to records and answer. The message is taken as it comes, and once more with
// a card number in place of each of its strings in turn: that number comes out nowhere.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/terminal/nexo/message.hpp"
#include "tests/fuzz/terminal/whole_way.hpp"

namespace {

constexpr std::string_view kNumber = "5555555555554444";
// Beyond them a message has nothing new to say, and each costs a run.
constexpr std::size_t kStringsMax = 48;

struct Followed {
  std::vector<tillstream::v1::Event> events;
  terminal::HttpAnswer answer;
};

Followed follow(std::string_view text) {
  const terminal::nexo::Context context{.hasher = platform::hasher(),
                                        .received_at = base::UtcTime(std::chrono::milliseconds(1764019431042)),
                                        .currency_of = [](std::string_view) { return std::string("EUR"); }};
  auto message = terminal::nexo::read_message(text, context);
  if (!message) return {.events = {}, .answer = terminal::to_http(message.error())};
  Followed followed;
  std::vector<terminal::Answer> answers;
  for (auto& draft : message->drafts) {
    auto cleared = fuzz::guard().clear(std::move(draft), {});
    if (!cleared) {
      answers.emplace_back(std::move(cleared.error()));
      continue;
    }
    answers.push_back(fuzz::record(*cleared));
    auto event = fuzz::recorder().record(*cleared, {.utc = context.received_at, .clock_synced = true});
    if (event) followed.events.push_back(std::move(*event));
  }
  followed.answer = terminal::nexo::to_http(message->notification, answers);
  // The first refusal of one event refuses the message.
  ASSERT((followed.answer.status == 200) == (followed.events.size() == answers.size()));
  return followed;
}

// Where the strings of a text stand, without their quotation marks; none with an escape in it.
std::vector<std::pair<std::size_t, std::size_t>> strings_of(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> strings;
  for (std::size_t begin = text.find('"'); begin != std::string_view::npos && strings.size() < kStringsMax;) {
    const std::size_t end = text.find_first_of("\"\\", begin + 1);
    if (end == std::string_view::npos || text[end] == '\\') break;
    strings.emplace_back(begin + 1, end);
    begin = text.find('"', end + 1);
  }
  return strings;
}

void check_hidden(const Followed& followed) {
  ASSERT(followed.answer.body.find(kNumber) == std::string::npos);
  for (const auto& event : followed.events) ASSERT(ingest::to_record(event).find(kNumber) == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  follow(text);
  if (text.find(kNumber) != std::string_view::npos) return 0;
  for (const auto& [begin, end] : strings_of(text)) {
    std::string changed(text);
    changed.replace(begin, end - begin, kNumber);
    check_hidden(follow(changed));
  }
  return 0;
}
