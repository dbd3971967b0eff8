// JournalDesk: hands the machine's journal requests to the journal's thread, and the answers back.
#pragma once

#include <functional>

#include "firmware-gateway/adapters/sqlite/journal_thread.hpp"
#include "firmware-gateway/gateway/journal_port.hpp"

namespace app {

// Everything on the loop's thread.
class JournalDesk {
 public:
  using Reply = std::function<void(gateway::JournalReply)>;

  explicit JournalDesk(Reply reply) : reply_(std::move(reply)) {}

  void attach(sqlite::JournalThread& thread) { thread_ = &thread; }
  void ask(gateway::JournalRequest request);

 private:
  // Puts one kind of answer into its reply.
  template <class T, class Wrap>
  [[nodiscard]] sqlite::JournalThread::Done<T> answer(const gateway::JournalRequest& request, Wrap wrap);
  void append(const gateway::JournalRequest& request, std::vector<journal::AppendItem> items);
  void find(const gateway::JournalRequest& request, const gateway::FindRows& find);
  void fail(const gateway::JournalRequest& request, journal::Error error);

  Reply reply_;
  sqlite::JournalThread* thread_ = nullptr;
};

}  // namespace app
