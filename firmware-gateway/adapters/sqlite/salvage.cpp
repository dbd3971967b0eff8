#include "firmware-gateway/adapters/sqlite/salvage.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "firmware-gateway/adapters/sqlite/damaged_file.hpp"
#include "firmware-gateway/journal/crc32c.hpp"

namespace sqlite {
namespace {

namespace fs = std::filesystem;

// Rows a transaction while the new journal is filled.
constexpr std::uint64_t kFillRows = 2000;

OpenError folder_error(const StateFolder& folder) {
  return {OpenFault::storage, fmt::format("{}: {}", folder.path().string(), std::strerror(errno))};
}

// Writes the planned rows, a bounded transaction at a time.
class Fill {
 public:
  // `new_key`: rows are hashed anew.
  Fill(Database& database, DamagedFile& source, const JournalNeeds& needs, std::optional<journal::HashKey> new_key,
       std::string set_aside, base::UtcTime found_at)
      : database_(database),
        source_(source),
        needs_(needs),
        new_key_(new_key),
        set_aside_(std::move(set_aside)),
        found_at_(found_at),
        insert_(database, kInsertRowSql) {}

  int run(const journal::SalvagePlan& plan) {
    int status = database_.run("BEGIN IMMEDIATE");
    for (const journal::SalvageStep& step : plan.steps) {
      if (status == SQLITE_OK) status = std::visit([this](const auto& one) { return write(one); }, step);
    }
    return status == SQLITE_OK ? database_.run("COMMIT") : status;
  }

 private:
  int write(const journal::CopyStep& step) {
    journal::Row to = step.to;
    for (journal::Row row = step.rows.first; row <= step.rows.last; ++row, ++to) {
      const auto found = source_.row(row);
      // It was readable a moment ago; if it is no more, it is a loss like any other.
      const int status = found ? insert(to, key_hash(*found), found->record) : write_lost(row, to);
      if (status != SQLITE_OK) return status;
    }
    return SQLITE_OK;
  }

  [[nodiscard]] std::uint64_t key_hash(const FoundRow& found) const {
    if (!new_key_) return found.key_hash;
    const auto key = needs_.record_key(*new_key_, found.record);
    return key ? key->hash : 0;
  }

  int write_lost(journal::Row row, journal::Row to) {
    const journal::Loss loss{row, row, std::nullopt, std::nullopt, set_aside_, found_at_};
    return insert(to, 0, needs_.make_notice(loss));
  }

  // A notice has no duplicate: hash 0 is as good as any.
  int write(const journal::NoticeStep& step) { return insert(step.to, 0, needs_.make_notice(step.loss)); }
  int write(const journal::ForgottenStep& step) {
    return insert(step.to, 0, needs_.make_forgotten_notice(step.forgotten));
  }

  int insert(journal::Row row, std::uint64_t key_hash, const base::Bytes& record) {
    insert_.bind(1, row.value()).bind(2, key_hash);
    insert_.bind(3, static_cast<std::int64_t>(journal::row_crc(row.value(), key_hash, record)));
    const int status = insert_.bind(4, record).run();
    if (status != SQLITE_OK || ++in_transaction_ < kFillRows) return status;
    in_transaction_ = 0;
    return database_.run("COMMIT; BEGIN IMMEDIATE");
  }

  Database& database_;
  DamagedFile& source_;
  const JournalNeeds& needs_;
  std::optional<journal::HashKey> new_key_;
  std::string set_aside_;
  base::UtcTime found_at_;
  Statement insert_;
  std::uint64_t in_transaction_ = 0;
};

journal::SalvageIds fresh_ids(base::Random& random) {
  return {random.id<handoff::Epoch>(), random.id<handoff::Run>(), random.id<handoff::Run>(),
          random.id<base::Id<struct HashKeyTag>>().bytes};
}

// Rows that are looked at to find out whether a copy of the key is this journal's.
constexpr std::size_t kProofRows = 256;

template <class Each>
void each_row(DamagedFile& source, const std::vector<journal::RowRange>& ranges, std::size_t max, const Each& each) {
  for (const journal::RowRange& range : ranges) {
    for (journal::Row row = range.first; row <= range.last; ++row) {
      if (max-- == 0) return;
      if (const auto found = source.row(row)) each(*found);
    }
  }
}

// The copy belongs to another journal (an older file was put back) unless a row's hash was made with it.
std::optional<journal::HashKey> key_from_copy(const StateFolder& folder, DamagedFile& source,
                                              const std::vector<journal::RowRange>& rows, const JournalNeeds& needs) {
  const auto key = folder.hash_key();
  bool fits = false;
  if (!key) return std::nullopt;
  each_row(source, rows, kProofRows, [&](const FoundRow& row) {
    const auto made = needs.record_key(*key, row.record);
    fits = fits || (made && made->hash == row.key_hash);
  });
  return fits ? key : std::nullopt;
}

// Rows that no repeat would find under the new key.
std::uint64_t forgotten_with(const journal::HashKey& key, DamagedFile& source,
                             const std::vector<journal::RowRange>& rows, const JournalNeeds& needs) {
  std::uint64_t forgotten = 0;
  each_row(source, rows, std::numeric_limits<std::size_t>::max(), [&](const FoundRow& row) {
    const auto made = needs.record_key(key, row.record);
    if (!made || !made->lasting) ++forgotten;
  });
  return forgotten;
}

// Only what is not in the stream yet: for a disk that has no room for the history.
void drop_history(journal::Readable& readable) {
  if (!readable.catalog.acked) return;
  const journal::Row acked = readable.catalog.acked->row;
  std::erase_if(readable.rows, [acked](const journal::RowRange& rows) { return rows.last <= acked; });
  for (journal::RowRange& rows : readable.rows) rows.first = std::max(rows.first, acked.next());
}

base::Result<void, OpenError> build(const StateFolder& folder, const JournalSettings& settings,
                                    const journal::Catalog& catalog, const Filler& fill) {
  folder.remove_new_journal();
  return make_journal(folder.new_journal(), settings.vfs, catalog, fill, settings.page_bytes);
}

base::Result<Salvaged, OpenError> salvage_set_aside(const StateFolder& folder, const JournalSettings& settings,
                                                    const JournalNeeds& needs, base::UtcTime now,
                                                    const fs::path& set_aside, Salvaged salvaged) {
  needs.on_salvage(salvaged.reason);
  DamagedFile source(set_aside, settings.vfs);
  journal::Readable readable = source.examine();
  salvaged.set_aside = set_aside.filename().string();
  const auto& owner = readable.catalog.gateway_id;
  if (owner && *owner != settings.gateway_id) {
    if (!folder.rename(set_aside, folder.journal()) || !folder.set_salvaging(""))
      return base::fail(folder_error(folder));
    return base::fail(
        OpenError{OpenFault::foreign_gateway, fmt::format("{}: the journal of gateway '{}', not of '{}'",
                                                          folder.journal().string(), *owner, settings.gateway_id)});
  }
  const journal::SalvageIds ids = fresh_ids(needs.random);
  std::optional<journal::HashKey> new_key;
  if (!readable.catalog.hash_key) readable.catalog.hash_key = key_from_copy(folder, source, readable.rows, needs);
  if (!readable.catalog.hash_key) new_key = ids.hash_key;
  const auto plan = [&] {
    if (new_key) readable.forgotten = forgotten_with(*new_key, source, readable.rows, needs);
    return plan_salvage(readable, settings.gateway_id, ids, salvaged.set_aside, now, needs.hasher);
  };
  journal::SalvagePlan planned = plan();
  const Filler fill = [&](Database& database) {
    return Fill(database, source, needs, new_key, salvaged.set_aside, now).run(planned);
  };
  auto built = build(folder, settings, planned.catalog, fill);
  if (!built && built.error().fault == OpenFault::disk_full) {
    folder.free_ballast();
    drop_history(readable);
    salvaged.history_dropped = true;
    planned = plan();
    built = build(folder, settings, planned.catalog, fill);
  }
  if (!built) return base::fail(built.error());
  if (!folder.rename(folder.new_journal(), folder.journal()) || !folder.set_salvaging("")) {
    return base::fail(folder_error(folder));
  }
  salvaged.rows_kept = planned.rows_kept;
  salvaged.holes = planned.holes;
  salvaged.forgotten = planned.forgotten;
  salvaged.hash_key_lost = new_key.has_value();
  return salvaged;
}

base::Result<void, OpenError> make_new(const StateFolder& folder, const JournalSettings& settings,
                                       const JournalNeeds& needs) {
  const journal::SalvageIds ids = fresh_ids(needs.random);
  const journal::Catalog catalog = journal::new_catalog(settings.gateway_id, ids.hash_key, ids.epoch, needs.hasher);
  folder.remove_new_journal();
  const auto made = make_journal(folder.new_journal(), settings.vfs, catalog, {}, settings.page_bytes);
  if (!made) return made;
  if (!folder.rename(folder.new_journal(), folder.journal())) return base::fail(folder_error(folder));
  return {};
}

// The set-aside file's name is on disk before the first rename.
base::Result<fs::path, OpenError> set_aside(const StateFolder& folder, base::UtcTime now) {
  fs::path name = folder.damaged(now);
  if (!folder.set_salvaging(name.filename().string()) || !folder.rename(folder.journal(), name)) {
    return base::fail(folder_error(folder));
  }
  return name;
}

}  // namespace

base::Result<std::optional<Salvaged>, OpenError> ensure_journal(const StateFolder& folder,
                                                                const JournalSettings& settings,
                                                                const JournalNeeds& needs, base::UtcTime now) {
  if (const std::string name = folder.salvaging(); !name.empty()) {
    const fs::path aside = folder.path() / name;
    // The database is renamed before its WAL: once either is aside, a journal.db is the new one.
    const bool moved = fs::exists(aside) || fs::exists(wal_of(aside));
    if (!moved || !fs::exists(folder.journal())) {
      if (!folder.rename(folder.journal(), aside)) return base::fail(folder_error(folder));
      auto salvaged = salvage_set_aside(folder, settings, needs, now, aside, {.reason = "an interrupted salvage"});
      if (!salvaged) return base::fail(salvaged.error());
      return std::optional(std::move(*salvaged));
    }
    // The new journal stands in its place already.
    if (!folder.set_salvaging("")) return base::fail(folder_error(folder));
  }
  if (fs::exists(folder.journal())) return std::nullopt;
  if (fs::exists(wal_of(folder.journal()))) {
    auto salvaged = salvage_journal(folder, settings, needs, now, "the database is missing, its WAL is not");
    if (!salvaged) return base::fail(salvaged.error());
    return std::optional(std::move(*salvaged));
  }
  if (auto made = make_new(folder, settings, needs); !made) return base::fail(made.error());
  return std::nullopt;
}

base::Result<Salvaged, OpenError> salvage_journal(const StateFolder& folder, const JournalSettings& settings,
                                                  const JournalNeeds& needs, base::UtcTime now,
                                                  const std::string& reason) {
  Salvaged salvaged{.reason = reason};
  salvaged.removed = folder.drop_damaged(kDamagedKept - 1);
  const auto aside = set_aside(folder, now);
  if (!aside) return base::fail(aside.error());
  return salvage_set_aside(folder, settings, needs, now, *aside, std::move(salvaged));
}

}  // namespace sqlite
