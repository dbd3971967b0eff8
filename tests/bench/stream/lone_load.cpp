// A terminal that submits one event after the other by HTTP at a steady pace, and, if asked, a consumer of the stream.
//
//   lone_load PORT SECONDS PER_SECOND RUN [sse ADMIN_PORT | kafka BOOTSTRAP TOPIC]
//
// Ports on 127.0.0.1. RUN goes into the terminal's name. One line of JSON, microseconds from the write of an event:
// to its answer, and to the moment in which the consumer has it.
#include <boost/asio.hpp>
#include <charconv>
#include <cstdlib>
#include <stop_token>
#include <string_view>
#include <thread>

#include "tests/bench/stream/readers.hpp"
#include "tests/bench/stream/timing.hpp"
#include "tests/bench/terminal_event.hpp"

namespace {

namespace asio = boost::asio;

std::unique_ptr<bench::Reader> make_reader(int argc, char** argv) {
  if (argc == 5) return nullptr;
  if (std::string_view(argv[5]) == "sse") {
    ASSERT(argc == 7);
    return std::make_unique<bench::SseReader>(static_cast<unsigned short>(std::atoi(argv[6])));
  }
  ASSERT(argc == 8 && std::string_view(argv[5]) == "kafka");
  return std::make_unique<bench::KafkaReader>(argv[6], argv[7], bench::KafkaReader::From::end);
}

// The terminal_ref in a record, if it is one of this terminal's.
unsigned number_in(std::string_view record, std::string_view terminal) {
  static constexpr std::string_view kRef = R"("terminal_ref":")";
  const auto at = record.find(kRef);
  if (at == std::string_view::npos || !record.contains(terminal)) return 0;
  unsigned number = 0;
  std::from_chars(record.data() + at + kRef.size(), record.data() + record.size(), number);
  return number;
}

class Terminal {
 public:
  Terminal(unsigned short port, std::string name) : name_(std::move(name)) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(asio::ip::tcp::no_delay(true));
  }
  // Returns once it is answered.
  void submit(unsigned number) {
    const std::string body = bench::json_event(name_, number);
    asio::write(socket_, asio::buffer(fmt::format("POST /v1/events HTTP/1.1\r\nHost: gateway\r\nContent-Type: "
                                                  "application/json\r\nContent-Length: {}\r\n\r\n{}",
                                                  body.size(), body)));
    std::string answer;
    asio::read_until(socket_, asio::dynamic_buffer(answer), "}");
    ASSERT(answer.starts_with("HTTP/1.1 201 "));
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::socket socket_{io_};
  std::string name_;
};

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc >= 5);
  const std::string name = fmt::format("LONE{:04}", std::atoi(argv[4]));
  const auto reader = make_reader(argc, argv);
  bench::Arrivals arrivals;
  std::jthread reading([&](const std::stop_token& stop) {
    while (reader && !stop.stop_requested()) {
      const auto record = reader->next();
      if (!record) continue;
      if (const unsigned number = number_in(*record, name); number > 0) arrivals.note(number);
    }
  });
  Terminal terminal(static_cast<unsigned short>(std::atoi(argv[1])), name);
  std::vector<double> answers;
  std::vector<double> reads;
  bench::at_pace(std::atof(argv[2]), std::atof(argv[3]), [&](unsigned number) {
    const auto begun = bench::Clock::now();
    terminal.submit(number);
    answers.push_back(bench::microseconds(bench::Clock::now() - begun));
    if (reader) reads.push_back(bench::microseconds(arrivals.wait(number) - begun));
  });
  fmt::print(R"({{"answer": {{{}}})", bench::quantiles(answers));
  if (reader) fmt::print(R"(, "read": {{{}}})", bench::quantiles(reads));
  fmt::print("}}\n");
}
