// What the story of a run says about messages.
#pragma once

#include <string>

#include "proto/base/bytes.hpp"
#include "proto/wire/handoff.pb.h"

namespace sim {

[[nodiscard]] std::string brief(base::BytesView bytes);
[[nodiscard]] std::string describe(const tillstream::v1::Up& up);
[[nodiscard]] std::string describe(const tillstream::v1::Down& down);

}  // namespace sim
