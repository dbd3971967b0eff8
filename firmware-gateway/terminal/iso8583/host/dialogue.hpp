// HostDialogue: a terminal that reports by ISO 8583, on one connection: frames in, the host's answers out.
#pragma once

#include <memory>

#include "firmware-gateway/terminal/dialogue.hpp"
#include "firmware-gateway/terminal/iso8583/framing.hpp"
#include "firmware-gateway/terminal/iso8583/host/host.hpp"

namespace iso8583 {

// What the dialogues of one door have met, since start.
struct HostCounts {
  std::uint64_t messages = 0;
  std::uint64_t said_at_once = 0;  // network management, requests for approval, what moves nothing
  std::uint64_t rejected = 0;      // answered "format error"
  std::uint64_t ignored = 0;       // responses
  std::uint64_t hung_up = 0;       // nobody could be answered, or a frame that is none
};

class HostDialogue final : public terminal::Dialogue {
 public:
  HostDialogue(std::shared_ptr<const Dialect> dialect, std::shared_ptr<HostCounts> counts);

  void add(std::string_view bytes) override { cutter_.append(bytes); }
  [[nodiscard]] Step take(terminal::Exchange& exchange) override;
  [[nodiscard]] bool amid_request() const override { return cutter_.amid_frame(); }

 private:
  [[nodiscard]] Step take(const Frame& frame, terminal::Exchange& exchange);
  [[nodiscard]] Step hang_up();

  std::shared_ptr<const Dialect> dialect_;
  std::shared_ptr<HostCounts> counts_;
  FrameCutter cutter_;
};

}  // namespace iso8583
