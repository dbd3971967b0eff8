// Any bytes as a gateway's record: decoded or refused, and what is decoded renders to JSON that a parser takes.
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>

#include "cloud-bridge/stream/dead_letter.hpp"
#include "cloud-bridge/stream/record.hpp"
#include "proto/base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::BytesView bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(stream::may_keep(bytes));
  const auto event = stream::decode_event(bytes);
  if (!event) {
    ASSERT(!stream::word(event.error()).empty());
    return 0;
  }
  const stream::Publication where{.gateway_id = "shop-0017",
                                  .epoch = {.bytes = {1, 2, 3}},
                                  .seq = handoff::Seq(UINT64_MAX),
                                  .published_at = base::UtcTime(),
                                  .possible_repeat = true};
  const stream::Record record = stream::render_event(*event, where);
  ASSERT(record == stream::render_event(*event, where));
  const auto value = boost::json::parse(record.value).as_object();
  ASSERT(value.at("event_id").as_string() == record.event_id);
  std::string headers;
  stream::append_headers_json(headers, record);
  ASSERT(boost::json::parse(headers).as_object().at("ce_id").as_string() == record.event_id);
  return 0;
}
