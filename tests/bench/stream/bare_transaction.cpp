// The floor of a stream: its own records, read into memory first and then written again by its library alone.
//
//   bare_transaction sqlite STREAM_DB           lone SECONDS PER_SECOND | bulk GROUP ROWS
//   bare_transaction kafka BOOTSTRAP TOPICS     lone SECONDS PER_SECOND | bulk GROUP ROWS
//
// lone: one record a transaction, at a steady pace, up to a consumer; microseconds. bulk: GROUP records a transaction,
// one transaction after the other; records a second, and CPU seconds of this process for all of them. One progress
// record is in each. SQLite: into a database beside the bridge's, of its tables and settings; the consumer selects by
// another connection and writes the value to a socket. Kafka: from TOPICS.events and TOPICS.progress into
// bare.events and bare.progress, by two transactional producers in turn with the bridge's settings. One line of JSON.
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/stream/readers.hpp"
#include "tests/bench/stream/timing.hpp"

namespace {

constexpr std::size_t rows_max = 100'000;  // kept in memory; then from the first again

class Stream {
 public:
  virtual ~Stream() = default;
  virtual void commit(std::size_t records) = 0;
  // From now on each further record that a consumer gets is noted: 1, 2, 3 …
  virtual void follow(bench::Arrivals& arrivals) = 0;
  virtual void unfollow() = 0;
  // After a lone commit; what a consumer has to do for it that is not told by the library.
  virtual void pass_on() {}
};

class KafkaStream final : public Stream {
 public:
  KafkaStream(std::string bootstrap, const std::string& topics) : bootstrap_(std::move(bootstrap)) {
    records_ = read_all(topics + ".events");
    progress_ = read_all(topics + ".progress");
    ASSERT(!records_.empty() && !progress_.empty());
    for (std::size_t i = 0; i < producers_.size(); ++i) {
      producers_.at(i) = bench::make_kafka(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstrap_},
                                                               {"transactional.id", fmt::format("bare-{}", i)},
                                                               {"transaction.timeout.ms", "10000"},
                                                               {"enable.idempotence", "true"},
                                                               {"acks", "all"},
                                                               {"partitioner", "murmur2_random"},
                                                               {"message.timeout.ms", "10000"},
                                                               {"socket.nagle.disable", "true"},
                                                               {"queue.buffering.max.messages", "1000000"}});
      check(rd_kafka_init_transactions(producers_.at(i).get(), patience_ms));
    }
  }
  void commit(std::size_t records) override {
    rd_kafka_t* const producer = producers_.at(turn_++ % producers_.size()).get();
    check(rd_kafka_begin_transaction(producer));
    for (std::size_t i = 0; i < records; ++i) put(producer, "bare.events", *records_[at_++ % records_.size()]);
    put(producer, "bare.progress", *progress_.back());
    check(rd_kafka_commit_transaction(producer, patience_ms));
    rd_kafka_poll(producer, 0);
  }
  void follow(bench::Arrivals& arrivals) override {
    reading_ = std::jthread(
        [&arrivals, reader = std::make_unique<bench::KafkaReader>(
                        bootstrap_, "bare.events", bench::KafkaReader::From::end)](const std::stop_token& stop) {
          for (unsigned number = 1; !stop.stop_requested();) {
            if (reader->next()) arrivals.note(number++);
          }
        });
  }
  void unfollow() override { reading_ = {}; }

 private:
  static constexpr int patience_ms = 60'000;
  struct Destroy {
    void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  };
  using Messages = std::vector<std::unique_ptr<rd_kafka_message_t, Destroy>>;

  // Their memory is the reader's.
  Messages read_all(const std::string& topic) {
    readers_.push_back(std::make_unique<bench::KafkaReader>(bootstrap_, topic, bench::KafkaReader::From::beginning));
    Messages all;
    for (int idle = 0; idle < 20 && all.size() < rows_max;) {
      rd_kafka_message_t* const message = readers_.back()->next_message();
      if (message == nullptr) {
        ++idle;
        continue;
      }
      idle = 0;
      all.emplace_back(message);
    }
    readers_.back()->pause();
    return all;
  }
  static void check(rd_kafka_error_t* error) {
    if (error != nullptr) fmt::print(stderr, "{}\n", rd_kafka_error_string(error));
    ASSERT(error == nullptr);
  }
  static void put(rd_kafka_t* producer, const char* topic, const rd_kafka_message_t& record) {
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
      headers = rd_kafka_headers_copy(headers);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
      code = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(record.key, record.key_len),
                               RD_KAFKA_V_VALUE(record.payload, record.len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                               RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
      if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) rd_kafka_poll(producer, 5);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    ASSERT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  std::string bootstrap_;
  std::vector<std::unique_ptr<bench::KafkaReader>> readers_;
  Messages records_;
  Messages progress_;
  std::array<bench::KafkaClient, 2> producers_;
  std::size_t turn_ = 0;
  std::size_t at_ = 0;
  std::jthread reading_;
};

class Sqlite {
 public:
  explicit Sqlite(const std::string& path) {
    ASSERT(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
    sqlite3_busy_timeout(db_, 10'000);
  }
  ~Sqlite() { sqlite3_close_v2(db_); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  void run(const std::string& sql) { ASSERT(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK); }
  [[nodiscard]] sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    ASSERT(sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) == SQLITE_OK);
    return statement;
  }
  [[nodiscard]] std::int64_t last_row() const { return sqlite3_last_insert_rowid(db_); }
  // All columns as text; nullopt is NULL.
  using Row = std::vector<std::optional<std::string>>;
  [[nodiscard]] std::vector<Row> rows(const char* sql) {
    sqlite3_stmt* const scan = prepare(sql);
    std::vector<Row> all;
    while (all.size() < rows_max && sqlite3_step(scan) == SQLITE_ROW) {
      Row& row = all.emplace_back();
      for (int i = 0; i < sqlite3_column_count(scan); ++i) {
        const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(scan, i));
        if (bytes == nullptr)
          row.emplace_back();
        else
          row.emplace_back(std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(scan, i))));
      }
    }
    sqlite3_finalize(scan);
    return all;
  }

 private:
  sqlite3* db_ = nullptr;
};

void insert(sqlite3_stmt* statement, const Sqlite::Row& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto place = static_cast<int>(i) + 1;
    if (row[i])
      sqlite3_bind_text(statement, place, row[i]->data(), static_cast<int>(row[i]->size()), SQLITE_STATIC);
    else
      sqlite3_bind_null(statement, place);
  }
  ASSERT(sqlite3_step(statement) == SQLITE_DONE);
  sqlite3_reset(statement);
}

class SqliteStream final : public Stream {
 public:
  explicit SqliteStream(const std::filesystem::path& stream)
      : file_(stream.parent_path() / "bare-stream.db"), database_((remove_old(file_), file_.string())) {
    Sqlite own(stream.string());
    records_ = own.rows(
        "SELECT event_id, gateway_id, epoch, seq, key, type, occurred_at, received_at, published_at, headers, value"
        " FROM events WHERE seq IS NOT NULL ORDER BY position");
    progress_ = own.rows("SELECT gateway_id, epoch, seq, digest, state FROM progress");
    ASSERT(!records_.empty() && !progress_.empty());
    for (const char* sql : {"PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                            "PRAGMA cache_size = -32768", "PRAGMA mmap_size = 0", "PRAGMA wal_autocheckpoint = 2000"})
      database_.run(sql);
    for (const auto& table :
         own.rows("SELECT sql FROM sqlite_master WHERE name IN ('events', 'progress', 'events_place')"))
      database_.run(*table[0]);
    insert_ = database_.prepare(
        "INSERT INTO events(event_id, gateway_id, epoch, seq, key, type, occurred_at, received_at, published_at,"
        " headers, value) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    store_ = database_.prepare("INSERT OR REPLACE INTO progress VALUES(?1, ?2, ?3, ?4, ?5)");
    consumer_.emplace(file_.string());
    select_ = consumer_->prepare("SELECT position, value FROM events WHERE position >= ?1 ORDER BY position LIMIT 1");
  }
  ~SqliteStream() override {
    for (sqlite3_stmt* const statement : {insert_, store_, select_}) sqlite3_finalize(statement);
    for (const int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  SqliteStream(const SqliteStream&) = delete;
  SqliteStream& operator=(const SqliteStream&) = delete;

  void commit(std::size_t records) override {
    database_.run("BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < records; ++i) {
      Sqlite::Row& row = records_[at_++ % records_.size()];
      row[3] = std::to_string(at_);  // the seq
      insert(insert_, row);
    }
    insert(store_, progress_.back());
    database_.run("COMMIT");
  }
  void follow(bench::Arrivals& arrivals) override {
    ASSERT(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) == 0);
    reading_ = std::jthread([&arrivals, end = ends_[1]] {
      std::array<char, 65536> chunk{};
      for (unsigned number = 1; ::read(end, chunk.data(), chunk.size()) > 0; ++number) arrivals.note(number);
    });
  }
  void pass_on() override {
    sqlite3_bind_int64(select_, 1, database_.last_row());
    ASSERT(sqlite3_step(select_) == SQLITE_ROW);
    const auto bytes = static_cast<std::size_t>(sqlite3_column_bytes(select_, 1));
    ASSERT(::write(ends_[0], sqlite3_column_blob(select_, 1), bytes) == static_cast<ssize_t>(bytes));
    sqlite3_reset(select_);
  }
  void unfollow() override {
    ::shutdown(ends_[0], SHUT_RDWR);
    reading_ = {};
  }

 private:
  static void remove_old(const std::filesystem::path& file) {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
  }

  std::filesystem::path file_;
  Sqlite database_;
  std::optional<Sqlite> consumer_;
  std::vector<Sqlite::Row> records_;
  std::vector<Sqlite::Row> progress_;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* store_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
  std::size_t at_ = 0;
  std::array<int, 2> ends_{-1, -1};
  std::jthread reading_;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void lone(Stream& stream, double seconds, double per_second) {
  // Each producer asks the brokers about its topics once.
  for (int i = 0; i < 2; ++i) stream.commit(1);
  bench::Arrivals arrivals;
  stream.follow(arrivals);
  std::vector<double> times;
  bench::at_pace(seconds, per_second, [&](unsigned number) {
    const auto begun = bench::Clock::now();
    stream.commit(1);
    stream.pass_on();
    times.push_back(bench::microseconds(arrivals.wait(number) - begun));
  });
  stream.unfollow();
  fmt::print("{{{}}}\n", bench::quantiles(times));
}

void bulk(Stream& stream, std::size_t group, std::size_t rows) {
  stream.commit(1);
  const auto begun = bench::Clock::now();
  const double cpu = cpu_seconds();
  std::size_t written = 0;
  for (; written < rows; written += group) stream.commit(group);
  const double seconds = bench::microseconds(bench::Clock::now() - begun) / 1e6;
  fmt::print(R"({{"per_second": {:.0f}, "cpu_microseconds": {:.2f}}})"
             "\n",
             static_cast<double>(written) / seconds, (cpu_seconds() - cpu) / static_cast<double>(written) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc >= 6);
  const bool kafka = std::string_view(argv[1]) == "kafka";
  char** const rest = argv + (kafka ? 4 : 3);
  ASSERT(argc == (kafka ? 7 : 6));
  std::unique_ptr<Stream> stream;
  if (kafka)
    stream = std::make_unique<KafkaStream>(argv[2], argv[3]);
  else
    stream = std::make_unique<SqliteStream>(argv[2]);
  if (std::string_view(rest[0]) == "lone")
    lone(*stream, std::atof(rest[1]), std::atof(rest[2]));
  else
    bulk(*stream, static_cast<std::size_t>(std::atoll(rest[1])), static_cast<std::size_t>(std::atoll(rest[2])));
}
