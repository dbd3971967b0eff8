// Admin: the routes of the admin port.
//
//   GET  /                            the live page (and /page.css, /page.js)
//   GET  /healthz  /readyz            200, or 503 with reasons
//   GET  /metrics                     Prometheus text
//   GET  /v1/status                   everything, as JSON
//   GET  /v1/events?from=POSITION     the stream as server-sent events; id = position
//   GET  /v1/events?last=N            the last N and what comes
//   POST /v1/gateways/ID/release      ends the quarantine of a gateway id
//
// Who may use it: proto/platform/admin_access.hpp. The page's files (they hold no data) and the bare verdict of
// /healthz and /readyz need no token. A POST must say "Content-Type: application/json", which no page of another origin
// can send without asking first. Everything happens on the loop thread.
#pragma once

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cloud-bridge/adapters/net/event_feed.hpp"
#include "cloud-bridge/status/snapshot.hpp"
#include "proto/platform/admin_access.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

// What the admin port asks of the bridge.
struct AdminSources {
  std::function<status::Snapshot()> snapshot;
  status::Limits limits;
  // Whether the quarantine of this gateway was ended: released, unknown, not_quarantined.
  std::function<std::string(const std::string& gateway_id)> release;
};

class Admin {
 public:
  // The feed must outlive it.
  Admin(AdminSources sources, EventFeed& feed, std::string token);

  void on_request(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder);
  void set_limits(status::Limits limits) { sources_.limits = limits; }
  void set_token(std::string token);

 private:
  void get(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder);
  void release(const platform::HttpRequest& request, platform::Responder& responder);
  void health(const platform::HttpRequest& request, platform::Responder& responder);
  void events(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder);
  void follow(std::string_view field, std::string_view text, const std::shared_ptr<platform::Responder>& responder);

  AdminSources sources_;
  EventFeed* feed_;
  platform::AdminAccess access_;
  bool has_token_ = false;
};

}  // namespace net
