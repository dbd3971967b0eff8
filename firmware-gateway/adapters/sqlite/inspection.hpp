// What `tillstream-gateway journal verify|salvage|export` does with the journal of a stopped gateway. A running one is
// asked through its admin port, and answers with Journal::verify() and read() steps on its own thread: each of these
// functions takes the folder's lock and is refused (in_use) while a gateway runs.
#pragma once

#include <filesystem>
#include <functional>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"

namespace sqlite {

// More problems than this are counted, not named.
inline constexpr std::size_t kProblemsMax = 100;

struct VerifyReport {
  std::uint64_t rows = 0;
  journal::Row oldest;
  journal::Row next;
  journal::Row acked;
  std::string gateway_id;
  std::vector<std::string> problems;
  std::uint64_t problems_total = 0;

  [[nodiscard]] bool sound() const { return problems_total == 0; }
};

// Reads everything (b-tree, catalog, every row's CRC) and changes nothing. An error: it could not even be looked at, or
// is of a newer schema. `gateway_id`: whose journal it should be.
[[nodiscard]] base::Result<VerifyReport, OpenError> verify(const std::filesystem::path& state_dir,
                                                           std::string_view gateway_id);

// Sets the journal aside, damaged or not, and makes a new one of what can be read. Refuses a newer schema and another
// gateway's journal, untouched.
[[nodiscard]] base::Result<Salvaged, OpenError> salvage(const std::filesystem::path& state_dir,
                                                        const JournalSettings& settings, const JournalNeeds& needs,
                                                        base::UtcTime now);

struct ExportedRow {
  journal::Row row;
  // As its terminal was told.
  handoff::Epoch epoch;
  handoff::Seq seq;
  // It is known to be in the stream.
  bool committed = false;
  base::BytesView record;  // valid during the call
};

// Gives every readable row in order; ends with an error at the first one that is not. Changes nothing.
[[nodiscard]] base::Result<std::uint64_t, OpenError> export_rows(const std::filesystem::path& state_dir,
                                                                 const std::function<void(const ExportedRow&)>& sink);

}  // namespace sqlite
