// TapServer: the unix socket on which tillstream-tap brings copies of what went through it. Each is answered when it is
// on disk.
//
// Only processes of this user, or root, are served: card numbers come in clear. Bounded: connections_max, and what
// AnswerQueue holds a connection.
//
// Everything happens on the thread that runs the io_context. Destroy it before intake and losses.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "firmware-gateway/adapters/net/intake.hpp"
#include "firmware-gateway/tap/copies.hpp"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's
}

namespace net {

// Where it is written down what a tap has not brought: it had to drop it, or could not read it.
class Losses {
 public:
  virtual ~Losses() = default;
  // `answered` is called exactly once, when the notice is on disk.
  virtual void tell_lost(const tap::Loss& loss, Intake::Answered answered) = 0;
  virtual void tell_unread(const tap::Unread& unread, Intake::Answered answered) = 0;
};

struct TapCounts {
  std::size_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // another user's, or too many
  std::uint64_t dropped = 0;  // what they said could not be understood
  std::uint64_t copies = 0;
  std::uint64_t copies_lost = 0;  // as taps have told
  std::uint64_t unread = 0;       // messages and connections that taps could not read, as they have told
};

class TapServer {
 public:
  // The socket's file is made anew; one that another process listens on is left, and is an error.
  [[nodiscard]] static std::expected<std::unique_ptr<TapServer>, std::string> start(boost::asio::io_context& io,
                                                                                    const std::string& path,
                                                                                    Intake& intake, Losses& losses);
  virtual ~TapServer() = default;

  [[nodiscard]] virtual const TapCounts& counts() const = 0;
  // Accepts and reads nothing more; what was read is still answered.
  virtual void stop() = 0;
};

}  // namespace net
