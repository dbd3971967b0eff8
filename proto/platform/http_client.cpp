#include "proto/platform/http_client.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <utility>

namespace platform {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::response_parser<http::string_body>;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using TlsStream = asio::ssl::stream<Socket>;

constexpr std::uint32_t kHeaderBytesMax = 64 * 1024;

struct Url {
  bool tls = false;
  std::string host;  // without brackets
  std::string port;
  std::string authority;  // as written: for the Host header
  std::string target;
};

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(url.tls ? 8 : 7);
  const std::size_t slash = std::min(text.find('/'), text.size());
  url.authority = text.substr(0, slash);
  url.target = slash == text.size() ? "/" : std::string(text.substr(slash));
  const std::size_t colon = url.authority.rfind(':');
  const bool has_port = colon != std::string::npos && url.authority.find(']', colon) == std::string::npos;
  url.host = url.authority.substr(0, has_port ? colon : std::string::npos);
  url.port = has_port ? url.authority.substr(colon + 1) : url.tls ? "443" : "80";
  if (url.host.starts_with('[') && url.host.ends_with(']')) url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty() || url.port.empty()) return std::nullopt;
  return url;
}

std::string base64(std::string_view bytes) {
  // Four characters for each three bytes, and EVP_EncodeBlock's zero behind.
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string request_text(std::string_view method, const Url& url, std::string_view body,
                         const HttpClientSettings& settings) {
  std::string text =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", method, url.target, url.authority);
  if (!settings.token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", settings.token);
  if (!settings.username.empty())
    text += fmt::format("Authorization: Basic {}\r\n", base64(settings.username + ":" + settings.password));
  if (!body.empty())
    text += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", settings.content_type, body.size());
  return text.append("\r\n").append(body);
}

// One request; every step is an asynchronous operation that run() waits for, so that each has a limit.
class Exchange {
 public:
  Exchange(std::string_view method, const Url& url, const HttpClientSettings& settings, const HttpChunk& on_chunk)
      : method_(method), url_(url), settings_(settings), on_chunk_(on_chunk) {}

  std::expected<HttpAnswer, std::string> run(std::string_view body) {
    if (const std::string error = connect(); !error.empty()) return failed("connect to", error);
    const std::string text = request_text(method_, url_, body, settings_);
    return stream_ ? talk(*stream_, text) : talk(socket_, text);
  }

 private:
  std::unexpected<std::string> failed(std::string_view what, std::string_view why) const {
    return std::unexpected(fmt::format("cannot {} {}: {}", what, url_.authority, why));
  }

  // Starts an operation with a completion handler and waits for its end. Empty, or what went wrong.
  template <class Start>
  error_code wait(Start start) {
    std::optional<error_code> result;
    start([&result](const error_code& error, auto&&... /*unused*/) { result = error; });
    io_.restart();
    const auto deadline = std::chrono::steady_clock::now() + settings_.timeout;
    while (!result && io_.run_one_until(deadline) > 0) {
    }
    if (result) return *result;
    // The operation must end before what it refers to does.
    error_code ignored;
    socket_.close(ignored);
    if (stream_) stream_->next_layer().close(ignored);
    resolver_.cancel();
    while (!result && io_.run_one() > 0) {
    }
    return asio::error::timed_out;
  }

  std::string connect() {
    decltype(resolver_)::results_type endpoints;
    error_code error = wait([&](auto done) {
      resolver_.async_resolve(url_.host, url_.port, [&endpoints, done](const error_code& e, const auto& found) mutable {
        endpoints = found;
        done(e);
      });
    });
    if (!error) {
      error = wait([&](auto done) {
        asio::async_connect(socket_, endpoints, [done](const error_code& e, const tcp::endpoint&) mutable { done(e); });
      });
    }
    if (error) return error.message();
    return url_.tls ? begin_tls() : std::string();
  }

  std::string begin_tls() {
    context_.emplace(asio::ssl::context::tls_client);
    error_code error;
    if (settings_.ca.empty()) {
      context_->set_default_verify_paths(error);
    } else {
      context_->load_verify_file(settings_.ca, error);
      if (error) return fmt::format("CA {}: {}", settings_.ca, error.message());
    }
    stream_.emplace(std::move(socket_), *context_);
    stream_->set_verify_mode(asio::ssl::verify_peer, error);
    stream_->set_verify_callback(asio::ssl::host_name_verification(url_.host), error);
    ::SSL_set_tlsext_host_name(stream_->native_handle(), url_.host.c_str());
    error = wait([&](auto done) { stream_->async_handshake(asio::ssl::stream_base::client, done); });
    return error ? error.message() : std::string();
  }

  template <class Stream>
  std::expected<HttpAnswer, std::string> talk(Stream& stream, const std::string& text) {
    // A server may answer and close before it has read all: its answer counts, not our failure to write.
    const error_code unwritten = wait([&](auto done) { asio::async_write(stream, asio::buffer(text), done); });
    parser_.header_limit(kHeaderBytesMax);
    parser_.body_limit(boost::none);
    parser_.skip(method_ == "HEAD");
    std::string input;
    while (!parser_.is_done()) {
      if (const std::string error = receive(stream, input); !error.empty()) {
        return failed("get an answer from", unwritten ? unwritten.message() : error);
      }
    }
    return HttpAnswer{.status = parser_.get().result_int(),
                      .content_type = std::string(parser_.get()[http::field::content_type]),
                      .body = std::move(parser_.get().body())};
  }

  // Reads once and parses. Empty, or what went wrong.
  template <class Stream>
  std::string receive(Stream& stream, std::string& input) {
    std::array<char, 16 * 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): read into
    std::size_t count = 0;
    error_code error = wait([&](auto done) {
      stream.async_read_some(asio::buffer(bytes), [&count, done](const error_code& e, std::size_t n) mutable {
        count = n;
        done(e);
      });
    });
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) return end_of_input();
    if (error) return error.message();
    input.append(bytes.data(), count);
    return parse(input);
  }

  // Complete only when the body has no announced length.
  std::string end_of_input() {
    error_code error;
    if (!parser_.got_some()) return "the connection was closed without an answer";
    parser_.put_eof(error);
    return error ? "the answer ends too early" : "";
  }

  std::string parse(std::string& input) {
    error_code error;
    std::size_t used = 1;
    while (used > 0 && !parser_.is_done() && !input.empty()) {
      used = parser_.put(asio::buffer(input), error);
      input.erase(0, used);
      if (error == http::error::need_more) break;
      if (error) return fmt::format("the answer is not valid HTTP: {}", error.message());
      if (!take_body()) return on_chunk_ ? "ended by us" : "the answer is too large";
      if (parser_.is_done() && parser_.get().result_int() == 100) return "an interim answer was not asked for";
    }
    return {};
  }

  bool take_body() {
    std::string& body = parser_.get().body();
    if (!on_chunk_ || parser_.get().result_int() / 100 != 2) return body.size() <= settings_.max_body_bytes;
    const bool go_on = body.empty() || on_chunk_(body);
    body.clear();
    return go_on;
  }

  std::string_view method_;
  const Url& url_;
  const HttpClientSettings& settings_;
  const HttpChunk& on_chunk_;
  asio::io_context io_{1};
  asio::ip::basic_resolver<tcp, asio::io_context::executor_type> resolver_{io_};
  Socket socket_{io_};
  std::optional<asio::ssl::context> context_;
  std::optional<TlsStream> stream_;
  Parser parser_;
};

}  // namespace

std::expected<HttpAnswer, std::string> http_request(std::string_view method, std::string_view url,
                                                    std::string_view body, const HttpClientSettings& settings,
                                                    const HttpChunk& on_chunk) {
  const auto parsed = parse_url(url);
  if (!parsed) return std::unexpected(fmt::format("\"{}\" is not a URL such as http://127.0.0.1:8800/v1/status", url));
  return Exchange(method, *parsed, settings, on_chunk).run(body);
}

}  // namespace platform
