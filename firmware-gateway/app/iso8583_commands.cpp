// Commands that try out dialects of ISO 8583: no configuration, no gateway.
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "firmware-gateway/app/program.hpp"
#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "firmware-gateway/terminal/iso8583/framing.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"
#include "firmware-gateway/terminal/iso8583/shipped_dialects.hpp"
#include "proto/base/bytes.hpp"

namespace app {

namespace {

using iso8583::Dialect;

// A message, its frame, and blanks between all digits.
constexpr std::size_t hex_bytes_max = 6 * iso8583::message_bytes_max;

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::optional<Dialect> load(const std::string& name_or_file) {
  config::DialectReading reading = config::load_dialect(name_or_file);
  for (const auto& error : reading.errors) fmt::print(stderr, "{}\n", error.text());
  return std::move(reading.dialect);
}

std::string read_input() {
  std::string text(hex_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stdin));
  return text;
}

// The bytes; nothing when the text is no hex, or too much.
std::optional<base::Bytes> bytes_of(const std::string& argument) {
  std::string text = argument == "-" ? read_input() : argument;
  const bool fits = text.size() <= hex_bytes_max;
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':'; });
  auto bytes = fits ? base::from_hex(text) : std::nullopt;
  redact::wipe(text);
  return bytes;
}

// The message inside the one frame that the bytes are; or why they are none.
base::Result<base::Bytes, std::string> unframed(base::BytesView bytes, const Dialect& dialect) {
  iso8583::FrameCutter cutter(dialect.framing);
  cutter.append(bytes);
  const auto frame = cutter.next();
  if (!frame) return base::fail(std::string(iso8583::words_of(frame.error())));
  if (!*frame) return base::fail(std::string("the frame says that more bytes belong to it"));
  if ((*frame)->keep_alive)
    return base::fail(std::string("the frame is empty: it keeps the line open, and says nothing"));
  base::Bytes message((*frame)->message);
  const auto next = cutter.next();
  if (next && !*next && !cutter.amid_frame()) return message;
  redact::wipe(message);
  return base::fail(std::string("more bytes follow the frame"));
}

int explain(base::BytesView bytes, const Dialect& dialect, bool json) {
  const auto decoded = iso8583::decode(bytes, dialect);
  const iso8583::DecodeError* const error = decoded ? nullptr : &decoded.error();
  const iso8583::Message& message = decoded ? *decoded : error->read;
  const iso8583::Placement placement = iso8583::placement_of(message, bytes, dialect);
  const bool misplaced = decoded ? placement.is_wrong() : placement.is_uncertain();
  const iso8583::Hidden hidden = iso8583::hidden_in(message, placement, misplaced);
  const std::string warning = misplaced ? "no value is shown: " + placement.text() : std::string();
  print(json ? iso8583::to_json(message, error, hidden, warning) + "\n" : iso8583::explain(message, dialect, hidden));
  if (misplaced) fmt::print(stderr, "tillstream-gateway: {}\n", warning);
  if (error != nullptr) fmt::print(stderr, "tillstream-gateway: {}\n", error->text(dialect.year));
  return error != nullptr ? exit_failed : exit_done;
}

}  // namespace

int iso8583_decode(const Command& command) {
  const auto dialect = load(command.dialect);
  if (!dialect) return exit_config;
  auto bytes = bytes_of(command.hex);
  if (!bytes) {
    fmt::print(stderr, "tillstream-gateway: the message is no hex: needed are pairs of 0-9 and A-F, at most {} bytes\n",
               iso8583::message_bytes_max);
    return exit_wrong_use;
  }
  if (command.framed || !iso8583::decode(*bytes, *dialect)) {
    if (auto inner = unframed(*bytes, *dialect)) {
      std::swap(*bytes, *inner);
      redact::wipe(*inner);
    } else if (command.framed) {
      redact::wipe(*bytes);
      fmt::print(stderr, "tillstream-gateway: {}\n", inner.error());
      return exit_failed;
    }
  }
  const int status = explain(*bytes, *dialect, command.json);
  redact::wipe(*bytes);
  return status;
}

int iso8583_dialects() {
  for (const iso8583::ShippedDialect& shipped : iso8583::shipped_dialects()) {
    const auto dialect = load(std::string(shipped.name));
    if (!dialect) return exit_failed;
    print(fmt::format("{:<26}  {}\n", shipped.name, dialect->description));
  }
  return exit_done;
}

int iso8583_check(const Command& command) {
  if (!load(command.dialect)) return exit_config;
  print("ok\n");
  return exit_done;
}

}  // namespace app
