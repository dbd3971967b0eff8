// Resolver: host name to addresses, without ever blocking the caller. getaddrinfo() can hang for half a minute and
// cannot be cancelled, so it runs on a thread of its own, which is left alone when nobody waits for it any more.
//
// At most one lookup runs at a time a name: asking again while it hangs joins it. One thread owns a Resolver.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/adapters/mosquitto/wakeup.hpp"

namespace mqtt {

struct Resolved {
  // Numeric, in the order of preference; empty: see error.
  std::vector<std::string> addresses;
  std::string error;
};

class Resolver {
 public:
  // `wakeup` is signalled when an answer is there.
  explicit Resolver(std::shared_ptr<Wakeup> wakeup) : wakeup_(std::move(wakeup)) {}

  void start(const std::string& host, std::uint16_t port);
  // The answer to the last start(), once.
  [[nodiscard]] std::optional<Resolved> take();
  // A lookup that was given up still hangs in the system's resolver.
  [[nodiscard]] bool busy() const;

 private:
  struct Lookup;
  std::shared_ptr<Wakeup> wakeup_;
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace mqtt
