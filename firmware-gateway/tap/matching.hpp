// Matching: which answer belongs to which request, on lines that many terminals share and where answers come in any
// order. Pure.
//
//   request ──open──▶ (waits) ──answer──▶ both, once
//                        └──────expire, close, reversed, no room──▶ the request alone: nobody knows what became of it
//
// An answer is a request's when class, version and function fit, STAN (11) and terminal (41) are the same, and so are
// the TPDU and each of 7, 12, 13, 37 and 42 that both carry: a STAN comes round, and a late answer to an older request
// is not the next one's. What the host sets anew is not compared (host_sets). An answer without a terminal is known by
// its TPDU. Of several such requests it is the one with which more of these agree, else the oldest.
//
// Bounded: limits; beyond them the oldest request is given up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firmware-gateway/redact/fields.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"

namespace tap {

// A connection through the tap: never used again in one start.
using Connection = std::uint64_t;

struct Request {
  Connection connection = 0;
  iso8583::Message message;
  iso8583::Mti mti;
  std::string missing;    // of a message that breaks off; empty: it is whole
  std::string header;     // of its frame
  std::size_t bytes = 0;  // of its frame
  base::Now seen;
};

// What beside STAN and terminal both may carry, as host_sets and counts name it.
inline constexpr std::array<std::string_view, 6> compared_names = {"tpdu", "7", "12", "13", "37", "42"};

// Why an answer is nobody's: what differs from the open request with its STAN, terminal and class, one of
// compared_names. Empty: there is none.
struct Unmatched {
  std::string_view differs;
};

struct MatchingLimits {
  std::size_t requests_max = 4096;
  std::size_t bytes_max = 8UL * 1024 * 1024;
};

class Matching {
 public:
  // host_sets: of compared_names those into which this host puts its own.
  explicit Matching(MatchingLimits limits = {}, std::vector<std::string> host_sets = {})
      : limits_(limits), host_sets_(std::move(host_sets)) {}

  // The request is open from now on; one that has been open for so long that there is no room for it comes back.
  // A repeat of one that is open changes nothing: it waits since the first time.
  [[nodiscard]] std::vector<Request> open(Request request);
  // The request that this answers.
  [[nodiscard]] base::Result<Request, Unmatched> answer(Connection connection, const iso8583::Message& answer,
                                                        const iso8583::Mti& mti, std::string_view header);
  // Those that were seen at or before this.
  [[nodiscard]] std::vector<Request> expire(base::Instant seen_until);
  // Those that a terminal reverses, on whatever connection: it waits for them no longer, and what reverses them is told
  // after them.
  [[nodiscard]] std::vector<Request> reverse(const iso8583::Message& reversal, const redact::Original& original);
  // Those of a connection that has ended.
  [[nodiscard]] std::vector<Request> close(Connection connection);

  [[nodiscard]] std::size_t size() const { return open_.size(); }
  [[nodiscard]] std::optional<base::Instant> oldest() const {
    return open_.empty() ? std::nullopt : std::optional(open_.front().seen.instant);
  }

 private:
  using Requests = std::list<Request>;

  [[nodiscard]] Request take(Requests::iterator request);
  template <class Predicate>
  [[nodiscard]] std::vector<Request> take_all(Predicate wanted);

  MatchingLimits limits_;
  std::vector<std::string> host_sets_;
  // Oldest first.
  Requests open_;
  std::size_t bytes_ = 0;
};

}  // namespace tap
