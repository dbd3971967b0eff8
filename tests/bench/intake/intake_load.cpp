// Terminals that send as fast as they are answered, at one of the gateway's doors, or one event at a time.
//
//   intake_load DOOR PORT CONNECTIONS IN_FLIGHT SECONDS RUN
//
// DOOR: framed, http, ndjson (a batch has IN_FLIGHT lines) or iso8583 (dialect iso87-ascii, two bytes of length). Port
// on 127.0.0.1. RUN goes into the terminals' names, so that no two runs say the same. The first fifth is warm-up. One
// line of JSON: answers a second, microseconds from the write to the answer.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/assert.hpp"
#include "proto/wire/framed.pb.h"
#include "tests/bench/terminal_event.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

using bench::day;

// What a terminal says, and how many answers there are in what it hears; any answer but "stored, new" ends the run.
class Door {
 public:
  virtual ~Door() = default;
  virtual void append(std::string& out, std::string_view terminal, unsigned first, unsigned count) = 0;
  // Takes whole answers off the front.
  virtual std::size_t take_answers(std::string_view& in) = 0;
};

class FramedDoor final : public Door {
 public:
  void append(std::string& out, std::string_view terminal, unsigned first, unsigned count) override {
    for (unsigned number = first; number < first + count; ++number) {
      tillstream::v1::Submit event;
      event.set_type("sale");
      event.set_terminal_id(std::string(terminal));
      event.set_terminal_ref(fmt::format("{:08}", number));
      event.set_occurred_at(fmt::format("{:%FT%TZ}", day()));
      event.set_amount_minor(1250);
      event.set_currency("EUR");
      event.set_outcome("approved");
      event.set_card_number("4111111111111111");
      event.set_entry_mode("contactless");
      event.set_auth_code("123456");
      event.set_rrn(fmt::format("6327{:08}", number));
      event.set_till_id("till-03");
      event.set_operator_id("0042");
      const std::string bytes = event.SerializeAsString();
      for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(bytes.size() >> static_cast<unsigned>(shift));
      out += bytes;
    }
  }
  std::size_t take_answers(std::string_view& in) override {
    std::size_t count = 0;
    for (; in.size() >= 4; ++count) {
      std::size_t length = 0;
      for (const char c : in.substr(0, 4)) length = (length << 8U) | static_cast<unsigned char>(c);
      if (in.size() < 4 + length) break;
      tillstream::v1::Answer answer;
      ASSERT(answer.ParseFromArray(in.data() + 4, static_cast<int>(length)) && answer.status() == 201);
      in.remove_prefix(4 + length);
    }
    return count;
  }
};

// The body of the next whole answer of HTTP, none while it is not there yet.
std::optional<std::string_view> take_body(std::string_view& in, std::string_view status_line) {
  constexpr std::string_view end = "\r\n\r\n";
  constexpr std::string_view length_name = "Content-Length: ";
  const std::size_t head = in.find(end);
  if (head == std::string_view::npos) return std::nullopt;
  ASSERT(in.starts_with(status_line));
  const std::size_t at = in.find(length_name);
  ASSERT(at < head);
  std::size_t length = 0;
  std::from_chars(in.data() + at + length_name.size(), in.data() + head, length);
  if (in.size() < head + end.size() + length) return std::nullopt;
  const std::string_view body = in.substr(head + end.size(), length);
  in.remove_prefix(head + end.size() + length);
  return body;
}

class HttpDoor final : public Door {
 public:
  void append(std::string& out, std::string_view terminal, unsigned first, unsigned count) override {
    for (unsigned number = first; number < first + count; ++number) {
      const std::string body = bench::json_event(terminal, number);
      out += fmt::format(
          "POST /v1/events HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
          body.size(), body);
    }
  }
  std::size_t take_answers(std::string_view& in) override {
    std::size_t count = 0;
    while (take_body(in, "HTTP/1.1 201 ")) ++count;
    return count;
  }
};

class NdjsonDoor final : public Door {
 public:
  void append(std::string& out, std::string_view terminal, unsigned first, unsigned count) override {
    std::string body;
    for (unsigned number = first; number < first + count; ++number) body += bench::json_event(terminal, number) + "\n";
    out += fmt::format(
        "POST /v1/events/batch HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/x-ndjson\r\n"
        "Content-Length: {}\r\n\r\n{}",
        body.size(), body);
  }
  std::size_t take_answers(std::string_view& in) override {
    std::size_t count = 0;
    while (const auto body = take_body(in, "HTTP/1.1 200 ")) {
      for (std::size_t at = 0; (at = body->find(R"("status":201)", at)) != std::string_view::npos; ++at) ++count;
      ASSERT(count == static_cast<std::size_t>(std::ranges::count(*body, '\n')));
    }
    return count;
  }
};

class Iso8583Door final : public Door {
 public:
  void append(std::string& out, std::string_view terminal, unsigned first, unsigned count) override {
    for (unsigned number = first; number < first + count; ++number) {
      // The composition holds views of them.
      const std::string sent = fmt::format("{:%m%d%H%M%S}", day());
      const std::string stan = fmt::format("{:06}", number % 1'000'000);
      const std::string time = fmt::format("{:%H%M%S}", day());
      const std::string date = fmt::format("{:%m%d}", day());
      const std::string rrn = fmt::format("6327{:08}", number);
      iso8583::Composition advice("0220");
      advice.set(2, "4111111111111111");
      advice.set(3, "000000");
      advice.set(4, "000000001250");
      advice.set(7, sent);
      advice.set(11, stan);
      advice.set(12, time);
      advice.set(13, date);
      advice.set(22, "071");
      advice.set(25, "00");
      advice.set(37, rrn);
      advice.set(38, "123456");
      advice.set(39, "00");
      advice.set(41, terminal);
      advice.set(42, "MERCHANT0000001");
      advice.set(49, "978");
      const std::string bytes = iso8583::encode(advice, dialect_).value();
      out += static_cast<char>(bytes.size() >> 8U);
      out += static_cast<char>(bytes.size());
      out += bytes;
    }
  }
  std::size_t take_answers(std::string_view& in) override {
    std::size_t count = 0;
    for (; in.size() >= 2; ++count) {
      const std::size_t length =
          (static_cast<std::size_t>(static_cast<unsigned char>(in[0])) << 8U) | static_cast<unsigned char>(in[1]);
      if (in.size() < 2 + length) break;
      const auto answer = iso8583::decode(in.substr(2, length), dialect_);
      ASSERT(answer && answer->open(39) == "00");
      in.remove_prefix(2 + length);
    }
    return count;
  }

 private:
  iso8583::Dialect dialect_ = config::load_dialect("iso87-ascii").dialect.value();
};

std::unique_ptr<Door> door_of(std::string_view name) {
  if (name == "framed") return std::make_unique<FramedDoor>();
  if (name == "http") return std::make_unique<HttpDoor>();
  if (name == "ndjson") return std::make_unique<NdjsonDoor>();
  ASSERT(name == "iso8583");
  return std::make_unique<Iso8583Door>();
}

struct Count {
  Clock::time_point from;
  Clock::time_point until;
  std::vector<double> microseconds;
};

class Terminal {
 public:
  Terminal(asio::io_context& io, Door& door, Count& count, std::uint16_t port, std::string name)
      : socket_(io), door_(door), count_(count), name_(std::move(name)) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
  }
  // Keeps so many unanswered.
  void start(unsigned in_flight) {
    send(in_flight);
    receive();
  }

 private:
  void send(unsigned count) {
    const auto now = Clock::now();
    asked_.insert(asked_.end(), count, now);
    door_.append(waiting_, name_, next_, count);
    next_ += count;
    if (writing_.empty()) write();
  }
  void write() {
    writing_.swap(waiting_);
    asio::async_write(socket_, asio::buffer(writing_), [this](const boost::system::error_code& error, std::size_t) {
      ASSERT(!error);
      writing_.clear();
      if (!waiting_.empty()) write();
    });
  }
  void receive() {
    socket_.async_read_some(asio::buffer(chunk_), [this](const boost::system::error_code& error, std::size_t bytes) {
      ASSERT(!error);
      heard_.append(chunk_.data(), bytes);
      std::string_view in = heard_;
      const std::size_t answers = door_.take_answers(in);
      heard_.erase(0, heard_.size() - in.size());
      const auto now = Clock::now();
      for (std::size_t i = 0; i < answers; ++i) {
        if (now >= count_.from && now < count_.until)
          count_.microseconds.push_back(std::chrono::duration<double, std::micro>(now - asked_.front()).count());
        asked_.pop_front();
      }
      if (now >= count_.until) return;
      if (answers > 0) send(static_cast<unsigned>(answers));
      receive();
    });
  }

  tcp::socket socket_;
  Door& door_;
  Count& count_;
  std::string name_;
  unsigned next_ = 1;
  std::string waiting_;
  std::string writing_;
  std::string heard_;
  std::array<char, 65536> chunk_{};
  std::deque<Clock::time_point> asked_;
};

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 7);
  const auto door = door_of(argv[1]);
  const int connections = std::atoi(argv[3]);
  const auto how_long = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::atof(argv[5])));
  const auto begun = Clock::now();
  Count count{.from = begun + how_long / 5, .until = begun + how_long, .microseconds = {}};
  asio::io_context io(1);
  std::vector<std::unique_ptr<Terminal>> terminals;
  for (int i = 0; i < connections; ++i) {
    terminals.push_back(std::make_unique<Terminal>(io, *door, count, static_cast<std::uint16_t>(std::atoi(argv[2])),
                                                   fmt::format("T{:03}{:04}", i, std::atoi(argv[6]))));
  }
  for (const auto& terminal : terminals) terminal->start(static_cast<unsigned>(std::atoi(argv[4])));
  io.run();
  auto& times = count.microseconds;
  ASSERT(times.size() > 100);
  std::ranges::sort(times);
  const auto quantile = [&](double part) {
    return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * part)];
  };
  const double seconds = std::chrono::duration<double>(count.until - count.from).count();
  fmt::print(R"({{"answers": {}, "per_second": {:.0f}, "p50": {:.1f}, "p99": {:.1f}}})"
             "\n",
             times.size(), static_cast<double>(times.size()) / seconds, quantile(0.5), quantile(0.99));
}
