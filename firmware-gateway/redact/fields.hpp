// The fields that a terminal may submit, whatever its protocol: one table that the parsers, the guard and ingest share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redact {

// In the order of the table. Texts first, then integers, then the two that are neither.
enum class Field : std::uint8_t {
  type,
  terminal_id,
  terminal_ref,
  occurred_at,
  merchant_id,
  merchant_name,
  merchant_city,
  mcc,
  till_id,
  operator_id,
  batch_no,
  currency,
  outcome,
  authorized_by,
  card_last4,
  card_brand,
  card_token,
  card_token_key,
  card_par,
  entry_mode,
  cvm,
  emv_aid,
  response_code,
  auth_code,
  rrn,
  stan,
  original_ref,
  original_terminal_id,
  original_type,
  reason,
  amount_minor,
  requested_minor,
  tip_minor,
  cashback_minor,
  surcharge_minor,
  installments,
  sales_count,
  sales_minor,
  refunds_count,
  refunds_minor,
  reversals_count,
  reversals_minor,
  refund_reversals_count,
  refund_reversals_minor,
  declined_count,
  failed_count,
  card_number,
  attributes,
};

inline constexpr std::size_t field_count = static_cast<std::size_t>(Field::attributes) + 1;
inline constexpr std::size_t text_count = static_cast<std::size_t>(Field::amount_minor);
inline constexpr std::size_t number_count = static_cast<std::size_t>(Field::card_number) - text_count;

enum class Kind { text, integer, card_number, attributes };

// What the guard does with a text in which it finds card data.
enum class Scan {
  closed,    // not scanned: ingest accepts only words, times or shapes that cannot hold a card number
  free,      // masked with a fixed mark
  identity,  // masked with a mark that still tells two apart: the text is part of a key
  drop,      // emptied: a token that cannot be told from a card number is worth less than the risk
};

struct FieldRule {
  std::string_view name;  // as in JSON
  Kind kind = Kind::text;
  Scan scan = Scan::closed;
};

[[nodiscard]] const FieldRule& rule_of(Field field);
[[nodiscard]] std::string_view name_of(Field field);
[[nodiscard]] std::optional<Field> find_field(std::string_view name);
// The known field whose name is nearest to this one, or nothing.
[[nodiscard]] std::optional<Field> nearest_field(std::string_view name);
[[nodiscard]] std::span<const std::string_view> field_names();

[[nodiscard]] constexpr Field text_at(std::size_t i) { return static_cast<Field>(i); }
[[nodiscard]] constexpr Field number_at(std::size_t i) { return static_cast<Field>(text_count + i); }

// The protocol that an event came by.
enum class Source { http, framed, iso8583, nexo };
[[nodiscard]] std::string_view word(Source source);

// What becomes of an event with the reference of another one and other content.
enum class OnConflict {
  refuse,  // 409: somebody reads it
  store,   // card-scheme protocols: the sale has happened, so it is stored with conflict_with
};

// A date and time as card schemes write it: without a century, often without a year, a zone, or the date.
struct WrittenTime {
  std::optional<std::uint8_t> year_of_century;
  std::uint8_t month = 0;  // 1 … 12; 0: no date was written
  std::uint8_t day = 0;
  std::uint8_t hour = 0;
  std::uint8_t minute = 0;
  std::uint8_t second = 0;
};

// What a card-scheme message tells of the transaction that it reverses, completes or brings again.
struct Original {
  std::string mti;   // four digits; empty: nothing is named, and it has the STAN of the message itself
  std::string stan;  // as the original's terminal_ref
  std::string time;  // MMDDhhmmss, its transmission time or its local time; or empty
  std::string rrn;   // the original's where rrn_named, else the message's own, which may be another; or empty
  bool rrn_named = false;
  // The event is the original itself, brought again (batch upload): where that one is stored, this is a repeat of it.
  bool is_this = false;
  // Of a reversal of a part: what the original comes to afterwards.
  std::optional<std::int64_t> rest_minor;

  [[nodiscard]] bool is_reversal() const { return mti.size() > 1 && mti[1] == '4'; }
};

// What a terminal that settles says beside its totals.
struct Settlement {
  // In the place of totals, signed.
  std::optional<std::int64_t> net_minor;
  // All totals could be read.
  bool readable = true;
  // It has sent each transaction of the batch: whatever the comparison says, the batch is closed.
  bool after_upload = false;
  // Out of balance it may be asked for each transaction.
  bool may_ask_upload = false;
  // Whether another host, whose answer was seen or missed, has closed the batch. Nothing: the gateway is the host.
  std::optional<bool> closed_elsewhere;
};

// A card's token by a key that is on its way out.
struct KeyedToken {
  std::string token;
  std::string key;  // its name
};

// Attributes that card-scheme parsers set, and that later steps go by.
//   message_ref     what tells the message from others with the same terminal_ref: part of the key
//   transmitted_at  MMDDhhmmss by UTC, as the message said it: originals are named by it
//   unread_amount   the amount as it came, where it could not be read
inline constexpr const char* message_ref = "message_ref";
inline constexpr const char* transmitted_at = "transmitted_at";
inline constexpr const char* unread_amount = "unread_amount";

// Everything a terminal said, but for its card number. Empty text: not given.
struct Fields {
  std::array<std::string, text_count> texts;
  std::array<std::optional<std::int64_t>, number_count> numbers;
  std::map<std::string, std::string> attributes;
  // Names of fields that a card-scheme parser could not read.
  std::vector<std::string> incomplete;
  Source source = Source::http;
  OnConflict on_conflict = OnConflict::refuse;
  // When it happened, where occurred_at is empty: by the terminal's clock, and by UTC. Neither: when it was received.
  std::optional<WrittenTime> written_local;
  std::optional<WrittenTime> written_utc;
  std::optional<Original> original;
  // Of tip, cash-back and surcharge, where the message names it and no currency of the whole: they count in that of the
  // terminal only.
  std::string parts_currency;
  std::optional<Settlement> settlement;
  std::optional<KeyedToken> previous_token;

  [[nodiscard]] std::string& text(Field field) { return texts.at(static_cast<std::size_t>(field)); }
  [[nodiscard]] const std::string& text(Field field) const { return texts.at(static_cast<std::size_t>(field)); }
  [[nodiscard]] std::optional<std::int64_t>& number(Field field) {
    return numbers.at(static_cast<std::size_t>(field) - text_count);
  }
  [[nodiscard]] const std::optional<std::int64_t>& number(Field field) const {
    return numbers.at(static_cast<std::size_t>(field) - text_count);
  }
};

}  // namespace redact
