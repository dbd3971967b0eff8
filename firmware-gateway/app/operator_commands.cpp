// Commands for the operator, beside `run`. On a stopped gateway they work on its folder, on a running one through its
// admin port.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "firmware-gateway/adapters/sqlite/inspection.hpp"
#include "firmware-gateway/app/program.hpp"
#include "firmware-gateway/app/salvage_notices.hpp"
#include "firmware-gateway/status/event_line.hpp"
#include "firmware-gateway/status/json.hpp"
#include "proto/platform/http_client.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/system.hpp"

namespace app {

namespace {

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
int failed(std::string_view text) {
  fmt::print(stderr, "tillstream-gateway: {}\n", text);
  return exit_failed;
}

// Where this machine reaches the admin port.
std::string admin_url(const config::Config& config, std::string_view path) {
  auto address = platform::parse_listen_address(config.admin.listen.address);
  if (!address) return {};
  if (address->host == "0.0.0.0") address->host = "127.0.0.1";
  if (address->host == "::") address->host = "::1";
  return fmt::format("{}://{}{}", config.admin.listen.tls ? "https" : "http", address->text(), path);
}

int ask_admin(const config::Config& config, std::string_view method, std::string_view path,
              const platform::HttpChunk& on_chunk) {
  if (config.admin.listen.address.ends_with(":0")) {
    return failed("admin.listen has port 0: the running gateway's real port is in its log; ask it there");
  }
  platform::HttpClientSettings settings;
  settings.token = config.admin.token;
  if (config.admin.listen.tls) settings.ca = config.admin.listen.tls->certificate;
  const auto answer = platform::http_request(method, admin_url(config, path), {}, settings, on_chunk);
  if (!answer) return failed(fmt::format("{}; is the gateway running?", answer.error()));
  print(answer->body);
  return answer->status == 200 ? exit_done : exit_failed;
}

sqlite::JournalSettings journal_settings(const config::Config& config) {
  return {.gateway_id = config.gateway_id,
          .limits = {.quota_bytes = config.journal.quota, .reserve_bytes = config.journal.reserve},
          .retention = config.journal.retention,
          .vfs = {}};
}

bool runs(const sqlite::OpenError& error) { return error.fault == sqlite::OpenFault::in_use; }

std::string report_json(const sqlite::VerifyReport& report) {
  status::JsonArray problems;
  for (const auto& problem : report.problems) problems.add(status::json_text(problem));
  status::JsonObject json;
  json.boolean("sound", report.sound()).number("rows", report.rows).text("gateway_id", report.gateway_id);
  json.number("oldest_row", report.oldest.value()).number("next_row", report.next.value());
  json.number("acked_row", report.acked.value()).number("problems_total", report.problems_total);
  return json.raw("problems", problems.str()).str() + "\n";
}

}  // namespace

int status(const config::Config& config) { return ask_admin(config, "GET", "/v1/status", {}); }

int journal_verify(const config::Config& config) {
  const auto report = sqlite::verify(config.state_dir, config.gateway_id);
  if (report) {
    print(report_json(*report));
    return report->sound() ? exit_done : exit_failed;
  }
  if (!runs(report.error())) return failed(report.error().detail);
  // The answer of a running gateway is small: what it says of itself decides the exit status.
  std::string text;
  const int asked = ask_admin(config, "POST", "/v1/journal/verify", [&](std::string_view bytes) {
    text += bytes;
    return true;
  });
  print(text);
  return asked == exit_done && text.find("\"sound\":true") != std::string::npos ? exit_done : exit_failed;
}

int journal_salvage(const config::Config& config) {
  // Salvaging locks the folder, and would make one for that.
  if (std::error_code ignored; !std::filesystem::exists(config.state_dir, ignored)) {
    return failed(fmt::format("{}: no such folder; is gateway.state_dir right?", config.state_dir));
  }
  const auto random = platform::make_random();
  const sqlite::JournalNeeds needs = journal_needs(platform::hasher(), *random);
  const auto salvaged = sqlite::salvage(config.state_dir, journal_settings(config), needs, platform::now().utc);
  if (!salvaged && runs(salvaged.error())) {
    return failed("the gateway is running: stop it first (a running one salvages a damaged journal by itself)");
  }
  if (!salvaged) return failed(salvaged.error().detail);
  status::JsonObject json;
  json.number("rows_kept", salvaged->rows_kept).number("holes", salvaged->holes).text("set_aside", salvaged->set_aside);
  json.boolean("history_dropped", salvaged->history_dropped).boolean("hash_key_lost", salvaged->hash_key_lost);
  json.number("events_forgotten", salvaged->forgotten);
  print(json.str() + "\n");
  return exit_done;
}

int journal_export(const config::Config& config) {
  const auto count = sqlite::export_rows(config.state_dir, [](const sqlite::ExportedRow& row) {
    print(status::event_line({.row = row.row.value(),
                              .epoch = base::to_hex(row.epoch.view()),
                              .seq = row.seq.value(),
                              .committed = row.committed},
                             row.record));
  });
  if (count) {
    print(status::JsonObject().boolean("complete", true).number("rows", *count).str() + "\n");
    return exit_done;
  }
  if (!runs(count.error())) return failed(count.error().detail);
  // Without its last line an export is not whole.
  std::string tail;
  const int asked = ask_admin(config, "POST", "/v1/journal/export", [&](std::string_view bytes) {
    print(bytes);
    tail.append(bytes.substr(bytes.size() > 64 ? bytes.size() - 64 : 0));
    if (tail.size() > 128) tail.erase(0, tail.size() - 128);
    return true;
  });
  if (asked != exit_done) return asked;
  return tail.find("{\"complete\":true") != std::string::npos ? exit_done : failed("the export ended early");
}

}  // namespace app
