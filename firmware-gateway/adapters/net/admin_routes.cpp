#include "firmware-gateway/adapters/net/admin_routes.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "firmware-gateway/status/event_line.hpp"
#include "firmware-gateway/status/json.hpp"
#include "firmware-gateway/status/page.hpp"
#include "firmware-gateway/status/report.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"

namespace net {

namespace {

using platform::error_response;
using platform::HttpRequest;
using platform::HttpResponse;
using Responder = std::shared_ptr<platform::Responder>;

constexpr std::size_t export_rows = 256;
constexpr std::size_t export_bytes = 128 * 1024;
constexpr std::size_t bad_rows_named_max = 1'000;
constexpr std::array<std::string_view, 2> event_parameters = {"terminal_id", "terminal_ref"};

HttpResponse no_store(HttpResponse response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

HttpResponse page() {
  return {.status = 200,
          .content_type = "text/html; charset=utf-8",
          .body = std::string(status::local_page()),
          .headers = {{"Content-Security-Policy", std::string(status::local_page_policy)},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}}};
}

HttpResponse from(const status::Verdict& verdict) { return {.status = verdict.http_status, .body = verdict.json}; }

HttpResponse journal_unavailable(journal::Error error) {
  if (error == journal::Error::full) return error_response(503, "busy", "too many questions at once: ask again");
  return error_response(503, "storage", "the journal is not open: ask again");
}

std::string history_json(const gateway::EventHistory& event) {
  status::JsonObject json;
  json.text("event_id", base::uuid_text(event.event_id)).text("type", event.type);
  json.text("epoch", event.epoch).number("seq", event.seq);
  json.text("recorded_at", base::to_rfc3339(event.recorded_at));
  if (event.sent_at) json.text("sent_at", base::to_rfc3339(*event.sent_at));
  if (event.committed_at) json.text("committed_at", base::to_rfc3339(*event.committed_at));
  return json.str();
}

void find_event(Desk& desk, const HttpRequest& request, const Responder& responder) {
  const auto terminal_id = request.parameter("terminal_id");
  const auto terminal_ref = request.parameter("terminal_ref");
  if (!terminal_id || !terminal_ref || terminal_id->empty() || terminal_ref->empty()) {
    return responder->send(error_response(400, "invalid_field", "needed: ?terminal_id=…&terminal_ref=…"));
  }
  desk.find_event(std::string(*terminal_id), std::string(*terminal_ref), [responder](const auto& found) {
    if (!found) return responder->send(journal_unavailable(found.error()));
    if (found->empty()) return responder->send(error_response(404, "not_found", "no such event in this journal"));
    status::JsonArray events;
    for (const auto& event : *found) events.add(history_json(event));
    responder->send(no_store({.body = status::JsonObject().raw("events", events.str()).str() + "\n"}));
  });
}

// Step by step, so that intake goes on in between.
struct Verification : std::enable_shared_from_this<Verification> {
  Verification(Desk& the_desk, Responder the_responder) : desk(the_desk), responder(std::move(the_responder)) {}

  void step(handoff::Row from) {
    desk.verify_rows(from, [self = shared_from_this()](const auto& step) { self->on_step(step); });
  }
  void on_step(const base::Result<journal::VerifyStep, journal::Error>& step) {
    if (!step) return responder->send(journal_unavailable(step.error()));
    rows += step->rows;
    bad_total += step->bad.size();
    for (const handoff::Row row : step->bad) {
      if (bad.size() < bad_rows_named_max) bad.push_back(row.value());
    }
    if (step->next) return this->step(*step->next);
    status::JsonArray list;
    for (const std::uint64_t row : bad) list.add(std::to_string(row));
    status::JsonObject json;
    json.boolean("sound", bad_total == 0)
        .number("rows", rows)
        .number("bad_rows_total", bad_total)
        .raw("bad_rows", list.str());
    responder->send(no_store({.body = json.str() + "\n"}));
  }

  Desk& desk;
  Responder responder;
  std::uint64_t rows = 0;
  std::uint64_t bad_total = 0;
  std::vector<std::uint64_t> bad;
};

// Row after row, as fast as the reader takes them and no faster.
struct Export : std::enable_shared_from_this<Export> {
  Export(Desk& the_desk, std::shared_ptr<platform::EventStream> the_stream)
      : desk(the_desk), stream(std::move(the_stream)) {}

  void begin() {
    stream->on_closed([self = weak_from_this()] {
      if (const auto alive = self.lock()) alive->closed = true;
    });
    read();
  }
  void read() {
    desk.read_rows(next, export_rows, export_bytes,
                   [self = shared_from_this()](const auto& rows) { self->on_rows(rows); });
  }
  void on_rows(const base::Result<std::vector<journal::StoredRow>, journal::Error>& rows) {
    if (closed) return;
    // Without its last line the answer is not complete: {"complete":true}.
    if (!rows) return stream->close();
    if (rows->empty()) {
      static_cast<void>(
          stream->write(status::JsonObject().boolean("complete", true).number("rows", count).str() + "\n"));
      return stream->close();
    }
    text.clear();
    for (const auto& row : *rows) {
      const Desk::RowPlace place = desk.place_of(row.row);
      text += status::event_line(
          {.row = row.row.value(), .epoch = place.epoch, .seq = place.seq, .committed = place.committed}, row.record);
    }
    count += rows->size();
    next = rows->back().row.next();
    write();
  }
  void write() {
    if (closed) return;
    if (stream->write(text)) return read();
    stream->on_drained([self = shared_from_this()] { self->write(); });
  }

  Desk& desk;
  std::shared_ptr<platform::EventStream> stream;
  handoff::Row next{1};
  std::uint64_t count = 0;
  std::string text;
  bool closed = false;
};

void post_journal(Desk& desk, const HttpRequest& request, const Responder& responder) {
  if (request.method != "POST") {
    HttpResponse answer = error_response(405, "method_not_allowed", "needed: POST");
    answer.headers.emplace_back("Allow", "POST");
    return responder->send(std::move(answer));
  }
  if (request.path == "/v1/journal/verify") {
    std::make_shared<Verification>(desk, responder)->step(handoff::Row(1));
  } else {
    std::make_shared<Export>(desk, responder->stream("application/x-ndjson"))->begin();
  }
}

// Which parameters a path under /v1 reads. Others leave a query alone: probes and scrapers put one there on their own.
std::optional<HttpResponse> refuse_query(const HttpRequest& request) {
  if (!request.path.starts_with("/v1/")) return std::nullopt;
  using Names = std::span<const std::string_view>;
  return platform::refuse_query(request, request.path == "/v1/events" ? Names(event_parameters) : Names());
}

std::optional<HttpResponse> get(Desk& desk, const std::string& path) {
  if (path == "/") return page();
  if (path == "/healthz")
    return no_store(from(status::verdict(status::unhealthy_reasons(desk.facts(), desk.unhealthy_after()))));
  if (path == "/readyz") return no_store(from(status::verdict(status::unready_reasons(desk.facts()))));
  if (path == "/v1/status") return no_store({.body = status::status_json(desk.facts())});
  if (path == "/metrics") {
    return no_store(
        {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = status::metrics_text(desk.facts())});
  }
  return std::nullopt;
}

}  // namespace

platform::HttpHandler admin_routes(Desk& desk, const platform::AdminAccess& access) {
  return [&desk, &access](const HttpRequest& request, const Responder& responder) {
    if (auto refusal = access.refuse(request)) return responder->send(std::move(*refusal));
    if (auto refusal = refuse_query(request)) return responder->send(std::move(*refusal));
    if (request.path == "/v1/journal/verify" || request.path == "/v1/journal/export")
      return post_journal(desk, request, responder);
    const bool known = request.path == "/v1/events" || get(desk, request.path).has_value();
    if (!known) {
      return responder->send(error_response(404, "not_found",
                                            "known: / /healthz /readyz /metrics /v1/status /v1/events, and POST "
                                            "/v1/journal/verify and /v1/journal/export"));
    }
    if (request.method != "GET") {
      HttpResponse answer = error_response(405, "method_not_allowed", "needed: GET");
      answer.headers.emplace_back("Allow", "GET, HEAD");
      return responder->send(std::move(answer));
    }
    if (request.path == "/v1/events") return find_event(desk, request, responder);
    responder->send(*get(desk, request.path));
  };
}

}  // namespace net
