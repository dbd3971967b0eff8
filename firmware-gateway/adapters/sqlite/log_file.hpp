// A log's file, looked at before SQLite opens it: see log_verdict.hpp.
#pragma once

#include <filesystem>

#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"

namespace sqlite {

// "" also of a log that is not there or cannot be read: SQLite says the rest. Nobody may have it open.
[[nodiscard]] LogDamage judge_log_file(const std::filesystem::path& log);

}  // namespace sqlite
