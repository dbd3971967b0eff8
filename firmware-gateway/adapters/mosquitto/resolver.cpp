#include "firmware-gateway/adapters/mosquitto/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace mqtt {

namespace {

constexpr std::size_t addresses_max = 8;

Resolved resolve(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (rc != 0) return {.addresses = {}, .error = fmt::format("cannot resolve {}: {}", host, ::gai_strerror(rc))};
  Resolved resolved;
  for (const addrinfo* entry = list; entry != nullptr && resolved.addresses.size() < addresses_max;
       entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      resolved.addresses.emplace_back(text.data());
    }
  }
  ::freeaddrinfo(list);
  if (resolved.addresses.empty()) resolved.error = fmt::format("cannot resolve {}: it has no address", host);
  return resolved;
}

}  // namespace

struct Resolver::Lookup {
  std::string host;
  std::string port;
  std::mutex mutex;
  bool done = false;
  std::optional<Resolved> answer;
};

void Resolver::start(const std::string& host, std::uint16_t port) {
  const std::string service = fmt::format("{}", port);
  if (lookup_ && busy() && lookup_->host == host && lookup_->port == service) return;
  lookup_ = std::make_shared<Lookup>();
  lookup_->host = host;
  lookup_->port = service;
  // A numeric address needs no thread.
  if (auto numeric = resolve(host, service, AI_NUMERICHOST | AI_NUMERICSERV); numeric.error.empty()) {
    lookup_->done = true;
    lookup_->answer = std::move(numeric);
    wakeup_->signal();
    return;
  }
  try {
    std::thread([lookup = lookup_, wakeup = wakeup_] {
      auto answer = resolve(lookup->host, lookup->port, AI_ADDRCONFIG | AI_NUMERICSERV);
      {
        const std::lock_guard lock(lookup->mutex);
        lookup->done = true;
        lookup->answer = std::move(answer);
      }
      wakeup->signal();
    }).detach();
  } catch (const std::system_error& error) {
    lookup_->done = true;
    lookup_->answer =
        Resolved{.addresses = {}, .error = fmt::format("cannot start a lookup of {}: {}", host, error.what())};
    wakeup_->signal();
  }
}

std::optional<Resolved> Resolver::take() {
  if (!lookup_) return std::nullopt;
  const std::lock_guard lock(lookup_->mutex);
  return std::exchange(lookup_->answer, std::nullopt);
}

bool Resolver::busy() const {
  if (!lookup_) return false;
  const std::lock_guard lock(lookup_->mutex);
  return !lookup_->done;
}

}  // namespace mqtt
