// A log's file, looked at before SQLite opens it: see log_verdict.hpp.
#pragma once

#include <filesystem>

#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"

namespace sqlite {

// "" also of a log that is not there or cannot be read: SQLite says the rest. `header` stands in the place of its own,
// unless it is "". Nobody may have it open.
[[nodiscard]] LogDamage judge_log_file(const std::filesystem::path& log, const base::Bytes& header = {});

// "": the header is sound, or cannot be made anew.
[[nodiscard]] base::Bytes restored_log_header(const std::filesystem::path& log, std::uint32_t page_bytes);

}  // namespace sqlite
