#pragma once

#include <string_view>

namespace app {

inline constexpr std::string_view version = TILLSTREAM_VERSION;

}  // namespace app
