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

std::string unreadable(std::string_view content_type, std::size_t bytes) {
  std::string text;
  base::JsonObject json(text);
  const bool utf8 = content_type.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-/;= ") == std::string::npos;
  base::append_json_string(json.begin_member("unreadable"), utf8 ? content_type : "");
  json.number("bytes", static_cast<std::uint64_t>(bytes));
  json.end();
  return text;
}

}  // namespace

std::string shown_value(const rd_kafka_message_t& message) {
  const std::string_view value(static_cast<const char*>(message.payload), message.len);
  const std::string_view content_type = content_type_of(message);
  auto shown = stream::value_as_json(content_type, value);
  // JSON is passed on as it is: what does not even look like an object is not ours.
  if (!shown || !shown->starts_with('{') || !shown->ends_with('}')) return unreadable(content_type, value.size());
  return *std::move(shown);
}

}  // namespace kafka
