// GatewayLine: the unix socket to the gateway, kept connected; Delivery decides what goes over it. Everything on the
// thread that runs the io_context.
//
// Card numbers go out here: only to a socket whose owner is this process' own user, or root.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "firmware-gateway/tap/delivery.hpp"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's
}

namespace tap {

class GatewayLine {
 public:
  struct Callbacks {
    // It is connected; or it is not, and why. Each time that it changes.
    std::function<void(const std::string& trouble)> on_line;
    std::function<void(const Refused& refused)> on_refused;
  };

  // `delivery` must outlive it.
  [[nodiscard]] static std::unique_ptr<GatewayLine> start(boost::asio::io_context& io, std::string socket,
                                                          Delivery& delivery, Callbacks callbacks);
  virtual ~GatewayLine() = default;

  // Something was put into the delivery.
  virtual void wake() = 0;
};

}  // namespace tap
