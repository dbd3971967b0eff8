// Builders of what goes into a transaction.
#pragma once

#include <string>

#include "cloud-bridge/stream/stream.hpp"

namespace test {

inline std::string epoch_hex(int n) {
  return std::string(30, 'e') + static_cast<char>('0' + n / 10) + static_cast<char>('0' + n % 10);
}

inline stream::Record record(const std::string& gateway, int epoch, std::uint64_t seq) {
  stream::Record record;
  record.event_id = gateway + "-" + std::to_string(epoch) + "-" + std::to_string(seq);
  record.gateway_id = gateway;
  record.epoch = epoch_hex(epoch);
  record.seq = seq;
  record.key = gateway + "/till-1";
  record.type = "sale";
  record.occurred_at = "2026-11-24T12:00:00.000Z";
  record.received_at = "2026-11-24T12:00:00.001Z";
  record.published_at = "2026-11-24T12:00:00.002Z";
  record.value = R"({"schema_version":1,"seq":)" + std::to_string(seq) + "}";
  return record;
}

inline stream::Record bridge_notice(const std::string& gateway, const std::string& id) {
  stream::Record notice = record(gateway, 0, 0);
  notice.event_id = id;
  notice.epoch.clear();
  notice.seq.reset();
  notice.key = gateway + "/";
  notice.type = "notice";
  return notice;
}

inline tillstream::v1::Progress progress(const std::string& gateway, int epoch, std::uint64_t seq) {
  tillstream::v1::Progress progress;
  progress.set_gateway_id(gateway);
  progress.set_epoch(std::string(15, '\0') + static_cast<char>(epoch));
  progress.set_seq(seq);
  progress.set_digest(std::string(32, static_cast<char>(seq)));
  auto* run = progress.add_runs();
  run->set_run(std::string(16, 'r'));
  run->set_count(seq);
  return progress;
}

// Events first to last of one gateway, with the progress that they make.
inline stream::Transaction transaction(const std::string& gateway, int epoch, std::uint64_t first, std::uint64_t last) {
  stream::Transaction transaction;
  for (std::uint64_t seq = first; seq <= last; ++seq) transaction.records.push_back(record(gateway, epoch, seq));
  transaction.progress.push_back(progress(gateway, epoch, last));
  return transaction;
}

inline stream::DeadLetter dead_letter(const std::string& gateway, const std::string& epoch, const std::string& digest) {
  return {.gateway_id = gateway,
          .topic = "tillstream/v1/up/00/" + gateway,
          .reason = "undecodable",
          .detail = "",
          .epoch = epoch,
          .digest = digest,
          .at = base::UtcTime(std::chrono::milliseconds(1'800'000'000'000)),
          .size = 17,
          .payload = std::nullopt};
}

}  // namespace test
