// Tables that gateway.toml and tap.toml have in common.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/platform/listen_address.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/settings.hpp"

namespace config {

struct Tls {
  std::string certificate;
  std::string key;
  std::string client_ca;

  friend bool operator==(const Tls&, const Tls&) = default;
};

struct Listen {
  std::string address;
  std::optional<Tls> tls;

  friend bool operator==(const Listen&, const Listen&) = default;
};

// What listens where, as far as it has been read: no two doors at one address.
class Doors {
 public:
  // Why `name` cannot listen there: another door does. Otherwise it is taken from now on.
  [[nodiscard]] std::optional<std::string> take(std::string name, const platform::ListenAddress& address);

 private:
  std::vector<std::pair<std::string, platform::ListenAddress>> taken_;
};

struct Log {
  platform::log::Level level = platform::log::Level::info;
  platform::log::Format format = platform::log::Format::text;
};

// tls = { certificate, key, client_ca }, when it is there.
[[nodiscard]] std::optional<Tls> read_tls(platform::SettingsTable& parent, std::vector<std::string>& warnings);
[[nodiscard]] Log read_log(platform::SettingsTable table);

// Why this is no path of a unix socket; nothing when it is, or is empty.
[[nodiscard]] std::optional<std::string> socket_path_problem(std::string_view path);

// Whatever was written where: no message repeats a card number.
void mask_card_data(std::vector<platform::SettingsError>& errors, std::vector<std::string>& warnings);

}  // namespace config
