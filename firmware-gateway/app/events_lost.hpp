// The record that stands for rows that a damaged journal has lost.
#pragma once

#include "firmware-gateway/journal/salvage_plan.hpp"
#include "proto/base/random.hpp"

namespace app {

// `random` must outlive the maker, which is used on one thread.
[[nodiscard]] journal::NoticeMaker events_lost_notice(base::Random& random);

}  // namespace app
