#include "tests/sim/story/messages.hpp"

#include <fmt/format.h>

namespace sim {

namespace v1 = tillstream::v1;

std::string brief(base::BytesView bytes) { return base::to_hex(bytes).substr(0, 8); }

std::string describe(const v1::Up& up) {
  if (up.has_hello()) {
    const v1::Hello& hello = up.hello();
    return fmt::format(
        "Hello epoch {}{} run {} next {}{}{}", brief(hello.epoch()), hello.new_epoch() ? " (new)" : "",
        brief(hello.run()), hello.next_seq(),
        hello.has_supersedes()
            ? fmt::format(" supersedes {}/{}", brief(hello.supersedes().epoch()), hello.supersedes().seq())
            : "",
        hello.has_lost()
            ? fmt::format(" lost {} {}..{}", hello.lost().reason(), hello.lost().first_seq(), hello.lost().last_seq())
            : "");
  }
  if (up.has_batch()) {
    const v1::Batch& batch = up.batch();
    return fmt::format("Batch epoch {} seq {}+{} run {}/{}{}", brief(batch.epoch()), batch.first_seq(),
                       batch.records().record_size(), brief(batch.run()), batch.run_index(),
                       batch.possible_repeat() ? " possible_repeat" : "");
  }
  return "Heartbeat";
}

std::string describe(const v1::Down& down) {
  if (down.has_owner()) return "Owner";
  const v1::Ack& ack = down.ack();
  std::string runs;
  for (const auto& run : ack.progress().runs()) runs += fmt::format(" {}:{}", brief(run.run()), run.count());
  return fmt::format("Ack {} epoch {} seq {}{}{}", v1::Ack::Reason_Name(ack.reason()), brief(ack.epoch()), ack.seq(),
                     ack.has_nonce() ? " (answer)" : "", runs);
}

}  // namespace sim
