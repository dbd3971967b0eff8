// What a salvage says in the stream of a damaged journal, and how it knows an event again: the journal itself does not
// know what a record says.
#pragma once

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "proto/base/random.hpp"

namespace app {

// Everything that the journal asks of others. Both must outlive it.
[[nodiscard]] sqlite::JournalNeeds journal_needs(const base::Hasher& hasher, base::Random& random);

}  // namespace app
