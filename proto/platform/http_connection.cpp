#include "proto/platform/http_connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/assert.hpp"
#include "proto/base/wipe.hpp"
#include "proto/platform/http_text.hpp"
#include "proto/platform/lobby.hpp"

namespace platform {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

using Parser = http::request_parser<http::string_body>;

constexpr std::size_t kInputBytesMin = 4 * 1024;
constexpr std::size_t kInputBytesMax = 64 * 1024;
constexpr std::size_t kOutputBytesKept = 64 * 1024;
constexpr std::size_t kBodyBytesDefault = 64 * 1024;
constexpr std::size_t kLingerBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kStreamInputBytesMax = 64 * 1024;
constexpr std::chrono::seconds kStalled{1};
constexpr std::chrono::seconds kLinger{5};
constexpr std::chrono::seconds kLingerStopping{1};
constexpr Clock::time_point kNever = Clock::time_point::max();

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// Bytes that came and are not parsed yet. Grows as needed, up to kInputBytesMax, and shrinks when empty. Keeps nothing
// of what was parsed: it may be card data.
class InputBuffer {
 public:
  [[nodiscard]] asio::const_buffer data() const { return {bytes_.data() + begin_, end_ - begin_}; }
  [[nodiscard]] std::string_view text() const { return std::string_view(bytes_).substr(begin_, end_ - begin_); }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool full() const { return size() == kInputBytesMax; }

  void consume(std::size_t count) {
    base::wipe(bytes_.data() + begin_, count);
    begin_ += count;
  }
  void commit(std::size_t count) { end_ += count; }

  // Room to read into; empty when full.
  [[nodiscard]] asio::mutable_buffer prepare() {
    make_room();
    return {bytes_.data() + end_, bytes_.size() - end_};
  }

 private:
  void make_room() {
    if (begin_ > 0) {
      std::memmove(bytes_.data(), bytes_.data() + begin_, size());
      base::wipe(bytes_.data() + size(), begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ == 0 && bytes_.size() > kInputBytesMin) bytes_ = std::string();
    if (end_ == bytes_.size()) bytes_.resize(std::clamp(4 * bytes_.size(), kInputBytesMin, kInputBytesMax));
  }

  std::string bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct Refusal {
  unsigned status;
  std::string_view code;
  std::string_view message;
};

constexpr Refusal kMalformed{400, "bad_request", "this is not a valid HTTP/1.1 request"};
constexpr Refusal kHeadersTooLarge{431, "headers_too_large", "the request's headers are too large"};
constexpr Refusal kBodyTooLarge{413, "body_too_large", "the request's body is too large"};
constexpr Refusal kTooSlow{408, "timeout", "the request did not arrive in time"};
constexpr Refusal kBusy{503, "busy", "too many requests at once; try again"};
constexpr Refusal kExpectation{417, "expectation_failed", "the only expectation known is 100-continue"};
constexpr Refusal kEncoding{415, "unsupported_media_type", "compressed bodies are not supported; send it as it is"};

Refusal refusal_of(const error_code& error) {
  if (error == http::error::header_limit) return kHeadersTooLarge;
  if (error == http::error::body_limit) return kBodyTooLarge;
  return kMalformed;
}

enum class State { handshaking, idle, reading, waiting, writing, streaming, lingering, closed };
enum class AfterWrite { next_request, rest_of_body, linger };

// The logic; what differs between plain and TLS is in its two ends below.
class Connection : public HttpConnection, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(std::shared_ptr<HttpCore> core) : core_(std::move(core)) {}

  void start() override;
  void sweep(Clock::time_point now) override;
  [[nodiscard]] const Origin& origin() const override { return origin_; }
  [[nodiscard]] std::optional<Clock::time_point> unheard_since(Clock::time_point now) const override;
  void stop() override;
  void abort() override;

  // For the responder and the stream of the request with that number; any other is over.
  void respond(std::uint64_t request, HttpResponse response);
  [[nodiscard]] bool begin_stream(std::uint64_t request, std::string content_type);
  [[nodiscard]] bool write_stream(std::uint64_t request, std::string_view chunk);
  void close_stream(std::uint64_t request);
  void on_drained(std::uint64_t request, std::function<void()> callback);
  void on_closed(std::uint64_t request, std::function<void()> callback);

 protected:
  [[nodiscard]] virtual bool is_tls() const = 0;
  [[nodiscard]] virtual Socket& socket() = 0;
  // Each begins one operation and ends in the method named after it.
  virtual void handshake() = 0;
  virtual void read(asio::mutable_buffer into) = 0;
  virtual void write(asio::const_buffer from) = 0;
  virtual void say_goodbye() = 0;

  void handshaken(const error_code& error);
  void have_read(const error_code& error, std::size_t count);
  void have_written(const error_code& error, std::size_t count);
  void have_said_goodbye();

 private:
  void enter(State state, std::chrono::milliseconds limit) {
    state_ = state;
    unheard_since_ = Clock::now();
    deadline_ = limit == std::chrono::milliseconds::max() ? kNever : unheard_since_ + limit;
  }
  [[nodiscard]] bool streams(std::uint64_t request) const {
    return state_ == State::streaming && request == request_number_;
  }

  void next_request();
  void parse();
  [[nodiscard]] bool parse_some();
  [[nodiscard]] std::optional<Refusal> check_header();
  [[nodiscard]] std::optional<Refusal> check_fields() const;
  [[nodiscard]] std::optional<Refusal> check_body_size();
  void take_fields();
  [[nodiscard]] bool wants_continue() const;
  void send_continue();
  [[nodiscard]] bool charge_body();
  void release_body();
  void dispatch();
  void refuse(const Refusal& refusal);
  void send(const HttpResponse& response);
  void write_output();
  void written_all();
  void stream_written();
  void linger();
  void drop_input();

  std::shared_ptr<HttpCore> core_;
  State state_ = State::idle;
  Clock::time_point unheard_since_;
  Clock::time_point deadline_ = kNever;
  Origin origin_{};
  bool read_pending_ = false;
  bool peer_is_loopback_ = false;

  InputBuffer input_;
  std::optional<Parser> parser_;
  bool header_checked_ = false;
  std::size_t header_bytes_ = 0;
  std::size_t body_bytes_ = 0;  // charged to core_->bodies_bytes
  // By pointer: what a moved string leaves behind inside itself goes with it.
  std::unique_ptr<HttpRequest> request_;
  std::uint64_t request_number_ = 0;
  bool head_ = false;
  bool http_1_1_ = true;
  bool keep_alive_ = true;

  std::string output_;  // under way, from written_ on
  std::size_t written_ = 0;
  AfterWrite after_write_ = AfterWrite::next_request;

  std::string stream_output_;  // waits for output_
  bool stream_full_ = false;
  bool stream_ending_ = false;
  std::size_t dropped_bytes_ = 0;
  std::function<void()> drained_;
  std::function<void()> closed_;
};

// --- the handler's ends ------------------------------------------------------

class ConnectionStream final : public EventStream {
 public:
  ConnectionStream(std::weak_ptr<Connection> connection, std::uint64_t request)
      : connection_(std::move(connection)), request_(request) {}
  ConnectionStream(const ConnectionStream&) = delete;
  ConnectionStream& operator=(const ConnectionStream&) = delete;
  ~ConnectionStream() override { end(); }

  bool write(std::string chunk) override {
    const auto connection = connection_.lock();
    return connection != nullptr && connection->write_stream(request_, chunk);
  }
  void on_drained(std::function<void()> callback) override {
    if (const auto connection = connection_.lock()) connection->on_drained(request_, std::move(callback));
  }
  void on_closed(std::function<void()> callback) override {
    if (const auto connection = connection_.lock()) return connection->on_closed(request_, std::move(callback));
    callback();
  }
  void close() override { end(); }

 private:
  void end() {
    if (const auto connection = connection_.lock()) connection->close_stream(request_);
  }

  std::weak_ptr<Connection> connection_;
  std::uint64_t request_;
};

class ConnectionResponder final : public Responder {
 public:
  ConnectionResponder(std::weak_ptr<Connection> connection, std::uint64_t request)
      : connection_(std::move(connection)), request_(request) {}
  ConnectionResponder(const ConnectionResponder&) = delete;
  ConnectionResponder& operator=(const ConnectionResponder&) = delete;
  ~ConnectionResponder() override {
    if (!answered_) answer(error_response(500, "internal", "no answer was made"));
  }

  void send(HttpResponse response) override {
    ASSERT(!answered_);
    answer(std::move(response));
  }
  std::shared_ptr<EventStream> stream(std::string content_type) override {
    ASSERT(!answered_);
    answered_ = true;
    const auto connection = connection_.lock();
    const bool begun = connection != nullptr && connection->begin_stream(request_, std::move(content_type));
    return std::make_shared<ConnectionStream>(begun ? connection_ : std::weak_ptr<Connection>(), request_);
  }

 private:
  void answer(HttpResponse response) {
    answered_ = true;
    if (const auto connection = connection_.lock()) connection->respond(request_, std::move(response));
  }

  std::weak_ptr<Connection> connection_;
  std::uint64_t request_;
  bool answered_ = false;
};

// --- life --------------------------------------------------------------------

void Connection::start() {
  error_code ignored;
  socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto peer = socket().remote_endpoint(ignored).address();
  origin_ = origin_of(peer);
  peer_is_loopback_ =
      peer.is_loopback() || (peer.is_v6() && peer.to_v6().is_v4_mapped() &&
                             asio::ip::make_address_v4(asio::ip::v4_mapped, peer.to_v6()).is_loopback());
  if (!is_tls()) return next_request();
  enter(State::handshaking, core_->settings.slow_read);
  handshake();
}

void Connection::handshaken(const error_code& error) {
  if (state_ == State::closed) return;
  if (!error) return next_request();
  ++core_->failed_handshakes;
  abort();
}

void Connection::sweep(Clock::time_point now) {
  if (now < deadline_) return;
  if (state_ == State::reading) return refuse(kTooSlow);
  if (state_ == State::handshaking) ++core_->failed_handshakes;
  abort();
}

std::optional<Clock::time_point> Connection::unheard_since(Clock::time_point now) const {
  switch (state_) {
    case State::waiting:
    case State::streaming:
    case State::closed:
      return std::nullopt;
    case State::writing:
      // An answer on its way is ours, one that the peer does not take is its own.
      return now - unheard_since_ < kStalled ? std::nullopt : std::optional(unheard_since_);
    default:
      return unheard_since_;
  }
}

void Connection::stop() {
  switch (state_) {
    case State::idle:
    case State::handshaking:
      return abort();
    case State::streaming:
      return close_stream(request_number_);
    default:
      keep_alive_ = false;
  }
}

void Connection::abort() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  enter(State::closed, std::chrono::milliseconds::max());
  error_code ignored;
  socket().close(ignored);
  release_body();
  core_->connections.erase(self);
  drained_ = nullptr;
  if (const auto closed = std::exchange(closed_, nullptr)) closed();
}

// --- reading -----------------------------------------------------------------

void Connection::next_request() {
  release_body();
  if (core_->stopping || !keep_alive_) return linger();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(core_->settings.max_header_bytes));
  parser_->body_limit(boost::none);  // by path, once the header is known
  header_checked_ = false;
  header_bytes_ = 0;
  request_ = std::make_unique<HttpRequest>();
  ++request_number_;
  // Who connects has something to say: the first request has no more time than a slow one.
  const auto idle = core_->settings.idle;
  enter(State::idle, request_number_ == 1 ? std::min(idle, core_->settings.slow_read) : idle);
  if (input_.size() == 0) {
    read_pending_ = true;
    return read(input_.prepare());
  }
  enter(State::reading, core_->settings.slow_read);
  parse();
}

void Connection::have_read(const error_code& error, std::size_t count) {
  read_pending_ = false;
  if (state_ != State::idle && state_ != State::reading && state_ != State::streaming) return;
  if (error) return abort();
  if (state_ == State::streaming) {
    // Nobody has anything to say here; reading goes on only to notice when the peer goes.
    dropped_bytes_ += count;
    if (dropped_bytes_ > kStreamInputBytesMax) return abort();
    read_pending_ = true;
    return read(input_.prepare());
  }
  input_.commit(count);
  if (state_ == State::idle) enter(State::reading, core_->settings.slow_read);
  parse();
}

void Connection::parse() {
  while (state_ == State::reading) {
    if (!parse_some()) return;
  }
}

// One step; false when the parser waits for more input, or for something else.
bool Connection::parse_some() {
  while (!parser_->got_some() && input_.text().starts_with("\r\n")) input_.consume(2);  // RFC 9112, 2.2
  error_code error;
  const std::size_t used = parser_->put(input_.data(), error);
  input_.consume(used);
  if (!header_checked_) header_bytes_ += used;
  if (error && error != http::error::need_more) {
    refuse(refusal_of(error));
    return false;
  }
  if (!header_checked_) {
    const std::size_t unparsed = parser_->is_header_done() ? 0 : input_.size();
    if (header_bytes_ + unparsed > core_->settings.max_header_bytes) {
      refuse(kHeadersTooLarge);
      return false;
    }
    if (parser_->is_header_done()) {
      if (const auto refusal = check_header()) {
        refuse(*refusal);
        return false;
      }
      if (wants_continue()) {
        send_continue();
        return false;
      }
    }
  }
  if (header_checked_ && !charge_body()) {
    refuse(kBusy);
    return false;
  }
  if (parser_->is_done()) {
    dispatch();
    return false;
  }
  if (used > 0 && input_.size() > 0) return true;
  if (input_.full()) {  // a chunk's header or trailer without end
    refuse(kMalformed);
    return false;
  }
  read_pending_ = true;
  read(input_.prepare());
  return false;
}

std::optional<Refusal> Connection::check_header() {
  header_checked_ = true;
  http_1_1_ = parser_->get().version() >= 11;
  keep_alive_ = parser_->keep_alive();
  if (auto refusal = check_fields()) return refusal;
  take_fields();
  if (!parse_target(view(parser_->get().target()), *request_)) return kMalformed;
  return check_body_size();
}

std::optional<Refusal> Connection::check_fields() const {
  const auto& header = parser_->get();
  const auto hosts = header.count(http::field::host);
  if (hosts > 1 || (http_1_1_ && hosts == 0)) return kMalformed;
  // Anything but exactly "chunked" (which HTTP/1.0 does not know) would leave open where the body ends.
  const auto codings = header.count(http::field::transfer_encoding);
  const bool chunked = codings == 1 && equal_ignoring_case(view(header[http::field::transfer_encoding]), "chunked");
  if (codings > 0 && (!chunked || !http_1_1_)) return kMalformed;
  const std::string_view expectation = view(header[http::field::expect]);
  if (!expectation.empty() && !equal_ignoring_case(expectation, "100-continue")) return kExpectation;
  const std::string_view encoding = view(header[http::field::content_encoding]);
  if (!encoding.empty() && !equal_ignoring_case(encoding, "identity")) return kEncoding;
  return std::nullopt;
}

void Connection::take_fields() {
  const auto& header = parser_->get();
  head_ = header.method() == http::verb::head;
  request_->method = head_ ? "GET" : std::string(header.method_string());
  request_->host = std::string(header[http::field::host]);
  request_->content_type = std::string(header[http::field::content_type]);
  request_->authorization = std::string(header[http::field::authorization]);
  request_->last_event_id = std::string(header["Last-Event-ID"]);
  request_->peer_is_loopback = peer_is_loopback_;
  request_->tls = is_tls();
}

std::optional<Refusal> Connection::check_body_size() {
  const auto& max_body_bytes = core_->settings.max_body_bytes;
  const std::size_t limit = max_body_bytes ? max_body_bytes(request_->method, request_->path) : kBodyBytesDefault;
  const auto length = parser_->is_done() ? boost::none : parser_->content_length();
  if (length && *length > limit) return kBodyTooLarge;
  parser_->body_limit(limit);
  return std::nullopt;
}

// A client that has already begun with the body waits for nothing.
bool Connection::wants_continue() const {
  return http_1_1_ && !parser_->is_done() && input_.size() == 0 && parser_->get().count(http::field::expect) > 0;
}

void Connection::send_continue() {
  output_ = "HTTP/1.1 100 Continue\r\n\r\n";
  after_write_ = AfterWrite::rest_of_body;
  enter(State::writing, core_->settings.slow_write);
  write_output();
}

bool Connection::charge_body() {
  const std::size_t now = parser_->get().body().size();
  core_->bodies_bytes += now - body_bytes_;
  body_bytes_ = now;
  return core_->bodies_bytes <= core_->settings.max_bodies_bytes;
}

void Connection::release_body() {
  core_->bodies_bytes -= body_bytes_;
  body_bytes_ = 0;
}

// --- answering ---------------------------------------------------------------

void Connection::dispatch() {
  const auto request = std::exchange(request_, nullptr);
  request->body = std::move(parser_->get().body());
  enter(State::waiting, std::chrono::milliseconds::max());
  core_->handler(std::move(*request), std::make_shared<ConnectionResponder>(weak_from_this(), request_number_));
}

void Connection::respond(std::uint64_t request, HttpResponse response) {
  if (state_ != State::waiting || request != request_number_) return;
  const auto closes = [](const auto& header) { return header.first == "Connection" && header.second == "close"; };
  if (std::erase_if(response.headers, closes) > 0) keep_alive_ = false;
  send(response);
}

void Connection::refuse(const Refusal& refusal) {
  ++core_->refused_requests;
  error_code ignored;
  if (read_pending_) socket().cancel(ignored);
  keep_alive_ = false;
  HttpResponse response = error_response(refusal.status, refusal.code, refusal.message);
  if (refusal.status == kBusy.status) response.headers.emplace_back("Retry-After", "1");
  send(response);
}

void Connection::send(const HttpResponse& response) {
  if (core_->stopping) keep_alive_ = false;
  append_head(output_, response, {.content_length = response.body.size(), .keep_alive = keep_alive_});
  const bool bodiless = head_ || response.status == 204 || response.status == 304;
  if (!bodiless) output_ += response.body;
  after_write_ = keep_alive_ ? AfterWrite::next_request : AfterWrite::linger;
  enter(State::writing, core_->settings.slow_write);
  write_output();
}

void Connection::write_output() { write(asio::buffer(output_) + written_); }

void Connection::have_written(const error_code& error, std::size_t count) {
  if (state_ != State::writing && state_ != State::streaming) return;
  if (error) return abort();
  written_ += count;
  if (written_ < output_.size()) {
    enter(state_, core_->settings.slow_write);  // there is progress
    return write_output();
  }
  written_all();
}

void Connection::written_all() {
  written_ = 0;
  output_.clear();
  if (output_.capacity() > kOutputBytesKept) output_.shrink_to_fit();
  if (state_ == State::streaming) return stream_written();
  switch (after_write_) {
    case AfterWrite::next_request:
      return next_request();
    case AfterWrite::linger:
      return linger();
    case AfterWrite::rest_of_body:
      enter(State::reading, core_->settings.slow_read);
      read_pending_ = true;
      read(input_.prepare());
  }
}

// --- streaming ---------------------------------------------------------------

bool Connection::begin_stream(std::uint64_t request, std::string content_type) {
  if (state_ != State::waiting || request != request_number_) return false;
  HttpResponse response{
      .content_type = std::move(content_type), .body = {}, .headers = {{"Cache-Control", "no-store"}}};
  keep_alive_ = false;
  release_body();
  if (head_ || core_->stopping) {
    send(response);
    return false;
  }
  append_head(output_, response, {.content_length = std::nullopt, .chunked = http_1_1_});
  enter(State::streaming, core_->settings.slow_write);
  write_output();
  input_.consume(input_.size());
  read_pending_ = true;
  read(input_.prepare());
  return true;
}

bool Connection::write_stream(std::uint64_t request, std::string_view chunk) {
  if (!streams(request) || stream_ending_) return false;
  const std::size_t held = output_.size() - written_ + stream_output_.size();
  if (held > 0 && held + chunk.size() > core_->settings.stream_buffer_bytes) {
    stream_full_ = true;
    return false;
  }
  if (http_1_1_) {
    append_chunk(stream_output_, chunk);
  } else {
    stream_output_ += chunk;
  }
  if (output_.empty()) stream_written();
  return true;
}

// Nothing is under way: sends what waits.
void Connection::stream_written() {
  deadline_ = kNever;
  if (!stream_output_.empty()) {
    output_.swap(stream_output_);
    deadline_ = Clock::now() + core_->settings.slow_write;
    write_output();
  } else if (stream_ending_) {
    return linger();
  }
  if (!stream_full_ || output_.size() > core_->settings.stream_buffer_bytes / 2) return;
  stream_full_ = false;
  if (const auto drained = drained_) drained();
}

void Connection::close_stream(std::uint64_t request) {
  if (!streams(request) || stream_ending_) return;
  stream_ending_ = true;
  if (http_1_1_) stream_output_ += last_chunk;
  if (output_.empty()) stream_written();
}

void Connection::on_drained(std::uint64_t request, std::function<void()> callback) {
  if (streams(request)) drained_ = std::move(callback);
}

void Connection::on_closed(std::uint64_t request, std::function<void()> callback) {
  if (!streams(request)) return callback();
  closed_ = std::move(callback);
}

// --- ending ------------------------------------------------------------------

void Connection::linger() {
  error_code ignored;
  if (read_pending_) socket().cancel(ignored);
  enter(State::lingering, core_->stopping ? kLingerStopping : kLinger);
  dropped_bytes_ = 0;
  say_goodbye();
}

void Connection::have_said_goodbye() {
  if (state_ != State::lingering) return;
  error_code ignored;
  socket().shutdown(Socket::shutdown_send, ignored);
  drop_input();
}

// From the socket itself: after TLS's goodbye the rest is noise.
void Connection::drop_input() {
  static std::array<char, kInputBytesMax> waste;  // shared: nobody reads it
  socket().async_read_some(asio::buffer(waste),
                           [self = shared_from_this()](const error_code& error, std::size_t count) {
                             base::wipe(waste.data(), count);
                             self->dropped_bytes_ += count;
                             if (error || self->dropped_bytes_ > kLingerBytesMax) return self->abort();
                             if (self->state_ == State::lingering) self->drop_input();
                           });
}

// --- plain and TLS -----------------------------------------------------------

template <class Stream>
class StreamConnection : public Connection {
 public:
  template <class... Args>
  explicit StreamConnection(std::shared_ptr<HttpCore> core, Args&&... args)
      : Connection(std::move(core)), stream_(std::forward<Args>(args)...) {}

 protected:
  void read(asio::mutable_buffer into) override {
    stream_.async_read_some(into, [this, self = shared_from_this()](const error_code& error, std::size_t count) {
      have_read(error, count);
    });
  }
  void write(asio::const_buffer from) override {
    stream_.async_write_some(from, [this, self = shared_from_this()](const error_code& error, std::size_t count) {
      have_written(error, count);
    });
  }

  Stream stream_;
};

class PlainConnection final : public StreamConnection<Socket> {
 public:
  using StreamConnection::StreamConnection;

 private:
  bool is_tls() const override { return false; }
  Socket& socket() override { return stream_; }
  void handshake() override { ASSERT(false); }
  void say_goodbye() override { have_said_goodbye(); }
};

class TlsConnection final : public StreamConnection<asio::ssl::stream<Socket>> {
 public:
  using StreamConnection::StreamConnection;

 private:
  bool is_tls() const override { return true; }
  Socket& socket() override { return stream_.next_layer(); }
  void handshake() override {
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [this, self = shared_from_this()](const error_code& error) { handshaken(error); });
  }
  void say_goodbye() override {
    stream_.async_shutdown([this, self = shared_from_this()](const error_code& /*error*/) { have_said_goodbye(); });
  }
};

}  // namespace

std::shared_ptr<HttpConnection> make_connection(std::shared_ptr<HttpCore> core, Socket socket,
                                                const std::shared_ptr<asio::ssl::context>& tls) {
  if (tls == nullptr) return std::make_shared<PlainConnection>(std::move(core), std::move(socket));
  return std::make_shared<TlsConnection>(std::move(core), std::move(socket), *tls);
}

}  // namespace platform
