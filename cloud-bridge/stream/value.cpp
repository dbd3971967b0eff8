#include "cloud-bridge/stream/value.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "proto/base/assert.hpp"
#include "proto/base/json_object.hpp"
#include "proto/wire/event_json.hpp"
#include "proto/wire/parse.hpp"

namespace stream {
namespace {

using tillstream::v1::Event;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kProtobuf = "application/protobuf";
constexpr char kFramed = 0;  // no message begins so: 0 is no field's tag
constexpr std::size_t kSchemaIdEnd = 5;
constexpr std::size_t kValueReserve = 1024;
constexpr std::size_t kContentTypeTold = 64;  // of a foreign one

std::string as_json(const Event& event) {
  std::string value;
  value.reserve(kValueReserve);
  base::JsonObject json(value);
  wire::append_event(json, event);
  json.end();
  return value;
}

base::Bytes as_protobuf(const Event& event, const base::Bytes& prefix) {
  base::Bytes value = prefix;
  google::protobuf::io::StringOutputStream out(&value);
  google::protobuf::io::CodedOutputStream coded(&out);
  coded.SetSerializationDeterministic(true);
  const bool written = event.SerializeToCodedStream(&coded);
  ASSERT(written);
  coded.Trim();
  return value;
}

// The message behind the framing; nullopt: another message than the file's first.
std::optional<base::BytesView> unframed(base::BytesView value) {
  if (value.empty() || value.front() != kFramed) return value;
  if (value.size() <= kSchemaIdEnd) return std::nullopt;
  value.remove_prefix(kSchemaIdEnd);
  // [0], in its short and in its long form.
  if (value.front() == 0) return value.substr(1);
  if (value.starts_with(base::BytesView("\x02\x00", 2))) return value.substr(2);
  return std::nullopt;
}

std::string foreign(std::string_view content_type) {
  const bool told =
      content_type.size() <= kContentTypeTold &&
      content_type.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_/;= ") ==
          std::string_view::npos;
  return fmt::format("{}; readable: {}, {}",
                     content_type.empty() ? "has no header content-type"
                     : told               ? fmt::format("is {}", content_type)
                                          : "has another content-type",
                     kJson, kProtobuf);
}

}  // namespace

base::Bytes registry_prefix(std::uint32_t schema_id) {
  base::Bytes prefix(1, kFramed);
  for (int shift = 24; shift >= 0; shift -= 8) prefix += static_cast<char>(schema_id >> shift & 0xffU);
  prefix += '\0';
  return prefix;
}

std::string_view content_type(Encoding encoding) { return encoding == Encoding::json ? kJson : kProtobuf; }

base::Bytes write_value(const Event& event, const ValueFormat& format) {
  return format.encoding == Encoding::json ? as_json(event) : as_protobuf(event, format.prefix);
}

std::expected<std::string, std::string> value_as_json(std::string_view content_type, base::BytesView value) {
  if (content_type == kJson) {
    // Passed on as it is: what does not even look like an object is not ours.
    if (value.starts_with('{') && value.ends_with('}')) return std::string(value);
    return std::unexpected(fmt::format("is {}, and no object", kJson));
  }
  if (content_type != kProtobuf) return std::unexpected(foreign(content_type));
  const auto message = unframed(value);
  Event event;
  if (!message || !wire::parse(event, *message))
    return std::unexpected(fmt::format("is {}, and no tillstream.v1.Event", kProtobuf));
  return as_json(event);
}

}  // namespace stream
