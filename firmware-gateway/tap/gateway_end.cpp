#include "firmware-gateway/tap/gateway_end.hpp"

#include <optional>
#include <utility>

namespace tap {

GatewayEnd::Next GatewayEnd::next() {
  const auto next = reader_.next();
  if (std::holds_alternative<terminal::FrameReader::NeedMore>(next)) return NeedMore{};
  const auto* const frame = std::get_if<terminal::FrameReader::Frame>(&next);
  auto up = frame == nullptr ? std::nullopt : read_up(frame->payload);
  if (!up) return Broken{};
  return std::visit([](auto& told) -> Next { return std::move(told); }, *up);
}

}  // namespace tap
