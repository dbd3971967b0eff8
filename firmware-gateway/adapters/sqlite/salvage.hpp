// Making a journal where there is none, and saving what can be saved of a damaged one.
//
//   journal.db ──name in journal.salvaging──▶ rename ──▶ read what can be read ──▶ journal.new.db ──rename──▶
//   journal.db
//
// Every step can be interrupted: what journal.salvaging says, and which files exist, tell where to go on. The damaged
// file is never changed.
#pragma once

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"

namespace sqlite {

// Ends an interrupted salvage, and makes a new journal when there is none. What it salvaged, if anything.
[[nodiscard]] base::Result<std::optional<Salvaged>, OpenError> ensure_journal(const StateFolder& folder,
                                                                              const JournalSettings& settings,
                                                                              const JournalNeeds& needs,
                                                                              base::UtcTime now);

// Sets the journal aside and makes a new one of what can be read. Nobody may have it open.
[[nodiscard]] base::Result<Salvaged, OpenError> salvage_journal(const StateFolder& folder,
                                                                const JournalSettings& settings,
                                                                const JournalNeeds& needs, base::UtcTime now,
                                                                const std::string& reason);

}  // namespace sqlite
