#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"

#include <fmt/format.h>

#include <bit>
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

void put_big_endian(base::Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

bool page_size_possible(std::uint32_t bytes) { return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0; }

// SQLite's running sum, which each frame carries on.
struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  friend bool operator==(const Sum&, const Sum&) = default;
};

Sum sum_at(base::BytesView bytes, std::size_t at) { return {big_endian(bytes, at), big_endian(bytes, at + 4)}; }

std::uint32_t word(base::BytesView bytes, std::size_t at, bool big_endian_sums) {
  return big_endian_sums ? big_endian(bytes, at) : little_endian(bytes, at);
}

Sum add(Sum sum, base::BytesView bytes, bool big_endian_sums) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    sum.first += word(bytes, at, big_endian_sums) + sum.second;
    sum.second += word(bytes, at + 4, big_endian_sums) + sum.first;
  }
  return sum;
}

// The sum before these bytes were added.
Sum subtract(Sum sum, base::BytesView bytes, bool big_endian_sums) {
  for (std::size_t end = bytes.size(); end >= 8; end -= 8) {
    sum.second -= word(bytes, end - 4, big_endian_sums) + sum.first;
    sum.first -= word(bytes, end - 8, big_endian_sums) + sum.second;
  }
  return sum;
}

// The header before this frame, if its sums are of this order of bytes; else "".
base::Bytes header_before(base::BytesView frame, std::uint32_t page_bytes, bool big_endian_sums) {
  base::Bytes header(kHeaderBytes, '\0');
  put_big_endian(header, 0, kMagic | (big_endian_sums ? 1U : 0U));
  put_big_endian(header, 4, kVersion);
  put_big_endian(header, 8, page_bytes);
  header.replace(16, 8, frame.substr(8, 8));
  const Sum frame_content = subtract(sum_at(frame, 16), frame.substr(kFrameHeaderBytes), big_endian_sums);
  const Sum sum = subtract(frame_content, frame.substr(0, 8), big_endian_sums);
  // What the count of rounds must be, so that the sums at it are right.
  const base::BytesView known = header;
  const Sum after = subtract(sum, known.substr(16, 8), big_endian_sums);
  const Sum before = add({}, known.substr(0, 8), big_endian_sums);
  if (after.first != before.first + word(header, 8, big_endian_sums) + before.second) return {};
  const std::uint32_t rounds_word = after.second - before.second - after.first;
  const std::uint32_t rounds = big_endian_sums ? rounds_word : __builtin_bswap32(rounds_word);
  if (rounds > kRoundsMax) return {};
  put_big_endian(header, 12, rounds);
  put_big_endian(header, 24, sum.first);
  put_big_endian(header, 28, sum.second);
  return header;
}

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

  base::Bytes restored_header(std::uint32_t page_bytes) {
    base::Bytes header;
    if (size_ < kHeaderBytes || !read_(0, kHeaderBytes, header) || take_header(header)) return {};
    page_bytes_ = page_bytes;
    if (!page_size_possible(page_bytes) || frames() == 0 || !load(0)) return {};
    header = header_before(frame_, page_bytes, false);
    if (header.empty()) header = header_before(frame_, page_bytes, true);
    return header.empty() || has_later_round() ? base::Bytes() : header;
  }

 private:
  enum class Round : std::uint8_t { current, earlier, none, unknown };

  [[nodiscard]] bool take_header(const base::Bytes& header) {
    const std::uint32_t magic = big_endian(header, 0);
    big_endian_sums_ = (magic & 1U) != 0;
    page_bytes_ = big_endian(header, 8);
    salts_[0] = big_endian(header, 16);
    salts_[1] = big_endian(header, 20);
    sum_ = add({}, base::BytesView(header).substr(0, 24), big_endian_sums_);
    return (magic & ~1U) == kMagic && big_endian(header, 4) == kVersion && page_size_possible(page_bytes_) &&
           sum_ == sum_at(header, 24);
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
    return add(add(before, bytes.substr(0, 8), big_endian_sums_), bytes.substr(kFrameHeaderBytes), big_endian_sums_);
  }

  // Than the first frame's. Then nothing of the last round was committed, and what it left of the one before has gaps.
  [[nodiscard]] bool has_later_round() {
    const std::uint32_t first = big_endian(frame_, 8);
    for (std::uint64_t frame = 1; frame < frames(); ++frame) {
      if (!load(frame)) return true;
      const std::uint32_t rounds_later = big_endian(frame_, 8) - first;
      if (rounds_later >= 1 && rounds_later <= kRoundsMax) return true;
    }
    return false;
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
      if (found == Round::unknown && !unknown && !is_half_written(frame)) unknown = frame;
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

  // Up to somewhere in the second salt: a short write. A frame that goes on from what is sound, and is whole but for
  // that salt, was on the disk before; unless a sector ends there, so that the rest may be newer, if it is not one bit.
  [[nodiscard]] bool is_half_written(std::uint64_t frame) const {
    if (big_endian(frame_, 8) != salts_[0]) return false;
    if (frame != behind_ || sum_of_frame(sum_) != sum_at(frame_, 16)) return true;
    const bool rest_may_be_newer = (offset_of(frame) + 16) % kSectorBytes == 0;
    return rest_may_be_newer && std::popcount(big_endian(frame_, 12) ^ salts_[1]) > 1;
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

base::Bytes restored_header(std::uint64_t size, std::uint32_t page_bytes, const ReadLog& read) {
  return Log(size, read).restored_header(page_bytes);
}

}  // namespace sqlite
