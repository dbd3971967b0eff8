// A record's value: the event as flat JSON, or as the protobuf message it is (event.proto, with its place in it).
//
// Pure; the same event gives the same bytes, whatever the order of its maps.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "proto/base/bytes.hpp"
#include "proto/wire/event.pb.h"

namespace stream {

enum class Encoding : std::uint8_t { json, protobuf };

struct ValueFormat {
  Encoding encoding = Encoding::json;
  base::Bytes prefix = {};  // before each value: a schema registry's framing, or nothing
};

// What Confluent's serializers put before a protobuf value, so that a reader finds its schema: a zero byte, the
// schema's id in 4 bytes big-endian, and which message of the file it is (the first one: a zero byte).
[[nodiscard]] base::Bytes registry_prefix(std::uint32_t schema_id);

// The content type of a value; a registry's framing does not show in it.
[[nodiscard]] std::string_view content_type(Encoding encoding);

[[nodiscard]] base::Bytes write_value(const tillstream::v1::Event& event, const ValueFormat& format);
// A value as one JSON object, whatever its encoding and whichever schema id stands before it. The error says why it is
// none of ours: of foreign records anything may stand there, and what it says holds only a content type's plain
// letters.
[[nodiscard]] std::expected<std::string, std::string> value_as_json(std::string_view content_type,
                                                                    base::BytesView value);

}  // namespace stream
