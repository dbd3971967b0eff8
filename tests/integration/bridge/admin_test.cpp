// The admin port over real HTTP, on a stream in memory.
#include "cloud-bridge/adapters/net/admin.hpp"

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <future>
#include <thread>
#include <vector>

#include "cloud-bridge/adapters/net/event_feed.hpp"
#include "cloud-bridge/adapters/net/page.hpp"
#include "proto/platform/http_client.hpp"
#include "tests/integration/gateway/place.hpp"
#include "tests/support/stream/memory_stream.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_records.hpp"

using namespace std::chrono_literals;

namespace {

// Keeps the answers to one place's questions until they are released.
class HoldingReader final : public stream::StreamReader {
 public:
  explicit HoldingReader(stream::StreamReader& inner) : inner_(inner) {}

  void hold(std::string place) { held_ = std::move(place); }
  void release() {
    held_.clear();
    for (const auto& ask : std::exchange(waiting_, {})) ask();
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  [[nodiscard]] base::Result<stream::Place, std::string> parse(std::string_view text,
                                                               stream::Bound bound) const override {
    return inner_.parse(text, bound);
  }
  void find_end(std::size_t back, Placed done) override { inner_.find_end(back, std::move(done)); }
  void read(stream::Place from, stream::ReadLimits limits, Done done) override {
    if (from.text != held_) return inner_.read(std::move(from), limits, std::move(done));
    waiting_.emplace_back([this, from, limits, done] { inner_.read(from, limits, done); });
  }
  void watch(std::function<void()> changed) override { inner_.watch(std::move(changed)); }

 private:
  stream::StreamReader& inner_;
  std::string held_;
  std::vector<std::function<void()>> waiting_;
};

// Everything on the loop's own thread; tests speak HTTP with it, and hand it work by run().
class Rig {
 public:
  explicit Rig(const std::string& token = "", std::size_t readers_max = 4)
      : work_(boost::asio::make_work_guard(io_)),
        stream_(store_, [this](std::function<void()> task) { boost::asio::post(io_, std::move(task)); }),
        feed_(std::make_unique<net::EventFeed>(io_, reader_, readers_max)),
        admin_({.snapshot = [this] { return snapshot; },
                .limits = {},
                .release =
                    [](const std::string& id) {
                      return id == "shop-1" ? std::string("released") : std::string("unknown");
                    }},
               *feed_, token) {
    platform::HttpSettings settings;
    settings.listen = "127.0.0.1:0";
    server_ = std::move(*platform::start_http_server(
        io_, settings,
        [this](const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
          admin_.on_request(request, responder);
        }));
    stream_.open(owner_);
    snapshot.stream.up = true;
    snapshot.broker.connected = true;
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Rig() {
    run([this] {
      feed_->stop();
      server_.reset();
      feed_.reset();
    });
    work_.reset();
    io_.stop();
    thread_.join();
  }

  void run(const std::function<void()>& task) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      task();
      done.set_value();
    });
    done.get_future().get();
  }
  void hold(const std::string& place) {
    run([&] { reader_.hold(place); });
  }
  void release() {
    run([this] { reader_.release(); });
  }
  std::size_t held() {
    std::size_t held = 0;
    run([&] { held = reader_.waiting(); });
    return held;
  }
  // Commits events first to last of one gateway.
  void commit(std::uint64_t first, std::uint64_t last) {
    run([&] {
      stream_.begin(stream::Partition(0), stream::TransactionId(++transaction_),
                    test::transaction("shop-1", 1, first, last));
    });
    REQUIRE(testing::wait_until([&] {
      bool committed = false;
      run([&] { committed = owner_.committed.size() == transaction_; });
      return committed;
    }));
  }
  platform::HttpAnswer get(const std::string& path, const std::string& token = "", std::string_view method = "GET",
                           std::string_view body = "") {
    platform::HttpClientSettings settings;
    settings.token = token;
    const auto answer = platform::http_request(method, "http://" + server_->address() + path, body, settings);
    REQUIRE_MESSAGE(answer, answer.error());
    return *answer;
  }
  // Reads server-sent events until so many have come; `on_event` is called after each chunk.
  std::string follow(const std::string& path, std::size_t events, const std::function<void()>& on_chunk = {}) {
    std::string text;
    static_cast<void>(
        platform::http_request("GET", "http://" + server_->address() + path, {}, {}, [&](std::string_view bytes) {
          text += bytes;
          if (on_chunk) on_chunk();
          return count(text) < events;
        }));
    return text;
  }
  static std::size_t count(const std::string& text) {
    std::size_t found = 0;
    for (std::size_t at = text.find("\ndata: "); at != std::string::npos; at = text.find("\ndata: ", at + 1)) ++found;
    return found;
  }

  status::Snapshot snapshot;

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  test::MemoryStreamStore store_;
  test::RecordingOwner owner_;
  test::MemoryStream stream_;
  HoldingReader reader_{stream_};
  std::unique_ptr<net::EventFeed> feed_;
  net::Admin admin_;
  std::unique_ptr<platform::HttpServer> server_;
  std::thread thread_;
  std::uint64_t transaction_ = 0;
};

}  // namespace

TEST_CASE("admin: the page and its files come with a policy that lets nothing foreign in") {
  Rig rig;
  CHECK(rig.get("/").content_type == "text/html; charset=utf-8");
  CHECK(rig.get("/page.js").content_type == "text/javascript; charset=utf-8");
  CHECK(rig.get("/page.css").status == 200);
  for (const char* path : {"/", "/page.js", "/page.css"}) {
    const auto file = net::page_file(path);
    REQUIRE(file);
    CHECK(file->content.find("http://") == std::string_view::npos);
    CHECK(file->content.find("https://") == std::string_view::npos);
    CHECK(file->content.find("innerHTML") == std::string_view::npos);
  }
}

TEST_CASE("admin: health is 200 or 503 with the reasons") {
  Rig rig;
  CHECK(rig.get("/healthz").status == 200);
  rig.run([&] { rig.snapshot.stream.up = false; });
  for (const char* path : {"/healthz", "/readyz"}) {
    const auto answer = rig.get(path);
    CHECK(answer.status == 503);
    CHECK(answer.body.find("stream_down") != std::string::npos);
  }
}

TEST_CASE("admin: unknown paths, wrong methods and wrong parameters have their answers") {
  Rig rig;
  CHECK(rig.get("/nothing").status == 404);
  CHECK(rig.get("/v1/status", "", "POST", "{}").status == 405);
  CHECK(rig.get("/v1/status", "", "DELETE").status == 405);
  CHECK(rig.get("/v1/gateways/shop-1/release").status == 405);
  CHECK(rig.get("/v1/gateways/shop-1").status == 404);
  CHECK(rig.get("/v1/events?from=x").status == 400);
  CHECK(rig.get("/v1/events?from=-1").status == 400);
  CHECK(rig.get("/v1/events?from=-1").body.find("a number from 0 on") != std::string::npos);
  for (const char* last : {"", "x", "-1", "1001"}) CHECK(rig.get(std::string("/v1/events?last=") + last).status == 400);
  CHECK(rig.get("/v1/events?frm=0").body.find("nearest: from; allowed: from, last") != std::string::npos);
  CHECK(rig.get("/v1/events?from=0&from=1").body.find("from is given twice") != std::string::npos);
  CHECK(rig.get("/v1/events?from=0&last=1").status == 400);
  CHECK(rig.get("/v1/status?verbose=1").status == 400);
  CHECK(rig.get("/v1/gateways/shop-1/release", "", "POST", "{}").status == 200);
  CHECK(rig.get("/v1/gateways/shop-2/release", "", "POST", "{}").status == 404);
  CHECK(rig.get("/metrics").body.find("tillstream_bridge_healthy 1") != std::string::npos);
}

TEST_CASE("admin: where a token is set, nothing but the page and the bare verdict goes without it") {
  const std::string token = "0123456789abcdef";
  Rig rig(token);
  CHECK(rig.get("/").status == 200);
  CHECK(rig.get("/healthz").status == 200);
  rig.run([&] { rig.snapshot.stream.up = false; });
  CHECK(rig.get("/healthz").body.find("stream_down") == std::string::npos);
  for (const char* path : {"/v1/status", "/metrics", "/v1/events?from=0"}) {
    CHECK(rig.get(path).status == 401);
    CHECK(rig.get(path, "0123456789abcdee").status == 401);
  }
  CHECK(rig.get("/v1/gateways/shop-1/release", "", "POST", "{}").status == 401);
  CHECK(rig.get("/v1/status", token).status == 200);
}

TEST_CASE(
    "events: from a position on, everything comes once, in order, with its position as id, then what follows live") {
  Rig rig;
  rig.commit(1, 700);
  bool more = false;
  const std::string text = rig.follow("/v1/events?from=0", 710, [&] {
    if (!more) rig.commit(701, 710);
    more = true;
  });
  std::size_t at = 0;
  for (int id = 1; id <= 710; ++id) {
    const std::string line =
        "id: " + std::to_string(id) + "\ndata: {\"schema_version\":1,\"seq\":" + std::to_string(id) + "}\n\n";
    CAPTURE(id);
    const std::size_t found = text.find(line, at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK(Rig::count(text) == 710);
  CHECK(rig.follow("/v1/events?from=709", 1).find("id: 709\n") != std::string::npos);
}

TEST_CASE("events: without a position only what comes from now on; beyond the end they wait") {
  Rig rig;
  rig.commit(1, 5);
  bool more = false;
  const auto commit_once = [&] {
    if (!more) rig.commit(6, 7);
    more = true;
  };
  CHECK(rig.follow("/v1/events", 1, commit_once).find("id: 6\n") != std::string::npos);
  more = false;
  const auto commit_more = [&] {
    if (!more) rig.commit(8, 12);
    more = true;
  };
  const std::string text = rig.follow("/v1/events?from=10", 3, commit_more);
  CHECK(text.find("id: 9\n") == std::string::npos);
  CHECK(text.find("id: 10\n") != std::string::npos);
}

TEST_CASE("events: the last few and what comes from now on") {
  Rig rig;
  rig.commit(1, 50);
  bool more = false;
  const std::string text = rig.follow("/v1/events?last=3", 4, [&] {
    if (!more) rig.commit(51, 51);
    more = true;
  });
  CHECK(Rig::count(text) == 4);
  CHECK(text.find("id: 47\n") == std::string::npos);
  for (const char* id : {"id: 48\n", "id: 49\n", "id: 50\n", "id: 51\n"}) CHECK(text.find(id) != std::string::npos);
  CHECK(rig.follow("/v1/events?last=1000", 51).find("id: 1\n") != std::string::npos);
}

TEST_CASE("events: one reader too many is refused, and there is room again when one has gone") {
  Rig rig("", 1);
  rig.commit(1, 1);
  bool asked = false;
  rig.follow("/v1/events?from=0", 1, [&] {
    if (!asked) CHECK(rig.get("/v1/events?from=0").status == 503);
    asked = true;
  });
  CHECK(asked);
  REQUIRE(testing::wait_until([&] { return Rig::count(rig.follow("/v1/events?from=0", 1)) == 1; }));
}

TEST_CASE(
    "events: a reader whose page takes long holds up nobody who stands elsewhere, and readers beside it share it") {
  Rig rig;
  rig.commit(1, 20);
  rig.hold("1");
  std::array<std::future<std::string>, 2> slow;
  for (auto& reader : slow)
    reader = std::async(std::launch::async, [&rig] { return rig.follow("/v1/events?from=1", 20); });
  REQUIRE(testing::wait_until([&rig] { return rig.held() == 1; }));
  CHECK(Rig::count(rig.follow("/v1/events?from=11", 10)) == 10);
  CHECK(rig.held() == 1);
  rig.release();
  for (auto& reader : slow) CHECK(Rig::count(reader.get()) == 20);
}
