#include "cloud-bridge/adapters/rdkafka/schema_registry.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <limits>
#include <optional>

#include "proto/base/json_object.hpp"
#include "proto/platform/http_client.hpp"
#include "proto/platform/private_file.hpp"
#include "proto/wire/event_schema.hpp"

namespace kafka {
namespace {

constexpr std::size_t kAnswerBytesMax = 1024 * 1024;
constexpr std::size_t kReasonBytesMax = 300;

std::string request_body() {
  std::string body;
  base::JsonObject json(body);
  json.text("schemaType", "PROTOBUF");
  json.text("schema", wire::event_schema());
  json.end();
  return body;
}

std::optional<boost::json::object> object_of(std::string_view body) {
  boost::system::error_code error;
  auto value = boost::json::parse(body, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::optional<std::uint32_t> schema_id_of(std::string_view body) {
  const auto answer = object_of(body);
  const auto* id = answer ? answer->if_contains("id") : nullptr;
  if (id == nullptr || !id->is_int64() || id->as_int64() < 0 ||
      id->as_int64() > std::numeric_limits<std::uint32_t>::max())
    return std::nullopt;
  return static_cast<std::uint32_t>(id->as_int64());
}

// What the registry says of it, on one line.
std::string words_of(const platform::HttpAnswer& answer) {
  const auto object = object_of(answer.body);
  const auto* message = object ? object->if_contains("message") : nullptr;
  std::string words(message != nullptr && message->is_string() ? std::string_view(message->as_string()) : answer.body);
  words.resize(std::min(words.size(), kReasonBytesMax));
  for (char& c : words) c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return words;
}

// An overloaded registry, or one whose own store is down, is worth waiting for.
bool may_pass(unsigned status) { return status >= 500 || status == 408 || status == 429; }

}  // namespace

RegistryAnswer register_event_schema(const RegistrySettings& settings) {
  platform::HttpClientSettings client{.timeout = settings.limit,
                                      .ca = settings.ca,
                                      .username = settings.username,
                                      .content_type = "application/vnd.schemaregistry.v1+json",
                                      .max_body_bytes = kAnswerBytesMax};
  if (!settings.password_file.empty()) {
    auto password = platform::read_secret(settings.password_file);
    if (!password)
      return RegistryRefuses{
          fmt::format("stream.kafka.registry.password_file: cannot read {}", settings.password_file)};
    client.password = *std::move(password);
  }
  const std::string subject = settings.topic + "-value";
  const auto answer = platform::http_request("POST", fmt::format("{}/subjects/{}/versions", settings.url, subject),
                                             request_body(), client);
  if (!answer) return RegistryUnreachable{"the schema registry: " + answer.error()};
  const auto says = [&](std::string_view remedy) {
    return fmt::format("the schema registry at {} answers {} to subject {}: {}{}", settings.url, answer->status,
                       subject, words_of(*answer), remedy);
  };
  if (may_pass(answer->status)) return RegistryUnreachable{says("")};
  if (answer->status == 404) return RegistryRefuses{says("; stream.kafka.registry.url must be its Confluent API's")};
  if (answer->status == 409)
    return RegistryRefuses{says("; another schema is registered there, which event.proto does not follow")};
  if (answer->status != 200) return RegistryRefuses{says("")};
  const auto id = schema_id_of(answer->body);
  if (!id) return RegistryRefuses{says("; expected: {\"id\": NUMBER}")};
  return Registered{*id};
}

}  // namespace kafka
