#include "cloud-bridge/adapters/rdkafka/event_reader.hpp"

#include <atomic>
#include <map>
#include <utility>

#include "cloud-bridge/adapters/rdkafka/follower.hpp"
#include "cloud-bridge/adapters/rdkafka/history.hpp"
#include "proto/base/assert.hpp"

namespace kafka {
namespace {

// Readers wait for a page that reaches the end: a broker that has nothing more says so soon.
constexpr Milliseconds history_fetch_wait{20};

stream::ReadFailure closing() { return {.error = stream::ReadError::down, .reason = "the stream is closing"}; }

stream::ReadFailure too_many() { return {.error = stream::ReadError::busy, .reason = "too many reads wait already"}; }

// The question decides what a good answer is.
template <class Good, class Done>
auto expecting(Done done) {
  return [done = std::move(done)](Answer answer) {
    if (!answer) return done(base::fail(answer.error()));
    done(std::get<Good>(std::move(*answer)));
  };
}

}  // namespace

struct EventReader::LoopSide : std::enable_shared_from_this<LoopSide> {
  using Call = std::function<void(Answer answer)>;

  stream::Post post;
  std::function<void()> changed;
  std::map<std::uint64_t, Call> waiting;
  std::uint64_t last_id = 0;
  bool closed = false;
  std::atomic<bool> change_posted = false;
  std::unique_ptr<Follower> follower;
  std::unique_ptr<History> history;

  explicit LoopSide(stream::Post task) : post(std::move(task)) {}

  template <class Task>
  void later(Task task) {
    post([weak = weak_from_this(), task = std::move(task)]() mutable {
      if (const auto alive = weak.lock()) task(*alive);
    });
  }

  void start(const EventReaderSettings& settings) {
    const std::weak_ptr<LoopSide> weak = weak_from_this();
    const ConsumerSettings consumer{.properties = settings.properties, .topic = settings.topic};
    follower = std::make_unique<Follower>(consumer, [weak] {
      const auto alive = weak.lock();
      // Many records in a row are one change.
      if (!alive || alive->change_posted.exchange(true)) return;
      alive->later([](LoopSide& self) {
        self.change_posted = false;
        if (self.changed && !self.closed) self.changed();
      });
    });
    ConsumerSettings patient = consumer;
    patient.fetch_wait = history_fetch_wait;
    history = std::make_unique<History>(patient, [weak](std::uint64_t id, Answer answer) {
      const auto alive = weak.lock();
      if (!alive) return;
      alive->later([id, held = std::make_shared<Answer>(std::move(answer))](LoopSide& self) {
        self.answered(id, std::move(*held));
      });
    });
  }

  void answered(std::uint64_t id, Answer answer) {
    const auto found = waiting.find(id);
    if (found == waiting.end()) return;
    const Call call = std::move(found->second);
    waiting.erase(found);
    call(std::move(answer));
  }

  // Every answer comes by the loop, and takes a place until then.
  std::uint64_t wait(Call call) {
    waiting.emplace(++last_id, std::move(call));
    return last_id;
  }

  void answer_later(std::uint64_t id, Answer answer) {
    later([id, answer = std::move(answer)](LoopSide& self) mutable { self.answered(id, std::move(answer)); });
  }

  // Whether another question may be asked; if not, it is answered so.
  template <class Done>
  bool admits(Done& done) {
    if (!closed && waiting.size() < kWaitingReadsMax) return true;
    later([done = std::move(done), failure = closed ? closing() : too_many()](LoopSide& /*self*/) {
      done(base::fail(failure));
    });
    return false;
  }
};

EventReader::EventReader(const EventReaderSettings& settings, stream::Post post)
    : loop_(std::make_shared<LoopSide>(std::move(post))) {
  loop_->start(settings);
}

EventReader::~EventReader() {
  loop_->history.reset();
  loop_->follower.reset();
}

base::Result<stream::Place, std::string> EventReader::parse(std::string_view text, stream::Bound /*bound*/) const {
  const auto offsets = stream::parse_offsets(text);
  if (!offsets) return base::fail(std::string("0 for the beginning, or PARTITION:OFFSET[,PARTITION:OFFSET ...]"));
  return stream::Place{stream::to_text(*offsets)};
}

void EventReader::find_end(std::size_t back, Placed done) {
  if (!loop_->admits(done)) return;
  const auto id = loop_->wait(expecting<stream::Place>(std::move(done)));
  loop_->history->ask(EndQuestion{.id = id, .back = back});
}

void EventReader::read(stream::Place from, stream::ReadLimits limits, Done done) {
  if (!loop_->admits(done)) return;
  const auto id = loop_->wait(expecting<stream::ReadPage>(std::move(done)));
  auto offsets = stream::parse_offsets(from.text);
  ASSERT(offsets.has_value());
  if (auto page = loop_->follower->read(*offsets, limits)) return loop_->answer_later(id, std::move(*page));
  loop_->history->ask(stream::PageQuestion{.id = id, .from = std::move(*offsets), .limits = limits});
}

void EventReader::watch(std::function<void()> changed) {
  loop_->changed = std::move(changed);
  loop_->follower->want(static_cast<bool>(loop_->changed));
}

void EventReader::close() {
  loop_->closed = true;
  loop_->follower->want(false);
  for (auto& [id, call] : std::exchange(loop_->waiting, {})) {
    loop_->later([call = std::move(call)](LoopSide& /*self*/) { call(base::fail(closing())); });
  }
}

}  // namespace kafka
