#include "proto/platform/http_client.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "proto/platform/http_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace fs = std::filesystem;
using platform::EventStream;
using platform::http_request;
using platform::HttpClientSettings;
using platform::HttpRequest;
using platform::HttpServer;
using platform::HttpSettings;
using platform::Responder;
using platform::TlsFiles;
using std::chrono::milliseconds;

namespace {

// A server on a thread of its own, for the blocking client.
class ServerThread {
 public:
  explicit ServerThread(HttpSettings settings, platform::HttpHandler handler) {
    settings.listen = "127.0.0.1:0";
    auto started = platform::start_http_server(io_, std::move(settings), std::move(handler));
    if (!started) FAIL(started.error());
    server_ = *std::move(started);
    address_ = server_->address();
    thread_ = std::jthread([this] { io_.run(); });
  }
  ServerThread(const ServerThread&) = delete;
  ServerThread& operator=(const ServerThread&) = delete;
  // On the server's thread.
  template <class Function>
  auto ask(Function function) {
    std::promise<decltype(function(*server_))> promise;
    boost::asio::post(io_, [&] { promise.set_value(function(*server_)); });
    return promise.get_future().get();
  }

  ~ServerThread() {
    ask([this](HttpServer&) {
      server_.reset();
      return 0;
    });
    io_.stop();
  }

  [[nodiscard]] std::string url(std::string_view path, bool tls = false) const {
    return std::string(tls ? "https://" : "http://") + address_ + std::string(path);
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<HttpServer> server_;
  std::string address_;
  std::jthread thread_;
};

void echo(HttpRequest request, const std::shared_ptr<Responder>& responder) {
  responder->send({.body = request.method + " " + request.path + " " + request.authorization + " " +
                           request.content_type + " " + request.body + (request.tls ? " tls" : "")});
}

// A folder with a CA, certificates for 127.0.0.1 (two, to tell them apart) and a client certificate.
class Certificates {
 public:
  Certificates() {
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout ca.key -out "
        "ca.pem");
    make("one", "/CN=one");
    make("two", "/CN=two");
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other -keyout other.key "
        "-out other.pem");
    run("ec -in one.key -aes128 -passout pass:geheim -out locked.key");
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return folder_.file(name); }
  [[nodiscard]] TlsFiles files(const std::string& name) const {
    return {.certificate = path(name + ".pem"), .key = path(name + ".key"), .client_ca = {}};
  }
  // The exit status of openssl, run in the folder.
  int run(const std::string& arguments) const {
    return std::system(
        ("cd " + folder_.path().string() + " && timeout 20 openssl " + arguments + " >out.txt 2>&1 </dev/null")
            .c_str());
  }

 private:
  void make(const std::string& name, const std::string& subject) {
    std::ofstream(folder_.file("ext")) << "subjectAltName=IP:127.0.0.1\n";
    run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj " + subject + " -keyout " + name +
        ".key -out " + name + ".csr");
    REQUIRE(run("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out " +
                name + ".pem") == 0);
  }

  support::TempFolder folder_;
};

const Certificates& certificates() {
  static const Certificates certificates;
  return certificates;
}

HttpClientSettings trusting(const std::string& ca) { return {.timeout = std::chrono::seconds(20), .ca = ca}; }

}  // namespace

TEST_CASE("http client: asks and gets the answer, whatever its status") {
  ServerThread server({}, [](auto request, auto responder) {
    if (request.path == "/none") return responder->send(platform::error_response(404, "not_found", "no \"such\" page"));
    echo(std::move(request), responder);
  });
  const auto answer = http_request("POST", server.url("/v1/x?y=z"), "{}", {.token = "secret"});
  REQUIRE(answer.has_value());
  CHECK(answer->status == 200);
  CHECK(answer->content_type == "application/json");
  CHECK(answer->body == "POST /v1/x Bearer secret application/json {}");
  const auto missing = http_request("GET", server.url("/none"));
  REQUIRE(missing.has_value());
  CHECK(missing->status == 404);
  CHECK(missing->body == R"({"error":{"code":"not_found","message":"no \"such\" page"}})");
  const auto head = http_request("HEAD", server.url("/"));
  REQUIRE(head.has_value());
  CHECK(head->body.empty());
}

TEST_CASE("http client: takes a stream in parts, and may end it") {
  ServerThread server({}, [](auto, auto responder) {
    const auto stream = responder->stream("application/x-ndjson");
    for (int i = 0; i < 1000; ++i) CHECK(stream->write("line\n"));
  });
  std::size_t bytes = 0;
  const auto answer = http_request("GET", server.url("/"), {}, {}, [&](std::string_view part) {
    bytes += part.size();
    return true;
  });
  REQUIRE(answer.has_value());
  CHECK(bytes == 5000);
  CHECK(answer->body.empty());
  CHECK_FALSE(http_request("GET", server.url("/"), {}, {}, [](auto) { return false; }).has_value());
}

TEST_CASE("http client: an answer that is cut off is an error, not a short answer") {
  std::shared_ptr<EventStream> stream;
  ServerThread server({}, [&](auto, auto responder) {
    stream = responder->stream();
    CHECK(stream->write("half"));
  });
  std::string seen;
  const auto answer = http_request("GET", server.url("/"), {}, {}, [&](std::string_view part) {
    seen += part;
    server.ask([](HttpServer& s) {
      s.stop();
      return 0;
    });
    return true;
  });
  CHECK(seen == "half");
  CHECK(answer.has_value());  // stop() ends streams properly
  const auto none = http_request("GET", server.url("/"));
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().find("Connection refused") != std::string::npos);
}

TEST_CASE("http client: wrong URLs, silence and oversized answers are errors that say so") {
  for (const char* url : {"", "127.0.0.1:80", "ftp://127.0.0.1/", "http://", "http://:80/"}) {
    CAPTURE(std::string(url));
    CHECK(http_request("GET", url).error().find("is not a URL") != std::string::npos);
  }
  std::shared_ptr<Responder> never;
  ServerThread server({}, [&](auto request, auto responder) {
    if (request.path == "/silent") {
      never = responder;
    } else {
      responder->send({.body = std::string(1000, 'x')});
    }
  });
  CHECK(http_request("GET", server.url("/silent"), {}, {.timeout = milliseconds(100)}).error().find("timed out") !=
        std::string::npos);
  CHECK(http_request("GET", server.url("/"), {}, {.max_body_bytes = 999}).error().find("too large") !=
        std::string::npos);
  CHECK(http_request("GET", server.url("/"), {}, {.max_body_bytes = 1000}).has_value());
  server.ask([&](HttpServer&) {
    never.reset();
    return 0;
  });
}

TEST_CASE("tls: requests and streams work, and the client refuses a certificate that it does not know") {
  HttpSettings settings;
  settings.tls = certificates().files("one");
  ServerThread server(settings, [](auto request, auto responder) {
    if (request.path != "/stream") return echo(std::move(request), responder);
    const auto stream = responder->stream();
    CHECK(stream->write(std::string(200'000, 's')));
  });
  const auto good = trusting(certificates().path("ca.pem"));
  const auto answer = http_request("POST", server.url("/a", true), std::string(60'000, 'b'), good);
  REQUIRE_MESSAGE(answer.has_value(), answer.error());
  CHECK(answer->body.ends_with("bbb tls"));
  const auto streamed = http_request("GET", server.url("/stream", true), {}, good);
  REQUIRE_MESSAGE(streamed.has_value(), streamed.error());
  CHECK(streamed->body == std::string(200'000, 's'));
  const auto stranger = http_request("GET", server.url("/", true), {}, trusting(certificates().path("other.pem")));
  REQUIRE_FALSE(stranger.has_value());
  CHECK(stranger.error().find("certificate verify failed") != std::string::npos);
  CHECK(server.ask([](HttpServer& s) { return s.failed_handshakes(); }) >= 1);
}

TEST_CASE("tls: versions before 1.2 and plain HTTP get nowhere") {
  HttpSettings settings;
  settings.tls = certificates().files("one");
  ServerThread server(settings, echo);
  const std::string address = server.url("", true).substr(8);
  CHECK(certificates().run("s_client -connect " + address + " -tls1_1 -cipher DEFAULT@SECLEVEL=0") != 0);
  CHECK(certificates().run("s_client -connect " + address + " -tls1_2") == 0);
  CHECK(certificates().run("s_client -connect " + address + " -tls1_3") == 0);
  CHECK_FALSE(http_request("GET", server.url("/")).has_value());
}

TEST_CASE("tls: with a client CA only its clients get in") {
  HttpSettings settings;
  settings.tls = certificates().files("one");
  settings.tls->client_ca = certificates().path("ca.pem");
  ServerThread server(settings, echo);
  const std::string address = server.url("", true).substr(8);
  CHECK_FALSE(http_request("GET", server.url("/", true), {}, trusting(certificates().path("ca.pem"))).has_value());
  CHECK(certificates().run("s_client -connect " + address + " -tls1_2") != 0);
  CHECK(certificates().run("s_client -connect " + address + " -tls1_2 -cert other.pem -key other.key") != 0);
  CHECK(certificates().run("s_client -connect " + address + " -tls1_2 -cert two.pem -key two.key") == 0);
}

TEST_CASE("tls: a handshake that stalls ends after its time") {
  HttpSettings settings;
  settings.tls = certificates().files("one");
  settings.slow_read = milliseconds(100);
  ServerThread server(settings, echo);
  const std::string address = server.url("", true);
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(silent, reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0);
  char byte = 0;
  CHECK(::recv(silent, &byte, 1, 0) <= 0);  // blocks until the server closes
  CHECK(server.ask([](HttpServer& s) { return s.failed_handshakes(); }) == 1);
  ::close(silent);
}

TEST_CASE("tls: reload takes the new files, and keeps the old ones when the new are wrong") {
  const std::string live = certificates().path("live");
  const auto install = [&](const std::string& name) {
    for (const char* part : {".pem", ".key"}) {
      fs::copy_file(certificates().path(name + part), live + part, fs::copy_options::overwrite_existing);
    }
  };
  install("one");
  HttpSettings settings;
  settings.tls = certificates().files("live");
  ServerThread server(settings, echo);
  const auto reload = [&] {
    return server.ask([](HttpServer& s) {
      const auto done = s.reload_tls();
      return done ? std::string() : done.error();
    });
  };
  const std::string address = server.url("", true).substr(8);
  const auto subject_is = [&](const std::string& name) {
    certificates().run("s_client -connect " + address + " -tls1_2");
    std::ifstream out(certificates().path("out.txt"));
    const std::string text((std::istreambuf_iterator<char>(out)), {});
    return text.find("subject=CN = " + name) != std::string::npos;
  };
  CHECK(subject_is("one"));
  install("two");
  CHECK(subject_is("one"));
  CHECK(reload().empty());
  CHECK(subject_is("two"));
  std::ofstream(live + ".pem") << "nonsense";
  CHECK(reload().starts_with("certificate " + live + ".pem: "));
  CHECK(subject_is("two"));
}

TEST_CASE("tls: wrong files are errors that name the file") {
  const auto error_of = [](const TlsFiles& files) {
    boost::asio::io_context io;
    HttpSettings settings;
    settings.listen = "127.0.0.1:0";
    settings.tls = files;
    const auto server = platform::start_http_server(io, settings, {});
    return server ? std::string() : server.error();
  };
  TlsFiles files = certificates().files("one");
  files.certificate = "/nonexistent.pem";
  CHECK(error_of(files) == "certificate /nonexistent.pem: No such file or directory");
  files = certificates().files("one");
  files.key = "/nonexistent.key";
  CHECK(error_of(files) == "key /nonexistent.key: No such file or directory");
  files.key = certificates().path("two.key");
  CHECK(error_of(files) == "key " + files.key + ": does not belong to the certificate " + files.certificate);
  files.key = certificates().path("locked.key");
  CHECK(error_of(files).starts_with("key " + files.key + ": "));
  files = certificates().files("one");
  files.client_ca = certificates().path("one.key");
  CHECK(error_of(files).starts_with("client CA " + files.client_ca + ": "));
  CHECK(error_of(certificates().files("one")).empty());
}
