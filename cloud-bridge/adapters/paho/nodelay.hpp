// TCP_NODELAY for sockets that a library hides. Paho C 1.3.12 neither sets it nor gives its descriptor away, and
// without it an ack waits some 8 ms for the peer's delayed ACK.
#pragma once

#include <cstdint>

namespace paho {

// Sets TCP_NODELAY on every TCP socket of this process whose peer has this port; says on how many. One too many does no
// harm.
int set_nodelay_towards(std::uint16_t peer_port);

}  // namespace paho
