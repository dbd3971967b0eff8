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
  if (auto* const copy = std::get_if<Copy>(&*up)) return std::move(*copy);
  return std::get<ToldLoss>(*up);
}

}  // namespace tap
