// GatewayEnd: the gateway's side of the tap's socket: frames in, what is asked for out. No I/O.
#pragma once

#include <variant>

#include "firmware-gateway/tap/copies.hpp"
#include "firmware-gateway/terminal/framed.hpp"

namespace tap {

class GatewayEnd {
 public:
  struct NeedMore {};
  // Nothing that comes after it can be understood: hang up.
  struct Broken {};
  using Next = std::variant<NeedMore, Copy, ToldLoss, ToldUnread, Broken>;

  void add(base::BytesView bytes) { reader_.add(bytes); }
  [[nodiscard]] Next next();

 private:
  terminal::FrameReader reader_;
};

}  // namespace tap
