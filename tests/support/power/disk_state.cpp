#include "tests/support/power/disk_state.hpp"

#include <algorithm>
#include <fstream>

#include "proto/base/assert.hpp"
#include "tests/support/seeded_random.hpp"

namespace support {

namespace {

namespace fs = std::filesystem;
using Kind = DiskOperation::Kind;

std::string folder_of(const std::string& name) { return fs::path(name).parent_path().string(); }

std::uint64_t sector_end(std::uint64_t sector) { return (sector + 1) * kSectorBytes; }

// A sector of a file, with zeros behind its end.
std::string sector_of(const std::string& bytes, std::uint64_t sector) {
  const std::uint64_t at = sector * kSectorBytes;
  std::string found = at < bytes.size() ? bytes.substr(at, kSectorBytes) : std::string();
  found.resize(kSectorBytes, '\0');
  return found;
}

// Which of a thing's states the disk has: 0 is the durable one. Each cut has its own luck.
class Luck {
 public:
  explicit Luck(const Survival& survival)
      : random_(survival.seed),
        torn_(survival.unsynced == Survival::Unsynced::torn),
        newest_percent_(std::array{5U, 50U, 95U}[random_.below(3)]) {}

  std::size_t pick(std::size_t states) {
    if (!torn_) return 0;
    return random_.below(100) < newest_percent_ ? states : random_.below(states + 1);
  }

 private:
  SeededRandom random_;
  bool torn_;
  std::uint64_t newest_percent_;
};

}  // namespace

void DiskState::File::note(std::uint64_t from, std::uint64_t to, std::uint64_t size_before, bool cut_off) {
  if (cached.size() != size_before) sizes.push_back(cached.size());
  for (std::uint64_t sector = from / kSectorBytes; sector * kSectorBytes < to; ++sector)
    sectors[sector].push_back({sector_of(cached, sector), cut_off ? sizes.size() : 0});
}

void DiskState::File::write(std::uint64_t offset, const std::string& bytes) {
  const std::uint64_t size_before = cached.size();
  cached.resize(std::max<std::uint64_t>(cached.size(), offset + bytes.size()), '\0');
  cached.replace(offset, bytes.size(), bytes);
  note(offset, offset + bytes.size(), size_before, false);
}

void DiskState::File::resize(std::uint64_t size) {
  const std::uint64_t size_before = cached.size();
  cached.resize(size, '\0');
  note(size, std::max<std::uint64_t>(size, size_before), size_before, true);
}

void DiskState::File::sync() {
  for (const auto& [sector, states] : sectors) {
    const std::uint64_t end = std::min<std::uint64_t>(sector_end(sector), cached.size());
    const std::uint64_t at = sector * kSectorBytes;
    if (at >= end) continue;
    if (durable.size() < end) durable.resize(end, '\0');
    durable.replace(at, end - at, states.back().bytes, 0, end - at);
  }
  if (!sizes.empty()) durable.resize(sizes.back(), '\0');
  sectors.clear();
  sizes.clear();
}

void DiskState::File::sync_failed(bool discarded) {
  sectors.clear();
  sizes.clear();
  if (!discarded) return;
  const std::uint64_t size = cached.size();
  cached = durable;
  cached.resize(size, '\0');
}

void DiskState::change(Names& names, const DiskOperation& operation) {
  switch (operation.kind) {
    case Kind::make_folder:
      names[operation.name] = std::nullopt;
      return;
    case Kind::create:
      names[operation.name] = operation.file;
      return;
    case Kind::remove:
      names.erase(operation.name);
      return;
    case Kind::rename:
      if (const auto found = names.find(operation.name); found != names.end()) {
        names[operation.to] = found->second;
        names.erase(operation.name);
      }
      return;
    default:
      ASSERT(false);
  }
}

void DiskState::apply(const DiskOperation& operation) {
  switch (operation.kind) {
    case Kind::write:
      return files_[operation.file].write(operation.offset, operation.bytes);
    case Kind::resize:
      return files_[operation.file].resize(operation.offset);
    case Kind::sync:
      return files_[operation.file].sync();
    case Kind::sync_failed:
    case Kind::sync_failed_discarded:
      return files_[operation.file].sync_failed(operation.kind == Kind::sync_failed_discarded);
    case Kind::sync_folder:
      for (const DiskOperation& one : unsynced_names_[operation.name]) change(durable_names_, one);
      unsynced_names_.erase(operation.name);
      return;
    case Kind::create:
      ASSERT(operation.file == files_.size());
      files_.emplace_back();
      [[fallthrough]];
    case Kind::make_folder:
    case Kind::remove:
    case Kind::rename:
      // Another folder's sync would have to wait for this one.
      ASSERT(operation.kind != Kind::rename || folder_of(operation.name) == folder_of(operation.to));
      change(cached_names_, operation);
      unsynced_names_[folder_of(operation.name)].push_back(operation);
      return;
  }
}

DiskState DiskState::cut(const Survival& survival) const {
  Luck luck(survival);
  Names names = durable_names_;
  for (const auto& [folder, changes] : unsynced_names_) {
    const std::size_t kept = luck.pick(changes.size());
    for (std::size_t i = 0; i < kept; ++i) change(names, changes[i]);
  }
  // In a folder that is not there is nothing. Folders come before what is in them.
  for (auto name = names.begin(); name != names.end();) {
    const std::string folder = folder_of(name->first);
    name = folder.empty() || names.contains(folder) ? std::next(name) : names.erase(name);
  }
  DiskState left;
  for (const auto& [name, number] : names) {
    if (!number) continue;
    const File& file = files_[*number];
    std::string bytes = file.durable;
    const std::size_t size = luck.pick(file.sizes.size());
    for (const auto& [sector, states] : file.sectors) {
      // Those between the last cut that the size has and the next one that it has not.
      std::size_t least = 0;
      std::size_t most = states.size();
      for (std::size_t i = 1; i <= states.size(); ++i) {
        if (states[i - 1].cut_off_with == 0) continue;
        if (states[i - 1].cut_off_with > size) {
          most = i - 1;
          break;
        }
        least = i;
      }
      const std::size_t state = least + luck.pick(most - least);
      if (state == 0) continue;
      if (bytes.size() < sector_end(sector)) bytes.resize(sector_end(sector), '\0');
      bytes.replace(sector * kSectorBytes, kSectorBytes, states[state - 1].bytes);
    }
    bytes.resize(size == 0 ? file.durable.size() : file.sizes[size - 1], '\0');
    names[name] = left.files_.size();
    left.files_.push_back({.cached = bytes, .durable = std::move(bytes), .sectors = {}, .sizes = {}});
  }
  left.cached_names_ = left.durable_names_ = std::move(names);
  return left;
}

void DiskState::lay_out(const fs::path& root) const {
  for (const auto& [name, number] : cached_names_) {
    if (!number) {
      fs::create_directory(root / name);
      continue;
    }
    const std::string& bytes = files_[*number].cached;
    std::ofstream file(root / name, std::ios::binary);
    ASSERT(file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush());
  }
}

std::optional<std::size_t> DiskState::find(const std::string& name) const {
  const auto found = cached_names_.find(name);
  return found == cached_names_.end() ? std::nullopt : found->second;
}

bool DiskState::is_folder(const std::string& name) const {
  if (name.empty()) return true;
  const auto found = cached_names_.find(name);
  return found != cached_names_.end() && !found->second;
}

}  // namespace support
