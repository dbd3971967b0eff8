// LogVerdict: whether a WAL is one that a power cut may have left behind, or one that was damaged. SQLite cannot say:
// it reads a log up to the first frame that does not fit and drops the rest without a word. Pure: bytes in, verdict out
// (file format, section 4).
//
//   header │ frame frame COMMIT │ frame COMMIT │ frame ✗ frame COMMIT        COMMIT: its frame says how large the
//          └── sound: each frame's sum goes on from the one before ──┘       database is from then on
//
// What the verdict rests on:
//   (1) The header is synced before the first frame, and each commit before the next one begins. So behind what is
//   sound a power cut leaves parts of one transaction, in any order, by whole sectors of 512 bytes: at most one commit.
//   Two are damage.
//   (2) Where a part did not reach the disk stands what stood there before: nothing, or a frame of an earlier round of
//   the same file, whose first salt is smaller. A frame's salts lie in one sector; when a write came back short, it may
//   have been taken to the disk before the rest was written: then the first salt is this round's, and the second one
//   and what follows it in the sector are old. Any other salts before the last frame of this round are damage; so are
//   zeros before a frame of an earlier round.
//   (3) A header that does not fit its own sum, with anything behind it, is damage. It can be made anew as long as the
//   first frame is whole: sums can be reckoned backwards, a frame has the header's salts, and only the count of rounds
//   stands nowhere else. Two sums give that one number: what is left of them, and a count that is possible, say whether
//   the frame is whole; rows and catalog have CRCs of their own. A new round's header that a short write has left half
//   written cannot be told from one wrong bit in the count of rounds, with frames that are needed: damage, too.
// What it cannot see: damage in the last transaction; and in the last but one's commit, when that was zeroed where the
// file had not been written before, lost the mark of a commit, or was overwritten from its second salt on, and further.
// That looks torn.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proto/base/bytes.hpp"

namespace sqlite {

// What is wrong, for people; "": nothing, or what a power cut does.
using LogDamage = std::string;

// Reads `count` bytes at `offset`; false: they cannot be read, and nothing is said of the log.
using ReadLog = std::function<bool(std::uint64_t offset, std::size_t count, base::Bytes& bytes)>;

[[nodiscard]] LogDamage judge_log(std::uint64_t size, const ReadLog& read);

// The header that the log had; "": its own is sound, or the first frame is not whole or not of the last round.
[[nodiscard]] base::Bytes restored_header(std::uint64_t size, std::uint32_t page_bytes, const ReadLog& read);

}  // namespace sqlite
