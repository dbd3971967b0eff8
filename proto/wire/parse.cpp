#include "proto/wire/parse.hpp"

#include <google/protobuf/stubs/logging.h>

#include <limits>

namespace wire {

bool parse(google::protobuf::MessageLite& message, base::BytesView bytes) {
  [[maybe_unused]] static const auto before = google::protobuf::SetLogHandler(nullptr);
  return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace wire
