#include "proto/platform/lobby.hpp"

namespace platform {

namespace asio = boost::asio;

Origin origin_of(const asio::ip::address& address) {
  if (address.is_v4()) return asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes();
  const auto& v6 = address.to_v6();
  Origin origin = v6.to_bytes();
  // On a link everybody has the same network.
  if (!v6.is_v4_mapped() && !v6.is_link_local()) std::fill(origin.begin() + 8, origin.end(), 0);
  return origin;
}

}  // namespace platform
