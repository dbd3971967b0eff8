// JournalThread: lends the journal to an event loop. One thread of its own does every call, because each may wait for
// the disk.
//
//   loop ──append, read, …──▶ bounded queue ──▶ thread ──▶ SqliteJournal
//     ◀──post(done)────────────────────────────────┘
//
//   opening ──▶ open ──broken or damaged──▶ failed ──close, wait, open (salvage)──▶ open
//      └──disk full, or it fails──────────────▲
//
// Invariants:
//   (1) Requests are done in the order in which they were made; their `done` is posted in that order, each exactly
//   once. (2) Requests made before the loop has heard on_reopened() never reach the journal opened anew: rows may have
//   other numbers
//       there. They are answered `broken`; remembered marks among them are dropped.
//   (3) Nothing is posted after stop() has returned.
//   (4) At most kRequestsMax requests wait.
//
// All methods are for the loop's thread; `post` is called on the journal's thread and must be safe there.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"

namespace sqlite {

inline constexpr std::size_t kRequestsMax = 256;
inline constexpr std::chrono::milliseconds kReopenFirst{100};
inline constexpr std::chrono::milliseconds kReopenMax{10'000};
// Openings that may fail on sectors that cannot be read before that is taken for damage.
inline constexpr int kReadErrorsMax = 3;

class JournalThread {
 public:
  template <class T>
  using Done = std::function<void(base::Result<T, journal::Error>)>;

  struct Callbacks {
    // Runs the function on the loop's thread, in the order of the calls.
    std::function<void(std::function<void()>)> post;
    // The journal has failed; everything is answered with an error until on_reopened. Posted.
    std::function<void(journal::Error, const std::string& detail)> on_failed;
    // It is damaged, and a salvage begins; on_reopened or on_reopen_failed follows. Posted.
    std::function<void(const std::string& damage)> on_salvage;
    // An attempt to open it anew has failed; the next follows. Posted.
    std::function<void(const OpenError&)> on_reopen_failed;
    // It is open again: begin anew from this state. Posted.
    std::function<void(const handoff::JournalState&, const std::optional<Salvaged>&)> on_reopened;
  };

  // Tries to open the journal before it returns. A disk that is full or fails is no error: the thread goes on trying,
  // and tells it by on_reopen_failed and on_reopened, as after a failure in use. What `needs` names must outlive the
  // thread.
  [[nodiscard]] static base::Result<std::unique_ptr<JournalThread>, OpenError> start(
      const std::filesystem::path& state_dir, const JournalSettings& settings, const JournalNeeds& needs,
      Callbacks callbacks);
  ~JournalThread();

  // As start() found them; nothing: it is not open yet.
  [[nodiscard]] const std::optional<handoff::JournalState>& opened() const { return opened_; }
  [[nodiscard]] const std::optional<Salvaged>& salvaged() const { return salvaged_; }
  // Of the journal that on_reopened told of last, or start() found.
  [[nodiscard]] journal::HashKey hash_key() const;
  // As that opening found them.
  [[nodiscard]] journal::Tallies opened_tallies() const;

  // False: the queue is full, and nothing was done or will be posted.
  [[nodiscard]] bool append(std::vector<journal::AppendItem> items, Done<std::vector<journal::AppendOutcome>> done);
  [[nodiscard]] bool read(journal::Row from, std::size_t max_rows, std::size_t max_bytes,
                          Done<std::vector<journal::StoredRow>> done);
  [[nodiscard]] bool start_epoch(const handoff::EpochStart& epoch, const std::optional<handoff::Segment>& run,
                                 Done<void> done);
  [[nodiscard]] bool flush(Done<void> done);
  [[nodiscard]] bool trim(base::UtcTime now, Done<journal::TrimOutcome> done);
  [[nodiscard]] bool find(std::uint64_t key_hash, std::size_t limit, Done<std::vector<journal::History>> done);
  [[nodiscard]] bool verify(journal::Row from, Done<journal::VerifyStep> done);
  [[nodiscard]] bool usage(Done<journal::Usage> done);
  // Never refused: they join the last ones that wait.
  void remember_acked(const handoff::Mark& acked, base::UtcTime committed_at);
  void remember_sent(journal::Row through, base::UtcTime sent_at);

  // Does what waits, writes the marks, closes the journal, ends the thread.
  void stop();

 private:
  using Action = std::function<std::optional<journal::Error>(SqliteJournal*)>;
  struct Remembered {
    std::optional<std::pair<handoff::Mark, base::UtcTime>> acked;
    std::optional<std::pair<journal::Row, base::UtcTime>> sent;
  };
  struct Request {
    std::uint64_t generation = 0;
    // Does it on the journal, or answers `broken` when that is nullptr.
    Action action;
    Remembered remembered;  // when there is no action
  };

  JournalThread(std::filesystem::path state_dir, const JournalSettings& settings, const JournalNeeds& needs,
                Callbacks callbacks);
  template <class T, class Call>
  [[nodiscard]] bool ask(Done<T> done, Call call);
  [[nodiscard]] Remembered& remembering();

  void run() noexcept;
  // The next request; none: it is time to open anew, or to end.
  [[nodiscard]] std::optional<Request> next(std::unique_lock<std::mutex>& lock);
  void perform(const Request& request);
  void close_failed(journal::Error error);
  [[nodiscard]] std::optional<OpenError> open();
  void on_open_failed(const OpenError& error);
  void reopen();
  void close();

  std::filesystem::path state_dir_;
  JournalSettings settings_;
  JournalNeeds needs_;
  Callbacks callbacks_;

  // The loop's own.
  std::optional<handoff::JournalState> opened_;
  std::optional<Salvaged> salvaged_;
  std::shared_ptr<std::uint64_t> known_generation_ = std::make_shared<std::uint64_t>(0);

  // The journal thread's own, once it runs.
  std::optional<StateFolder> folder_;
  std::unique_ptr<SqliteJournal> journal_;
  std::uint64_t generation_ = 0;
  std::string damage_;  // found in use: it must be salvaged
  int read_errors_ = 0;
  std::chrono::milliseconds reopen_after_ = kReopenFirst;
  std::chrono::steady_clock::time_point reopen_at_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> requests_;     // guarded by mutex_
  std::size_t waiting_ = 0;          // guarded: requests that are no remembered marks
  bool stopping_ = false;            // guarded
  journal::HashKey hash_key_{};      // guarded
  journal::Tallies opened_tallies_;  // guarded
  std::thread thread_;
};

}  // namespace sqlite
