// CardGuard: the only door into ingest. What comes out holds no card number and no track data, whatever went in.
//
//   Draft (from a parser, may hold card data) ──clear──▶ Cleared (for ingest) or Refusal
//
// Invariants:
//   (1) A Cleared can be made by a CardGuard only, and none of its texts holds what find_card_data would find.
//   (2) A PAN leaves as last four, brand and token; its digits are wiped before clear() returns.
//   (3) Two texts that differ before masking differ afterwards, where the text is part of a key (Scan::identity).
//   (4) A Refusal holds no value.
//
// Not thread-safe: it counts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/card_number.hpp"
#include "firmware-gateway/redact/fields.hpp"
#include "firmware-gateway/redact/refusal.hpp"
#include "firmware-gateway/redact/secret.hpp"
#include "proto/base/hasher.hpp"
#include "proto/base/result.hpp"
#include "proto/base/token_key.hpp"

namespace redact {

// An event as a parser read it. Wiped when it goes.
struct Draft {
  Draft() = default;
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  Draft(Draft&&) noexcept = default;
  Draft& operator=(Draft&&) noexcept = default;
  ~Draft();

  Fields fields;
  Secret card_number;
};

// An event without card data.
class Cleared {
 public:
  [[nodiscard]] const Fields& fields() const { return fields_; }

 private:
  friend class CardGuard;
  explicit Cleared(Fields fields) : fields_(std::move(fields)) {}

  Fields fields_;
};

// How every mark begins that stands for card data in a text that is part of a key (Scan::identity). What follows
// depends on the key of the marks.
inline constexpr std::string_view identity_mark_begin = "[card";

// How an event reached the gateway.
struct Channel {
  bool tls = false;
  bool peer_is_loopback = false;
};

// Clear PANs over a line without TLS.
enum class AcceptCardNumbers { never, loopback, always };

// Copies share the key's bytes, wherever these lie.
struct TokenKey {
  std::string name;
  std::shared_ptr<const char[]> bytes;  // base::token_key_bytes

  [[nodiscard]] base::BytesView view() const { return {bytes.get(), base::token_key_bytes}; }
};

struct TokenKeys {
  // None: events carry no token.
  std::optional<TokenKey> current;
  // During a rotation the one before: events carry its token, too, so that readers can tell that two tokens are one
  // card.
  std::optional<TokenKey> previous;
};

struct GuardSettings {
  AcceptCardNumbers accept_card_numbers = AcceptCardNumbers::loopback;
  TokenKeys token_keys;
  // 32 random bytes of this gateway, kept with the journal: makes the marks in identities tell two apart without giving
  // the number away.
  Secret mark_key;
};

class CardGuard {
 public:
  // Findings by field, since start. Indexed by Field.
  using Counts = std::array<std::uint64_t, field_count>;

  CardGuard(GuardSettings settings, const base::Hasher& hasher);

  [[nodiscard]] base::Result<Cleared, Refusal> clear(Draft draft, Channel channel);

  // A terminal_id, terminal_ref or the like as clear() would leave it: for looking up what is stored.
  [[nodiscard]] std::string clear_identity(std::string text) const;

  [[nodiscard]] const Counts& masked() const { return masked_; }

 private:
  [[nodiscard]] std::optional<Refusal> reduce_card(Draft& draft, Channel channel);
  [[nodiscard]] bool accepts_clear(Channel channel) const;
  void set_tokens(Fields& fields, const Secret& pan) const;
  [[nodiscard]] std::string token_of(const Secret& pan, const TokenKey& key) const;
  void scan_texts(Fields& fields);
  void scan_text(Fields& fields, Field field);
  void scan_attributes(Fields& fields);
  [[nodiscard]] std::string identity_mark(std::string_view found) const;
  void count(Field field, std::size_t findings) { masked_.at(static_cast<std::size_t>(field)) += findings; }

  GuardSettings settings_;
  const base::Hasher& hasher_;
  Counts masked_{};
};

}  // namespace redact
