// SendWindow: the rows after `acked` that are in memory, with the digests after each, so that sending again needs
// neither a read nor a hash. Rows come in order and leave in order; what does not fit stays in the journal.
#pragma once

#include <deque>
#include <optional>

#include "proto/handoff/segments.hpp"

namespace handoff {

class SendWindow {
 public:
  struct Loaded {
    base::Bytes record;
    Mark after;
    std::uint64_t bytes_through = 0;  // of records, since reset()
  };

  // Empty again; the first row to come is the one after `before`.
  void reset(const Mark& before);
  void push(base::Bytes record, const Mark& after);
  void drop_through(Row row);
  // The same row, with the digests that are now known to count.
  void confirm_before(const Mark& before) { before_ = before; }

  [[nodiscard]] Row last() const { return before_.row + rows_.size(); }
  [[nodiscard]] std::uint64_t size() const { return rows_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_through(last()) - bytes_before_; }
  [[nodiscard]] const Mark& last_mark() const { return rows_.empty() ? before_ : rows_.back().after; }
  [[nodiscard]] bool holds(Row row) const { return row > before_.row && row <= last(); }
  [[nodiscard]] const Loaded& at(Row row) const { return rows_[row - before_.row - 1]; }
  // The digests after `row`, when they are here.
  [[nodiscard]] std::optional<Mark> mark_at(Row row) const;
  // Record bytes of the rows after `before` up to `row`.
  [[nodiscard]] std::uint64_t bytes_to(Row row) const { return bytes_through(row) - bytes_before_; }

 private:
  [[nodiscard]] std::uint64_t bytes_through(Row row) const {
    return holds(row) ? at(row).bytes_through : bytes_before_;
  }

  Mark before_;
  std::uint64_t bytes_before_ = 0;
  std::deque<Loaded> rows_;
};

inline void SendWindow::reset(const Mark& before) {
  before_ = before;
  bytes_before_ = 0;
  rows_.clear();
}

inline void SendWindow::push(base::Bytes record, const Mark& after) {
  const std::uint64_t through = bytes_through(last()) + record.size();
  rows_.push_back({std::move(record), after, through});
}

inline void SendWindow::drop_through(Row row) {
  while (!rows_.empty() && rows_.front().after.row <= row) {
    before_ = rows_.front().after;
    bytes_before_ = rows_.front().bytes_through;
    rows_.pop_front();
  }
}

inline std::optional<Mark> SendWindow::mark_at(Row row) const {
  if (row == before_.row) return before_;
  return holds(row) ? std::optional(at(row).after) : std::nullopt;
}

}  // namespace handoff
