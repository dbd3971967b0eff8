#include "cloud-bridge/stream/notice.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <set>

#include "proto/platform/system.hpp"

namespace {

handoff::Epoch epoch(std::uint8_t fill) {
  handoff::Epoch epoch;
  epoch.bytes.fill(fill);
  return epoch;
}

base::UtcTime at(std::int64_t ms) { return base::UtcTime(std::chrono::milliseconds(1'764'000'000'000 + ms)); }

boost::json::object value_of(const stream::Record& record) { return boost::json::parse(record.value).as_object(); }

stream::EpochSwitch epoch_switch() {
  return {.gateway_id = "shop-1",
          .epoch = epoch(2),
          .superseded = handoff::Place{.epoch = epoch(1), .seq = handoff::Seq(100), .digest = {}},
          .lost = {.reason = "restored_image", .first = handoff::Seq(101), .last = handoff::Seq(120)},
          .published_at = at(0)};
}

}  // namespace

TEST_CASE("notice: events_lost names its range and the epochs around it, and has no seq") {
  const auto record = stream::events_lost_notice(epoch_switch(), platform::hasher());
  CHECK_FALSE(record.seq.has_value());
  CHECK(record.epoch.empty());
  CHECK(record.key == "shop-1/");
  CHECK(record.type == "notice");
  const auto value = value_of(record);
  CHECK(value.at("notice").as_string() == "events_lost");
  CHECK(value.at("source").as_string() == "bridge");
  CHECK(value.at("event_id").as_string() == record.event_id);
  CHECK(value.at("detail_reason").as_string() == "restored_image");
  CHECK(value.at("detail_first_seq").as_string() == "101");
  CHECK(value.at("detail_last_seq").as_string() == "120");
  CHECK(value.at("detail_epoch").as_string() == base::to_hex(epoch(1).view()));
  CHECK(value.at("detail_new_epoch").as_string() == base::to_hex(epoch(2).view()));
  CHECK_FALSE(value.contains("seq"));
  CHECK_FALSE(value.contains("epoch"));
  CHECK(value.at("received_at").as_string() == record.published_at);
}

TEST_CASE("notice: how many are lost is left out when nobody knows it") {
  auto change = epoch_switch();
  change.superseded.reset();
  change.lost.last = handoff::Seq(0);
  const auto value = value_of(stream::events_lost_notice(change, platform::hasher()));
  CHECK_FALSE(value.contains("detail_last_seq"));
  CHECK_FALSE(value.contains("detail_epoch"));
}

TEST_CASE("notice: the same fact has the same event_id whenever it is written, another fact another one") {
  const auto& hasher = platform::hasher();
  const auto first = stream::events_lost_notice(epoch_switch(), hasher);
  auto again = epoch_switch();
  again.published_at = at(5000);
  CHECK(stream::events_lost_notice(again, hasher).event_id == first.event_id);
  CHECK(first.event_id.size() == 36);
  CHECK(first.event_id[14] == '8');

  std::set<std::string> ids = {first.event_id};
  auto other = epoch_switch();
  other.gateway_id = "shop-2";
  ids.insert(stream::events_lost_notice(other, hasher).event_id);
  other = epoch_switch();
  other.epoch = epoch(3);
  ids.insert(stream::events_lost_notice(other, hasher).event_id);
  other = epoch_switch();
  other.superseded->seq = handoff::Seq(99);
  ids.insert(stream::events_lost_notice(other, hasher).event_id);
  other = epoch_switch();
  other.lost.last = handoff::Seq(121);
  ids.insert(stream::events_lost_notice(other, hasher).event_id);
  const handoff::Place place{.epoch = epoch(1), .seq = handoff::Seq(1), .digest = {}};
  ids.insert(stream::gateway_cloned_notice("shop-1", place, at(0), hasher).event_id);
  ids.insert(
      stream::gateway_cloned_notice("shop-1", {.epoch = epoch(2), .seq = handoff::Seq(1), .digest = {}}, at(0), hasher)
          .event_id);
  CHECK(ids.size() == 7);
}

TEST_CASE("notice: an unreadable record's place is taken, and none of its bytes are shown") {
  const std::string record = "\xff 4111 1111 1111 1111";
  const stream::Publication where{
      .gateway_id = "shop-1", .epoch = epoch(1), .seq = handoff::Seq(7), .published_at = at(0)};
  const auto notice =
      stream::event_unreadable_notice(where, stream::DecodeError::undecodable, record, platform::hasher());
  CHECK(notice.seq == 7);
  CHECK(notice.epoch == base::to_hex(epoch(1).view()));
  const auto value = value_of(notice);
  CHECK(value.at("notice").as_string() == "event_unreadable");
  CHECK(value.at("detail_reason").as_string() == "undecodable");
  CHECK(value.at("detail_digest").as_string() == base::to_hex(platform::hasher().sha256({record}).view()));
  CHECK(value.at("detail_bytes").as_string() == std::to_string(record.size()));
  CHECK(value.at("seq").as_int64() == 7);
  CHECK(notice.value.find("1111") == std::string::npos);
}
