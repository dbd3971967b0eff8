// The admin port: health, readiness, metrics, status, an event's way, the journal's verify and export, and the local
// page.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/gateway/gateway.hpp"
#include "proto/platform/admin_access.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

// What the admin port asks of the gateway. Everything on the loop's thread; each callback exactly once.
class Desk {
 public:
  using Found = std::function<void(base::Result<std::vector<gateway::EventHistory>, journal::Error>)>;
  using Verified = std::function<void(base::Result<journal::VerifyStep, journal::Error>)>;
  using Exported = std::function<void(base::Result<std::vector<journal::StoredRow>, journal::Error>)>;

  virtual ~Desk() = default;
  [[nodiscard]] virtual status::Facts facts() const = 0;
  [[nodiscard]] virtual std::chrono::milliseconds unhealthy_after() const = 0;
  virtual void find_event(std::string terminal_id, std::string terminal_ref, Found found) = 0;
  virtual void verify_rows(handoff::Row from, Verified verified) = 0;
  virtual void read_rows(handoff::Row from, std::size_t max_rows, std::size_t max_bytes, Exported exported) = 0;
  // Epoch and seq that the row's terminal was told, and whether the row is in the stream.
  struct RowPlace {
    std::string epoch;
    std::uint64_t seq = 0;
    bool committed = false;
  };
  [[nodiscard]] virtual RowPlace place_of(handoff::Row row) const = 0;
};

// `desk` and `access` must outlive the server.
[[nodiscard]] platform::HttpHandler admin_routes(Desk& desk, const platform::AdminAccess& access);

}  // namespace net
