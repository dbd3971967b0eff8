#include "proto/platform/http_server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/raw_client.hpp"

using platform::EventStream;
using platform::HttpRequest;
using platform::HttpResponse;
using platform::HttpServer;
using platform::HttpSettings;
using platform::Responder;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds kPatience{20};

// A server whose loop runs only while the test waits for something: no threads, no races.
class Bench {
 public:
  using Handler = std::function<void(HttpRequest, std::shared_ptr<Responder>)>;

  explicit Bench(HttpSettings settings = {}, Handler handler = {}) : handler_(std::move(handler)) {
    settings.listen = "127.0.0.1:0";
    auto started = platform::start_http_server(io, std::move(settings), [this](auto request, auto responder) {
      requests.push_back(request);
      if (handler_) return handler_(std::move(request), std::move(responder));
      responder->send({.body = request.method + " " + request.path + " " + request.body});
    });
    REQUIRE(started.has_value());
    server = *std::move(started);
  }

  bool until(const std::function<bool()>& condition) { return support::run_until(io, condition); }
  [[nodiscard]] std::uint16_t port() const { return support::port_of(server->address()); }

  boost::asio::io_context io{1};
  std::vector<HttpRequest> requests;
  std::unique_ptr<HttpServer> server;

 private:
  Handler handler_;
};

class RawClient : public support::RawClient {
 public:
  explicit RawClient(Bench& bench, const char* source = "127.0.0.1")
      : support::RawClient(bench.io, bench.port(), source) {}
};

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view body) {
  return "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

HttpSettings body_limit(std::size_t bytes) {
  HttpSettings settings;
  settings.max_body_bytes = [bytes](auto, auto) { return bytes; };
  return settings;
}

// The answer to one text, sent by a client of its own that then waits for the end of the connection.
std::string refused(Bench& bench, std::string_view text) {
  RawClient client(bench);
  client.send(text);
  CHECK(client.await_end());
  return client.receive();
}

}  // namespace

TEST_CASE("http: a request reaches the handler whole, and its answer the peer") {
  Bench bench;
  RawClient client(bench);
  client.send(
      "POST /v1/ev%65nts?from=7&name=a+b%26c&flag HTTP/1.1\r\nHost: shop:1\r\nContent-Type: application/json\r\n"
      "Authorization: Bearer t\r\nLast-Event-ID: 9\r\nContent-Length: 2\r\n\r\n{}");
  CHECK(client.await("\r\n\r\nPOST /v1/events {}"));
  CHECK(client.receive().starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n"));
  REQUIRE(bench.requests.size() == 1);
  const HttpRequest& request = bench.requests[0];
  CHECK(request.parameter("from") == "7");
  CHECK(request.parameter("name") == "a b&c");
  CHECK(request.parameter("flag") == "");
  CHECK_FALSE(request.parameter("absent"));
  CHECK(request.host == "shop:1");
  CHECK(request.content_type == "application/json");
  CHECK(request.authorization == "Bearer t");
  CHECK(request.last_event_id == "9");
  CHECK(request.peer_is_loopback);
  CHECK_FALSE(request.tls);
}

TEST_CASE("http: a request may come byte by byte") {
  Bench bench;
  RawClient client(bench);
  const std::string text = post("hello");
  for (const char c : text) {
    client.send({&c, 1});
    bench.until([] { return true; });
    bench.io.restart();
    bench.io.poll();
  }
  CHECK(client.await("POST /a hello"));
}

TEST_CASE("http: connections are kept alive, and pipelined requests answered in order") {
  Bench bench;
  RawClient client(bench);
  std::string text;
  for (int i = 0; i < 100; ++i) text += post("<" + std::to_string(i) + ">");
  client.send(text);
  CHECK(client.await("<99>"));
  std::size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    const std::size_t next = client.receive().find("<" + std::to_string(i) + ">", at);
    REQUIRE(next != std::string::npos);
    at = next;
  }
  CHECK(bench.server->connections() == 1);
}

TEST_CASE("http: pipelined requests wait for an answer that comes later") {
  std::vector<std::shared_ptr<Responder>> waiting;
  Bench bench({}, [&](auto, auto responder) { waiting.push_back(std::move(responder)); });
  RawClient client(bench);
  client.send(std::string(kGet) + std::string(kGet));
  REQUIRE(bench.until([&] { return waiting.size() == 1; }));
  bench.io.restart();
  bench.io.poll();
  CHECK(waiting.size() == 1);
  waiting[0]->send({.body = "first"});
  REQUIRE(bench.until([&] { return waiting.size() == 2; }));
  waiting[1]->send({.body = "second"});
  CHECK(client.await("second"));
  CHECK(client.receive().find("first") < client.receive().find("second"));
}

TEST_CASE("http: HTTP/1.0 and Connection: close end after the answer, keep-alive does not") {
  Bench bench;
  CHECK(refused(bench, "GET /a HTTP/1.0\r\n\r\n").ends_with("Connection: close\r\n\r\nGET /a "));
  CHECK(refused(bench, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ends_with("close\r\n\r\nGET /a "));
  RawClient client(bench);
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.await("Connection: keep-alive\r\n\r\nGET /a "));
  client.send("GET /b HTTP/1.0\r\n\r\n");
  CHECK(client.await("GET /b "));
  CHECK(client.await_end());
}

TEST_CASE("http: chunked bodies arrive joined") {
  Bench bench;
  RawClient client(bench);
  client.send(
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Trailer: "
      "1\r\n\r\n");
  CHECK(client.await("POST /a abcde"));
  client.send(kGet);
  CHECK(client.await("GET /a "));
}

TEST_CASE("http: Expect: 100-continue is answered before the body, when the body is welcome") {
  Bench bench(body_limit(10));
  const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ";
  RawClient client(bench);
  client.send(head + "5\r\n\r\n");
  CHECK(client.await("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("hello");
  CHECK(client.await("POST /a hello"));
  CHECK(refused(bench, head + "11\r\n\r\n").starts_with("HTTP/1.1 413 "));
  CHECK(refused(bench, "POST /a HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nContent-Length: 1\r\n\r\n")
            .starts_with("HTTP/1.1 417 "));
}

TEST_CASE("http: HEAD is GET without the body") {
  Bench bench;
  RawClient client(bench);
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.await("Content-Length: 7\r\n"));
  client.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.await("GET /b "));
  CHECK(client.receive().find("GET /a") == std::string::npos);
}

TEST_CASE("http: malformed requests get 400 and never reach the handler") {
  Bench bench;
  const std::vector<std::string> wrong = {
      "\x16\x03\x01 this is no HTTP\r\n\r\n",
      "GET\r\n\r\n",
      "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET /a HTTP/1.1\nHost: x\n\n",
      "GET /a HTTP/1.1\r\n\r\n",                        // no Host
      "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",  // two
      "GET a HTTP/1.1\r\nHost: x\r\n\r\n",              // no path
      "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n",          // broken escape
      "GET /a%0 HTTP/1.1\r\nHost: x\r\n\r\n",           // cut escape
      "GET /a%00 HTTP/1.1\r\nHost: x\r\n\r\n",          // NUL
      "GET /a?b=%0a HTTP/1.1\r\nHost: x\r\n\r\n",       // newline
      "GET /a HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'e') + "\r\n",
  };
  for (const std::string& text : wrong) {
    CAPTURE(text.substr(0, 80));
    const std::string answer = refused(bench, text);
    CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(answer.find(R"({"error":{"code":"bad_request","message":")") != std::string::npos);
  }
  CHECK(bench.requests.empty());
  CHECK(bench.server->refused_requests() == wrong.size());
}

TEST_CASE("http: compressed bodies get 415") {
  Bench bench;
  const std::string answer =
      refused(bench, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
  CHECK(answer.starts_with("HTTP/1.1 415 "));
  CHECK(bench.requests.empty());
}

TEST_CASE("http: headers up to the limit pass, one byte more gets 431") {
  HttpSettings settings;
  settings.max_header_bytes = 1000;
  Bench bench(settings);
  const auto request = [](std::size_t bytes) {
    const std::string frame = "GET /a HTTP/1.1\r\nHost: x\r\nX-Pad: \r\n\r\n";
    return "GET /a HTTP/1.1\r\nHost: x\r\nX-Pad: " + std::string(bytes - frame.size(), 'p') + "\r\n\r\n";
  };
  RawClient client(bench);
  client.send(request(1000));
  CHECK(client.await("GET /a "));
  CHECK(refused(bench, request(1001)).find(R"("code":"headers_too_large")") != std::string::npos);
  CHECK(refused(bench, std::string(5000, 'G')).starts_with("HTTP/1.1 "));
  CHECK(refused(bench, "GET /" + std::string(5000, 'a')).starts_with("HTTP/1.1 431 "));
  CHECK(refused(bench, "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100'000, 'a')).starts_with("HTTP/1.1 431 "));
  CHECK(bench.requests.size() == 1);
}

TEST_CASE("http: a body beyond its path's limit gets 413 without being read") {
  HttpSettings settings;
  settings.max_body_bytes = [](auto, std::string_view path) -> std::size_t { return path == "/big" ? 100 : 10; };
  Bench bench(settings);
  RawClient client(bench);
  client.send("POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'b'));
  CHECK(client.await("POST /big b"));
  client.send(post("0123456789"));
  CHECK(client.await("POST /a 0123456789"));
  const std::string announced =
      refused(bench, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nabc");
  CHECK(announced.starts_with("HTTP/1.1 413 "));
  CHECK(announced.find(R"("code":"body_too_large")") != std::string::npos);
  CHECK(refused(bench, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n")
            .starts_with("HTTP/1.1 413 "));
  CHECK(refused(bench, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
            .starts_with("HTTP/1.1 413 "));
  CHECK(bench.requests.size() == 2);
}

TEST_CASE("http: a client that is still sending hears why it was refused") {
  Bench bench(body_limit(10));
  RawClient client(bench);
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
  CHECK(client.send(std::string(2'000'000, 'b')));
  CHECK(client.await("HTTP/1.1 413 "));
}

TEST_CASE("http: all bodies in memory together are bounded") {
  HttpSettings settings = body_limit(1000);
  settings.max_bodies_bytes = 1500;
  std::vector<std::shared_ptr<Responder>> waiting;
  Bench bench(settings, [&](auto, auto responder) { waiting.push_back(std::move(responder)); });
  RawClient first(bench);
  first.send(post(std::string(1000, 'a')));
  REQUIRE(bench.until([&] { return waiting.size() == 1; }));
  const std::string answer = refused(bench, post(std::string(501, 'b')));
  CHECK(answer.starts_with("HTTP/1.1 503 "));
  CHECK(answer.find("Retry-After: ") != std::string::npos);
  RawClient second(bench);
  second.send(post(std::string(500, 'c')));
  REQUIRE(bench.until([&] { return waiting.size() == 2; }));
  for (const auto& responder : waiting) responder->send({});
  CHECK(first.await("200 OK"));
  CHECK(second.await("200 OK"));
  second.send(post(std::string(1000, 'd')));
  CHECK(bench.until([&] { return waiting.size() == 3; }));
}

TEST_CASE("http: a slow request gets 408, however steadily it trickles; others are unaffected") {
  HttpSettings settings;
  settings.slow_read = milliseconds(150);
  Bench bench(settings);
  RawClient idle(bench);
  idle.send(kGet);
  CHECK(idle.await("200 OK"));
  bench.requests.clear();
  RawClient slow(bench);
  slow.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
  CHECK(bench.until([&] {
    static_cast<void>(::send(slow.descriptor(), "b", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    return slow.receive().find("HTTP/1.1 408 ") != std::string::npos;
  }));
  CHECK(slow.receive().find(R"("code":"timeout")") != std::string::npos);
  slow.close();
  CHECK(refused(bench, "GET /a HT").starts_with("HTTP/1.1 408 "));
  CHECK(bench.requests.empty());
  CHECK(bench.server->refused_requests() == 2);
  idle.send(kGet);
  CHECK(bench.until([&] { return bench.requests.size() == 1; }));
}

TEST_CASE("http: who connects and never speaks has the time of a slow request, not that of a pause") {
  HttpSettings settings;
  settings.slow_read = milliseconds(100);
  Bench bench(settings);
  RawClient silent(bench);
  CHECK(silent.await_end());
  CHECK(bench.server->connections() == 0);
}

TEST_CASE("http: an idle connection is closed after its time, without a word") {
  HttpSettings settings;
  settings.idle = milliseconds(100);
  Bench bench(settings);
  RawClient silent(bench);
  CHECK(silent.await_end());
  CHECK(silent.receive().empty());
  RawClient used(bench);
  used.send(kGet);
  CHECK(used.await("GET /a "));
  CHECK(used.await_end());
  CHECK(bench.server->connections() == 0);
  CHECK(bench.server->refused_requests() == 0);
}

TEST_CASE("http: a peer that does not read its answer is dropped") {
  HttpSettings settings;
  settings.slow_write = milliseconds(150);
  // More than the kernel's buffers take.
  const std::string large(32'000'000, 'x');  // NOLINT(bugprone-string-constructor)
  Bench bench(settings, [&](auto, auto responder) { responder->send({.body = large}); });
  RawClient client(bench);
  client.send(kGet);
  REQUIRE(bench.until([&] { return bench.requests.size() == 1; }));
  CHECK(bench.until([&] { return bench.server->connections() == 0; }));
}

TEST_CASE("http: a large answer arrives whole") {
  Bench bench({}, [](auto, auto responder) { responder->send({.body = std::string(5'000'000, 'x')}); });
  RawClient client(bench);
  client.send(kGet);
  CHECK(bench.until([&] { return count(client.receive(), "x") >= 5'000'000; }));
}

TEST_CASE("http: a newcomer waits for those who are answered, is told 503 when it takes too long; they go on") {
  HttpSettings settings;
  settings.max_connections = 2;
  std::vector<std::shared_ptr<Responder>> answering;
  Bench bench(settings, [&](auto, auto responder) { answering.push_back(std::move(responder)); });
  RawClient first(bench);
  RawClient second(bench);
  first.send(kGet);
  second.send(kGet);
  REQUIRE(bench.until([&] { return answering.size() == 2; }));
  RawClient third(bench);
  CHECK(third.await_end());
  CHECK(third.receive().starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(third.receive().find("Connection: close\r\n") != std::string::npos);
  CHECK(third.receive().find(R"("code":"busy")") != std::string::npos);
  CHECK(bench.server->connections() == 2);
  CHECK(bench.server->refused_connections() == 1);
  CHECK(bench.server->displaced_connections() == 0);
  // The next one waits until a place is free.
  RawClient fourth(bench);
  fourth.send(kGet);
  for (auto& responder : std::exchange(answering, {})) responder->send({.body = "late"});
  CHECK(first.await("late"));
  CHECK(second.await("late"));
  second.close();
  REQUIRE(bench.until([&] { return answering.size() == 1; }));
  answering[0]->send({.body = "last"});
  CHECK(fourth.await("last"));
}

TEST_CASE("http: at a full door who owes a request gives way, whatever it has begun") {
  for (const std::string_view begun : {"", "P", "POST /a HTTP/1.1\r\nHost: x\r\n",
                                       "POST /a HTTP/1.1\r\nHost: x\r\n"
                                       "Content-Length: 9\r\n\r\nhalf"}) {
    CAPTURE(begun);
    HttpSettings settings;
    settings.max_connections = 2;
    Bench bench(settings);
    RawClient first(bench);
    first.send(begun);
    REQUIRE(bench.until([&] { return bench.server->connections() == 1; }));
    RawClient second(bench);
    second.send(begun);
    REQUIRE(bench.until([&] { return bench.server->connections() == 2; }));
    RawClient third(bench);
    third.send(kGet);
    CHECK(third.await("GET /a "));
    CHECK(first.await_end());
    CHECK_FALSE(second.ended());
    CHECK(bench.server->displaced_connections() == 1);
    CHECK(bench.server->refused_connections() == 0);
  }
}

TEST_CASE("http: a peer that does not take its answer gives way, too") {
  HttpSettings settings;
  settings.max_connections = 1;
  const std::string large(32'000'000, 'x');  // NOLINT(bugprone-string-constructor)
  Bench bench(settings, [&](auto request, auto responder) {
    responder->send({.body = request.path == "/large" ? large : "small"});
  });
  RawClient slow(bench);
  slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(bench.until([&] { return bench.requests.size() == 1; }));
  RawClient other(bench);
  other.send(kGet);
  CHECK(other.await("small"));
  CHECK(bench.server->displaced_connections() == 1);
}

TEST_CASE("http: nobody gives way to a newcomer that has gone") {
  HttpSettings settings;
  settings.max_connections = 2;
  Bench bench(settings);
  RawClient first(bench);
  RawClient second(bench);
  first.send("G");
  second.send("G");
  REQUIRE(bench.until([&] { return bench.server->connections() == 2; }));
  {
    RawClient gone(bench);
  }
  RawClient last(bench);
  last.send(kGet);
  CHECK(last.await("GET /a "));
  CHECK(bench.server->displaced_connections() == 1);
}

TEST_CASE("http: one address that keeps all its connections busy does not keep another out") {
  HttpSettings settings;
  settings.max_connections = 3;
  Bench bench(settings);
  std::vector<std::unique_ptr<RawClient>> busy;
  for (int i = 0; i < 3; ++i) busy.push_back(std::make_unique<RawClient>(bench, "127.0.0.2"));
  REQUIRE(bench.until([&] { return bench.server->connections() == 3; }));
  RawClient terminal(bench);
  terminal.send(kGet);
  std::vector<std::size_t> answered(busy.size());
  const bool served = bench.until([&] {
    // Each asks again as soon as it is answered.
    for (std::size_t i = 0; i < busy.size(); ++i) {
      const std::size_t answers = count(busy[i]->receive(), "200 OK");
      if (answers >= answered[i]) busy[i]->send(kGet);
      answered[i] = answers + 1;
    }
    return terminal.receive().find("GET /a ") != std::string::npos;
  });
  CHECK(served);
  CHECK(bench.server->displaced_connections() == 1);
  CHECK(bench.server->refused_connections() == 0);
}

TEST_CASE("http: stop turns away who waits, and leaves no work behind") {
  HttpSettings settings;
  settings.max_connections = 1;
  std::vector<std::shared_ptr<Responder>> answering;
  Bench bench(settings, [&](auto, auto responder) { answering.push_back(std::move(responder)); });
  RawClient first(bench);
  first.send(kGet);
  REQUIRE(bench.until([&] { return answering.size() == 1; }));
  RawClient second(bench);
  second.send(kGet);
  for (int i = 0; i < 20; ++i) bench.io.poll();
  bench.server->stop();
  answering[0]->send({.body = "done"});
  CHECK(second.await("503"));
  CHECK(first.await("done"));
  first.close();
  second.close();
  REQUIRE(bench.until([&] { return bench.server->connections() == 0; }));
  bench.io.restart();
  CHECK(bench.io.run_for(std::chrono::seconds(20)) < 100);
  CHECK(bench.io.stopped());
}

TEST_CASE("http: without file descriptors accepting pauses, and open connections go on") {
  Bench bench;
  RawClient open(bench);
  open.send(kGet);
  CHECK(open.await("GET /a "));
  std::vector<std::unique_ptr<RawClient>> late;
  for (int i = 0; i < 3; ++i) late.push_back(std::make_unique<RawClient>(bench));

  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  std::vector<int> taken;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) {
    taken.push_back(fd);
    const rlimit now{.rlim_cur = static_cast<rlim_t>(fd) + 1, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  CHECK(bench.until([&] { return bench.server->accept_pauses() > 0; }));
  // Pauses are counted, so a spin would show: 20 polls cannot see more than the pause between them allows.
  const auto pauses = bench.server->accept_pauses();
  for (int i = 0; i < 20; ++i) bench.io.poll();
  CHECK(bench.server->accept_pauses() <= pauses + 1);
  open.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(open.await("GET /b "));

  for (const int fd : taken) ::close(fd);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  for (auto& client : late) {
    client->send(kGet);
    CHECK(client->await("200 OK"));
  }
}

TEST_CASE("http: a peer that goes while its answer is pending costs nothing") {
  std::vector<std::shared_ptr<Responder>> waiting;
  Bench bench({}, [&](auto, auto responder) { waiting.push_back(std::move(responder)); });
  for (int i = 0; i < 3; ++i) {
    RawClient client(bench);
    client.send(kGet);
    REQUIRE(bench.until([&] { return waiting.size() == static_cast<std::size_t>(i + 1); }));
  }
  waiting[0]->send({.body = std::string(8'000'000, 'x')});
  auto stream = waiting[1]->stream();
  bool closed = false;
  stream->on_closed([&] { closed = true; });
  waiting.clear();  // the third: dropped
  CHECK(bench.until([&] { return bench.server->connections() == 0; }));
  CHECK(closed);
  CHECK_FALSE(stream->write("late"));
}

TEST_CASE("http: a request that nobody answers gets 500") {
  Bench bench({}, [](auto, auto) {});
  RawClient client(bench);
  client.send(kGet);
  CHECK(client.await("HTTP/1.1 500 "));
}

TEST_CASE("http: responders may outlive the server") {
  std::shared_ptr<Responder> responder;
  std::shared_ptr<Responder> streamer;
  {
    Bench bench({}, [&](auto, auto r) { (responder ? streamer : responder) = std::move(r); });
    RawClient client(bench);
    client.send(kGet);
    REQUIRE(bench.until([&] { return responder != nullptr; }));
    RawClient other(bench);
    other.send(kGet);
    REQUIRE(bench.until([&] { return streamer != nullptr; }));
  }
  responder->send({});
  bool closed = false;
  const auto stream = streamer->stream();
  stream->on_closed([&] { closed = true; });
  CHECK(closed);
  CHECK_FALSE(stream->write("x"));
}

TEST_CASE("http: a header value cannot end its line") {
  Bench bench({}, [](auto, auto responder) { responder->send({.headers = {{"Location", "/a\r\nX-Injected: 1"}}}); });
  RawClient client(bench);
  client.send(kGet);
  CHECK(client.await("Location: /a  X-Injected: 1\r\n"));
}

TEST_CASE("http: stop answers what is open, closes what is idle, and leaves no work behind") {
  std::vector<std::shared_ptr<Responder>> waiting;
  Bench bench({}, [&](auto, auto responder) { waiting.push_back(std::move(responder)); });
  RawClient idle(bench);
  RawClient busy(bench);
  busy.send(std::string(kGet) + std::string(kGet));
  REQUIRE(bench.until([&] { return waiting.size() == 1 && bench.server->connections() == 2; }));
  bench.server->stop();
  CHECK(idle.await_end());
  waiting[0]->send({.body = "done"});
  CHECK(busy.await_end());
  CHECK(busy.receive().find("Connection: close\r\n\r\ndone") != std::string::npos);
  CHECK(waiting.size() == 1);  // the second was not begun
  busy.close();
  CHECK(bench.until([&] { return bench.server->connections() == 0; }));
  bench.io.restart();
  CHECK(bench.io.run_for(kPatience) < 10);  // returns: nothing is left to wait for
  CHECK(bench.io.stopped());
  const int late = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(bench.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(late, reinterpret_cast<sockaddr*>(&address), sizeof address) == -1);
  ::close(late);
}

TEST_CASE("http: a taken port is an error with address, cause and remedy") {
  Bench bench;
  boost::asio::io_context io;
  HttpSettings settings;
  settings.listen = bench.server->address();
  const auto second = platform::start_http_server(io, settings, {});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error() ==
        "cannot listen on " + settings.listen +
            ": Address already in use; another program listens there: stop it, or choose another port (0: "
            "any free one)");
  settings.listen = "shop.example:1";
  CHECK(platform::start_http_server(io, settings, {})
            .error()
            .starts_with("the address to listen on is \"shop.example:1\"; needed:"));
}

TEST_CASE("http: IPv6 works") {
  boost::asio::io_context io;
  HttpSettings settings;
  settings.listen = "[::1]:0";
  const auto server = platform::start_http_server(io, settings, {});
  if (!server && server.error().find("IPv6") != std::string::npos) return;
  if (!server && server.error().find("no interface") != std::string::npos) return;
  REQUIRE(server.has_value());
  CHECK((*server)->address().starts_with("[::1]:"));
}

TEST_CASE("http stream: events reach the reader as they are written, and the end is proper") {
  std::shared_ptr<EventStream> stream;
  Bench bench({}, [&](auto, auto responder) { stream = responder->stream(); });
  RawClient client(bench);
  client.send(kGet);
  CHECK(client.await("Content-Type: text/event-stream\r\n"));
  CHECK(stream->write("data: one\n\n"));
  CHECK(client.await("b\r\ndata: one\n\n\r\n"));
  CHECK(stream->write("data: two\n\n"));
  CHECK(stream->write(""));  // nothing, not the end
  CHECK(stream->write("data: three\n\n"));
  CHECK(client.await("data: three"));
  CHECK_FALSE(client.ended());
  stream->close();
  CHECK(client.await_end());
  CHECK(client.receive().ends_with("\r\n0\r\n\r\n"));
  CHECK_FALSE(stream->write("late"));
}

TEST_CASE("http stream: HTTP/1.0 readers get the bare events, HEAD only the head") {
  std::shared_ptr<EventStream> stream;
  Bench bench({}, [&](auto, auto responder) { stream = responder->stream("text/plain"); });
  RawClient client(bench);
  client.send("GET /a HTTP/1.0\r\n\r\n");
  REQUIRE(bench.until([&] { return stream != nullptr; }));
  CHECK(stream->write("one"));
  stream.reset();  // dropping it ends it
  CHECK(client.await_end());
  CHECK(client.receive().ends_with("\r\n\r\none"));
  RawClient head(bench);
  head.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(head.await_end());
  CHECK(head.receive().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"));
  CHECK_FALSE(stream->write("x"));
}

TEST_CASE("http stream: a slow reader fills the buffer, not the memory; on_drained says when to go on") {
  HttpSettings settings;
  settings.stream_buffer_bytes = 100'000;
  std::shared_ptr<EventStream> stream;
  Bench bench(settings, [&](auto, auto responder) { stream = responder->stream(); });
  RawClient client(bench);
  client.send(kGet);
  REQUIRE(bench.until([&] { return stream != nullptr; }));
  int drained = 0;
  stream->on_drained([&] { ++drained; });
  std::size_t written = 0;
  const std::string chunk(10'000, 'x');
  const auto fill = [&] {
    while (stream->write(chunk)) written += chunk.size();
  };
  // Until what the kernel holds is full, too.
  REQUIRE(bench.until([&] {
    const std::size_t before = written;
    fill();
    for (int i = 0; i < 10; ++i) bench.io.poll();
    return written == before;
  }));
  CHECK(drained >= 0);
  drained = 0;
  CHECK(bench.until([&] {
    client.receive();
    return drained > 0;
  }));
  const int once = drained;
  CHECK(once == 1);
  fill();
  CHECK(bench.until([&] { return count(client.receive(), "x") >= written; }));
}

TEST_CASE("http stream: a reader that takes nothing is dropped after its time, and on_closed is called once") {
  HttpSettings settings;
  settings.slow_write = milliseconds(150);
  std::shared_ptr<EventStream> stream;
  Bench bench(settings, [&](auto, auto responder) { stream = responder->stream(); });
  RawClient client(bench);
  client.send(kGet);
  REQUIRE(bench.until([&] { return stream != nullptr; }));
  int closed = 0;
  stream->on_closed([&] { ++closed; });
  const std::string chunk(100'000, 'x');
  CHECK(bench.until([&] {
    static_cast<void>(stream->write(chunk));
    return closed > 0;
  }));
  CHECK(closed == 1);
  CHECK(bench.server->connections() == 0);
}

TEST_CASE("http stream: a quiet stream is not idle, and its reader's going is noticed at once") {
  HttpSettings settings;
  settings.idle = milliseconds(50);
  settings.slow_write = milliseconds(50);
  settings.slow_read = milliseconds(50);
  std::shared_ptr<EventStream> stream;
  Bench bench(settings, [&](auto, auto responder) { stream = responder->stream(); });
  RawClient client(bench);
  client.send(kGet);
  CHECK(client.await("text/event-stream"));
  bool closed = false;
  stream->on_closed([&] { closed = true; });
  // An idle neighbour that is closed meanwhile shows that the time has passed.
  RawClient neighbour(bench);
  CHECK(neighbour.await_end());
  CHECK_FALSE(client.ended());
  CHECK_FALSE(closed);
  client.close();
  CHECK(bench.until([&] { return closed; }));
}

TEST_CASE("http stream: stop and destruction close streams") {
  std::vector<std::shared_ptr<EventStream>> streams;
  auto bench =
      std::make_unique<Bench>(HttpSettings{}, [&](auto, auto responder) { streams.push_back(responder->stream()); });
  RawClient client(*bench);
  client.send(kGet);
  REQUIRE(bench->until([&] { return streams.size() == 1; }));
  int closed = 0;
  streams[0]->on_closed([&] { ++closed; });
  SUBCASE("stop") {
    bench->server->stop();
    CHECK(client.await_end());
    CHECK(client.receive().ends_with("0\r\n\r\n"));
    client.close();
    CHECK(bench->until([&] { return closed == 1; }));
  }
  SUBCASE("destruction") {
    bench->server.reset();
    CHECK(closed == 1);
    CHECK_FALSE(streams[0]->write("x"));
  }
}
