#include "cloud-bridge/adapters/net/admin.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "cloud-bridge/adapters/net/page.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/log.hpp"

namespace net {

namespace {

constexpr std::string_view release_prefix = "/v1/gateways/";
constexpr std::string_view release_suffix = "/release";

platform::HttpResponse page_response(const PageFile& file) {
  return {.status = 200,
          .content_type = std::string(file.content_type),
          .body = std::string(file.content),
          .headers = {{"Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}}};
}

constexpr std::size_t back_max = 1000;
constexpr std::array<std::string_view, 2> event_parameters = {"from", "last"};

std::optional<std::size_t> to_back(std::string_view text) {
  std::size_t back = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), back);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size() || back > back_max) return std::nullopt;
  return back;
}

// The one method that a path takes; empty: nothing is there.
std::string_view method_of(std::string_view path) {
  if (path == "/healthz" || path == "/readyz" || path == "/metrics" || path == "/v1/status" || path == "/v1/events" ||
      page_file(path))
    return "GET";
  const bool release = path.starts_with(release_prefix) && path.ends_with(release_suffix) &&
                       path.size() > release_prefix.size() + release_suffix.size();
  return release ? "POST" : "";
}

}  // namespace

Admin::Admin(AdminSources sources, EventFeed& feed, std::string token)
    : sources_(std::move(sources)), feed_(&feed), access_("") {
  set_token(std::move(token));
}

void Admin::set_token(std::string token) {
  has_token_ = !token.empty();
  access_ = platform::AdminAccess(std::move(token));
}

void Admin::on_request(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
  const bool page = has_token_ && page_file(request.path);
  const bool verdict = request.path == "/healthz" || request.path == "/readyz";
  const bool open = request.method == "GET" && (page || verdict);
  if (auto refusal = access_.refuse(request); refusal && !open) {
    platform::log::limited("admin.refused", platform::log::Level::warn, "admin port: refused a request (status {})",
                           refusal->status);
    return responder->send(std::move(*refusal));
  }
  const std::string_view method = method_of(request.path);
  if (method.empty()) return responder->send(platform::error_response(404, "not_found", "nothing is here"));
  if (request.method != method) {
    auto refusal = platform::error_response(405, "method_not_allowed", fmt::format("allowed here: {}", method));
    refusal.headers.emplace_back("Allow", method);
    return responder->send(std::move(refusal));
  }
  method == "GET" ? get(request, responder) : release(request, *responder);
}

void Admin::get(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
  if (const auto file = page_file(request.path)) return responder->send(page_response(*file));
  if (request.path == "/healthz" || request.path == "/readyz") return health(request, *responder);
  if (request.path == "/v1/events") return events(request, responder);
  if (request.path == "/v1/status") {
    if (auto refusal = platform::refuse_query(request, {})) return responder->send(std::move(*refusal));
    return responder->send({.status = 200, .body = status::to_json(sources_.snapshot(), sources_.limits) + "\n"});
  }
  ASSERT(request.path == "/metrics");
  responder->send({.status = 200,
                   .content_type = "text/plain; version=0.0.4; charset=utf-8",
                   .body = status::to_metrics(sources_.snapshot(), sources_.limits)});
}

void Admin::health(const platform::HttpRequest& request, platform::Responder& responder) {
  const status::Snapshot snapshot = sources_.snapshot();
  const auto reasons = request.path == "/readyz" ? status::unreadiness(snapshot, sources_.limits)
                                                 : status::ill_health(snapshot, sources_.limits);
  const bool may_see = !access_.refuse(request);
  responder.send({.status = reasons.empty() ? 200U : 503U,
                  .body = may_see ? status::health_json(reasons) + "\n"
                                  : fmt::format(R"({{"status":"{}"}})", reasons.empty() ? "ok" : "unhealthy") + "\n"});
}

void Admin::events(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
  if (feed_->full()) {
    auto refusal = platform::error_response(503, "too_many_readers", "the limit of readers is reached");
    refusal.headers.emplace_back("Retry-After", "5");
    // Else readers that are turned away would hold the connections that health and metrics need.
    refusal.headers.emplace_back("Connection", "close");
    return responder->send(std::move(refusal));
  }
  if (auto refusal = platform::refuse_query(request, event_parameters)) return responder->send(std::move(*refusal));
  const auto from = request.parameter("from");
  const auto last = request.parameter("last");
  if (from && last) {
    return responder->send(platform::error_response(400, "invalid_field", "from and last are given; allowed: one"));
  }
  if (!request.last_event_id.empty()) return follow("Last-Event-ID", request.last_event_id, responder);
  if (from) return follow("from", *from, responder);
  const auto back = to_back(last.value_or("0"));
  if (!back) {
    return responder->send(platform::error_response(
        400, "invalid_field", fmt::format("last is no number of records: a number from 0 to {}", back_max)));
  }
  feed_->open_at_end(responder, *back);
}

void Admin::follow(std::string_view field, std::string_view text,
                   const std::shared_ptr<platform::Responder>& responder) {
  const auto refuse = [field = std::string(field)](const std::string& reason) {
    return platform::error_response(400, "invalid_field", fmt::format("{} is no position: {}", field, reason));
  };
  const auto place = feed_->parse(text, field == "from" ? stream::Bound::from : stream::Bound::after);
  if (!place) return responder->send(refuse(place.error()));
  feed_->open(responder, *place, refuse);
}

void Admin::release(const platform::HttpRequest& request, platform::Responder& responder) {
  const std::string_view path = request.path;
  if (!request.content_type.starts_with("application/json")) {
    return responder.send(platform::error_response(415, "unsupported_media_type", "allowed: application/json"));
  }
  const std::string id(path.substr(release_prefix.size(), path.size() - release_prefix.size() - release_suffix.size()));
  const std::string outcome = sources_.release(id);
  if (outcome == "unknown") return responder.send(platform::error_response(404, outcome, "no such gateway here"));
  if (outcome == "not_quarantined")
    return responder.send(platform::error_response(409, outcome, "this gateway is not in quarantine"));
  responder.send({.status = 200,
                  .body = R"({"outcome":"released"})"
                          "\n"});
}

}  // namespace net
