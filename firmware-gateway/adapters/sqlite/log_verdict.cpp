#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"

#include <fmt/format.h>

#include <optional>

namespace sqlite {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::size_t kSectorBytes = 512;
constexpr std::uint32_t kMagic = 0x377F0682;  // the last bit: sums over big-endian words
constexpr std::uint32_t kVersion = 3007000;
// Rounds of one file: each begins with the first salt one higher.
constexpr std::uint32_t kRoundsMax = 1U << 20U;

std::uint32_t big_endian(base::BytesView bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(at, 4)) value = (value << 8U) | static_cast<std::uint8_t>(c);
  return value;
}

std::uint32_t little_endian(base::BytesView bytes, std::size_t at) { return __builtin_bswap32(big_endian(bytes, at)); }

// SQLite's running sum, which each frame carries on.
struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  friend bool operator==(const Sum&, const Sum&) = default;
};

Sum sum_at(base::BytesView bytes, std::size_t at) { return {big_endian(bytes, at), big_endian(bytes, at + 4)}; }

class Log {
 public:
  Log(std::uint64_t size, const ReadLog& read) : size_(size), read_(read) {}

  LogDamage judge() {
    base::Bytes header;
    // A header alone, or less, may be torn, and stands before nothing.
    if (size_ <= kHeaderBytes || !read_(0, kHeaderBytes, header)) return {};
    if (!take_header(header)) return "its header is damaged";
    follow();
    look_behind();
    return unreadable_ ? LogDamage() : damage_;
  }

 private:
  enum class Round : std::uint8_t { current, earlier, none, unknown };

  [[nodiscard]] bool take_header(const base::Bytes& header) {
    const std::uint32_t magic = big_endian(header, 0);
    big_endian_sums_ = (magic & 1U) != 0;
    page_bytes_ = big_endian(header, 8);
    salts_[0] = big_endian(header, 16);
    salts_[1] = big_endian(header, 20);
    sum_ = add({}, base::BytesView(header).substr(0, 24));
    const bool page_possible = page_bytes_ >= 512 && page_bytes_ <= 65536 && (page_bytes_ & (page_bytes_ - 1)) == 0;
    return (magic & ~1U) == kMagic && big_endian(header, 4) == kVersion && page_possible && sum_ == sum_at(header, 24);
  }

  [[nodiscard]] Sum add(Sum sum, base::BytesView bytes) const {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      sum.first += (big_endian_sums_ ? big_endian(bytes, at) : little_endian(bytes, at)) + sum.second;
      sum.second += (big_endian_sums_ ? big_endian(bytes, at + 4) : little_endian(bytes, at + 4)) + sum.first;
    }
    return sum;
  }

  [[nodiscard]] std::uint64_t frame_bytes() const { return kFrameHeaderBytes + page_bytes_; }
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t frame) const { return kHeaderBytes + frame * frame_bytes(); }
  [[nodiscard]] std::uint64_t frames() const { return (size_ - kHeaderBytes) / frame_bytes(); }

  [[nodiscard]] bool load(std::uint64_t frame) {
    unreadable_ = unreadable_ || !read_(offset_of(frame), frame_bytes(), frame_);
    return !unreadable_;
  }

  [[nodiscard]] Sum sum_of_frame(Sum before) const {
    const base::BytesView bytes = frame_;
    return add(add(before, bytes.substr(0, 8)), bytes.substr(kFrameHeaderBytes));
  }

  [[nodiscard]] Round round() const {
    const std::uint32_t first = big_endian(frame_, 8);
    const std::uint32_t second = big_endian(frame_, 12);
    if (first == salts_[0] && second == salts_[1]) return Round::current;
    if (first == 0 && second == 0) return Round::none;
    const std::uint32_t rounds_ago = salts_[0] - first;
    const bool earlier = rounds_ago >= 1 && rounds_ago <= kRoundsMax && second != salts_[1];
    return earlier ? Round::earlier : Round::unknown;
  }

  // As SQLite does: to the first frame that does not fit.
  void follow() {
    for (behind_ = 0; behind_ < frames(); ++behind_) {
      if (!load(behind_)) return;
      if (round() != Round::current || big_endian(frame_, 0) == 0) return;
      const Sum sum = sum_of_frame(sum_);
      if (sum != sum_at(frame_, 16)) return;
      sum_ = sum;
    }
  }

  void look_behind() {
    std::uint64_t commits = 0;
    std::optional<std::uint64_t> zeros;
    std::optional<std::uint64_t> unknown;
    Sum told = sum_;
    base::Bytes commit_before;
    for (std::uint64_t frame = behind_; frame < frames(); ++frame) {
      if (!load(frame)) return;
      const Round found = round();
      if (found == Round::none && !zeros) zeros = frame;
      if (found == Round::unknown && !unknown) unknown = frame;
      if (found == Round::earlier && zeros)
        return found_damage(*zeros, "zeros where an earlier round had been written");
      if (found == Round::current && unknown)
        return found_damage(*unknown, "neither this round's nor an earlier one's");
      if (found == Round::current && is_commit(frame, told)) {
        // On some disks SQLite fills up a sector with copies of the commit's frame.
        const base::Bytes commit = frame_.substr(0, 8) + frame_.substr(kFrameHeaderBytes);
        if (commit != commit_before) ++commits;
        commit_before = commit;
        if (commits == 2) return found_damage(behind_, "commits stand behind it");
      } else {
        commit_before.clear();
      }
      told = sum_at(frame_, 16);
    }
  }

  // `told`: the sum that the frame before it carries.
  [[nodiscard]] bool is_commit(std::uint64_t frame, Sum told) const {
    if (big_endian(frame_, 0) == 0 || big_endian(frame_, 4) == 0) return false;
    // Where a sector ends between them, the salts may be new, and the rest what stood there before.
    const bool torn_apart = (offset_of(frame) + 8) % kSectorBytes == 0;
    return !torn_apart || sum_of_frame(told) == sum_at(frame_, 16);
  }

  void found_damage(std::uint64_t frame, std::string_view why) {
    damage_ = fmt::format("frame {} of {} is damaged: {}", frame + 1, frames(), why);
  }

  std::uint64_t size_;
  const ReadLog& read_;
  bool big_endian_sums_ = false;
  std::uint32_t page_bytes_ = 0;
  std::uint32_t salts_[2] = {};
  Sum sum_;
  std::uint64_t behind_ = 0;  // the first frame that does not fit
  base::Bytes frame_;
  bool unreadable_ = false;
  LogDamage damage_;
};

}  // namespace

LogDamage judge_log(std::uint64_t size, const ReadLog& read) { return Log(size, read).judge(); }

}  // namespace sqlite
