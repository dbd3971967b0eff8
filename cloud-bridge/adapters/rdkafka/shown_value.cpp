#include "cloud-bridge/adapters/rdkafka/shown_value.hpp"

#include <string_view>

#include "cloud-bridge/stream/value.hpp"
#include "proto/base/json_object.hpp"

namespace kafka {
namespace {

// Of the last header of that name; empty without one.
std::string_view content_type_of(const rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  // Only reads, whatever its signature says.
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_header_get_last(headers, "content-type", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  return {static_cast<const char*>(value), size};
}

std::string unreadable(std::string_view reason, std::size_t bytes) {
  std::string text;
  base::JsonObject json(text);
  base::append_json_string(json.begin_member("unreadable"), reason);
  json.number("bytes", static_cast<std::uint64_t>(bytes));
  json.end();
  return text;
}

}  // namespace

std::string shown_value(const rd_kafka_message_t& message) {
  const std::string_view value(static_cast<const char*>(message.payload), message.len);
  auto shown = stream::value_as_json(content_type_of(message), value);
  return shown ? *std::move(shown) : unreadable(shown.error(), value.size());
}

}  // namespace kafka
