#include "firmware-gateway/adapters/sqlite/journal_thread.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace sqlite {

using journal::Error;

namespace {

base::UtcTime wall_clock() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

}  // namespace

base::Result<std::unique_ptr<JournalThread>, OpenError> JournalThread::start(const std::filesystem::path& state_dir,
                                                                             const JournalSettings& settings,
                                                                             const JournalNeeds& needs,
                                                                             Callbacks callbacks) {
  std::unique_ptr<JournalThread> self(new JournalThread(state_dir, settings, needs, std::move(callbacks)));
  if (const auto error = self->open()) {
    if (is_refusal(error->fault)) return base::fail(*error);
    // What the loop asks until it hears of an opening is answered `broken`.
    self->generation_ = 1;
    self->on_open_failed(*error);
  } else {
    self->opened_ = self->journal_->opened();
    self->salvaged_ = self->journal_->salvaged();
  }
  // Not earlier: the loop hears only of what comes after start().
  self->needs_.on_salvage = [&callbacks = self->callbacks_](const std::string& damage) {
    callbacks.post([on_salvage = callbacks.on_salvage, damage] { on_salvage(damage); });
  };
  self->thread_ = std::thread([thread = self.get()] { thread->run(); });
  return self;
}

JournalThread::JournalThread(std::filesystem::path state_dir, const JournalSettings& settings,
                             const JournalNeeds& needs, Callbacks callbacks)
    : state_dir_(std::move(state_dir)), settings_(settings), needs_(needs), callbacks_(std::move(callbacks)) {}

JournalThread::~JournalThread() { stop(); }

void JournalThread::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

journal::Tallies JournalThread::opened_tallies() const {
  const std::scoped_lock lock(mutex_);
  return opened_tallies_;
}

journal::HashKey JournalThread::hash_key() const {
  const std::scoped_lock lock(mutex_);
  return hash_key_;
}

// --- the loop's side -----------------------------------------------------------------------------

template <class T, class Call>
bool JournalThread::ask(Done<T> done, Call call) {
  Request request;
  request.generation = *known_generation_;
  request.action = [post = callbacks_.post, done = std::move(done),
                    call = std::move(call)](SqliteJournal* journal) -> std::optional<Error> {
    base::Result<T, Error> result = journal == nullptr ? base::fail(Error::broken) : call(*journal);
    std::optional<Error> error;
    if (!result) error = result.error();
    post([done, result = std::move(result)]() mutable { done(std::move(result)); });
    return error;
  };
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_ == kRequestsMax || stopping_) return false;
    requests_.push_back(std::move(request));
    ++waiting_;
  }
  wake_.notify_one();
  return true;
}

bool JournalThread::append(std::vector<journal::AppendItem> items, Done<std::vector<journal::AppendOutcome>> done) {
  return ask<std::vector<journal::AppendOutcome>>(
      std::move(done), [items = std::move(items)](SqliteJournal& journal) { return journal.append(items); });
}

bool JournalThread::read(journal::Row from, std::size_t max_rows, std::size_t max_bytes,
                         Done<std::vector<journal::StoredRow>> done) {
  return ask<std::vector<journal::StoredRow>>(
      std::move(done), [=](SqliteJournal& journal) { return journal.read(from, max_rows, max_bytes); });
}

bool JournalThread::start_epoch(const handoff::EpochStart& epoch, const std::optional<handoff::Segment>& run,
                                Done<void> done) {
  return ask<void>(std::move(done), [=](SqliteJournal& journal) { return journal.start_epoch(epoch, run); });
}

bool JournalThread::flush(Done<void> done) {
  return ask<void>(std::move(done), [](SqliteJournal& journal) { return journal.flush(); });
}

bool JournalThread::trim(base::UtcTime now, Done<journal::TrimOutcome> done) {
  return ask<journal::TrimOutcome>(std::move(done), [now](SqliteJournal& journal) { return journal.trim(now); });
}

bool JournalThread::find(std::uint64_t key_hash, std::size_t limit, Done<std::vector<journal::History>> done) {
  return ask<std::vector<journal::History>>(std::move(done),
                                            [=](SqliteJournal& journal) { return journal.find(key_hash, limit); });
}

bool JournalThread::verify(journal::Row from, Done<journal::VerifyStep> done) {
  return ask<journal::VerifyStep>(std::move(done), [from](SqliteJournal& journal) { return journal.verify(from); });
}

bool JournalThread::usage(Done<journal::Usage> done) {
  return ask<journal::Usage>(
      std::move(done), [](SqliteJournal& journal) -> base::Result<journal::Usage, Error> { return journal.usage(); });
}

// The request that takes marks: the last one, when it is of that kind. Called with the mutex held.
JournalThread::Remembered& JournalThread::remembering() {
  const bool joins =
      !requests_.empty() && !requests_.back().action && requests_.back().generation == *known_generation_;
  if (!joins) requests_.push_back({*known_generation_, {}, {}});
  return requests_.back().remembered;
}

void JournalThread::remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) {
  {
    const std::scoped_lock lock(mutex_);
    remembering().acked = {acked, committed_at};
  }
  wake_.notify_one();
}

void JournalThread::remember_sent(journal::Row through, base::UtcTime sent_at) {
  {
    const std::scoped_lock lock(mutex_);
    remembering().sent = {through, sent_at};
  }
  wake_.notify_one();
}

// --- the journal's thread ------------------------------------------------------------------------

void JournalThread::run() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    const std::optional<Request> request = next(lock);
    if (!request && stopping_) break;
    lock.unlock();
    if (request) {
      perform(*request);
    } else {
      reopen();
    }
    lock.lock();
  }
  lock.unlock();
  close();
}

std::optional<JournalThread::Request> JournalThread::next(std::unique_lock<std::mutex>& lock) {
  const auto ready = [this] { return stopping_ || !requests_.empty(); };
  if (journal_) {
    wake_.wait(lock, ready);
  } else if (!wake_.wait_until(lock, reopen_at_, ready)) {
    return std::nullopt;
  }
  if (requests_.empty()) return std::nullopt;
  Request request = std::move(requests_.front());
  requests_.pop_front();
  if (request.action) --waiting_;
  return request;
}

void JournalThread::perform(const Request& request) {
  SqliteJournal* journal = request.generation == generation_ ? journal_.get() : nullptr;
  if (request.action) {
    const auto error = request.action(journal);
    if (journal != nullptr && (error == Error::broken || error == Error::damaged)) close_failed(*error);
    return;
  }
  if (journal == nullptr) return;
  if (const auto& acked = request.remembered.acked) journal->remember_acked(acked->first, acked->second);
  if (const auto& sent = request.remembered.sent) journal->remember_sent(sent->first, sent->second);
}

void JournalThread::close_failed(Error error) {
  damage_ = error == Error::damaged ? journal_->failure() : "";
  callbacks_.post(
      [on_failed = callbacks_.on_failed, error, detail = journal_->failure()] { on_failed(error, detail); });
  journal_.reset();
  ++generation_;
  reopen_after_ = kReopenFirst;
  reopen_at_ = std::chrono::steady_clock::now();
}

// Nothing: it is open.
std::optional<OpenError> JournalThread::open() {
  if (!folder_) {
    auto folder = StateFolder::open(state_dir_);
    if (!folder) return folder.error();
    folder_.emplace(std::move(*folder));
  }
  const SqliteJournal::OpenOptions options{wall_clock(), damage_, read_errors_ >= kReadErrorsMax};
  auto opened = SqliteJournal::open(*folder_, settings_, needs_, options);
  if (!opened) return opened.error();
  journal_ = std::move(*opened);
  damage_.clear();
  read_errors_ = 0;
  reopen_after_ = kReopenFirst;
  const std::scoped_lock lock(mutex_);
  hash_key_ = journal_->hash_key();
  opened_tallies_ = journal_->opened_tallies();
  return std::nullopt;
}

void JournalThread::on_open_failed(const OpenError& error) {
  // Any other trouble says nothing about the sectors.
  read_errors_ = error.fault == OpenFault::unreadable ? read_errors_ + 1 : 0;
  callbacks_.post([failed = callbacks_.on_reopen_failed, error] { failed(error); });
  reopen_at_ = std::chrono::steady_clock::now() + reopen_after_;
  reopen_after_ = std::min(reopen_after_ * 2, kReopenMax);
}

void JournalThread::reopen() {
  if (const auto error = open()) return on_open_failed(*error);
  callbacks_.post([on_reopened = callbacks_.on_reopened, known = known_generation_, generation = generation_,
                   state = journal_->opened(), salvaged = journal_->salvaged()] {
    *known = generation;
    on_reopened(state, salvaged);
  });
}

void JournalThread::close() {
  if (!journal_) return;
  // Marks that cannot be written are only older ones after the next start.
  static_cast<void>(journal_->flush());
  journal_.reset();
}

}  // namespace sqlite
