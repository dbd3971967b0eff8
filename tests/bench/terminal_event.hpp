// The event that terminals submit in all rows: about 300 bytes of JSON.
#pragma once

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <string>
#include <string_view>

namespace bench {

inline const std::tm& day() {
  static const std::tm now = fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
  return now;
}

inline std::string json_event(std::string_view terminal, unsigned number) {
  return fmt::format(
      R"({{"type":"sale","terminal_id":"{}","terminal_ref":"{:08}","occurred_at":"{:%FT%TZ}","amount_minor":1250,)"
      R"("currency":"EUR","outcome":"approved","card_number":"4111111111111111","entry_mode":"contactless",)"
      R"("auth_code":"123456","rrn":"6327{:08}","till_id":"till-03","operator_id":"0042"}})",
      terminal, number, day(), number);
}

}  // namespace bench
