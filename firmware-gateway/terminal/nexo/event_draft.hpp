// What every draft of a nexo message has in common: who said it, and the rule that nothing is lost: the sale has
// happened, and nobody reads a refusal. What cannot be read is left out, and named in `incomplete`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/nexo/json_tree.hpp"
#include "proto/base/currency.hpp"
#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"

namespace terminal::nexo {

// What a message cannot say.
struct Context {
  const base::Hasher& hasher;
  // When it came: for messages that say no time.
  base::UtcTime received_at;
  // A terminal's configured currency, or "": for amounts that say none.
  std::function<std::string(std::string_view terminal_id)> currency_of;
};

// MessageHeader. Points into the message.
struct Header {
  std::string_view poi_id;
  std::string_view sale_id;
  std::string_view service_id;
  std::string_view device_id;
  std::string_view category;
  std::string_view type;
};

[[nodiscard]] Header read_header(const Node& message_header);

// source, terminal_id (POIID), till_id (SaleID), message_ref (ServiceID).
[[nodiscard]] redact::Draft new_draft(const Header& header, std::string_view type, const Context& context);

void mark_incomplete(redact::Draft& draft, redact::Field field);
// An attribute that has a value.
void set_attribute(redact::Draft& draft, const char* name, std::string_view value);

// The first of these that is a time; else when it came, and occurred_at is named incomplete.
void set_time(redact::Draft& draft, std::initializer_list<std::string_view> times, const Context& context);
// For messages whose protocol has no time.
void set_time_received(redact::Draft& draft, const Context& context);

// outcome, and response_code.
void set_outcome(redact::Draft& draft, const Node& response);

// The currency that a message names, else the terminal's. Sets it, or marks it incomplete.
[[nodiscard]] std::optional<base::Currency> set_currency(redact::Draft& draft, std::string_view code,
                                                         const Context& context);
// An amount as it is written; empty: none. Unreadable: incomplete, and for amount_minor kept as unread_amount.
void set_amount(redact::Draft& draft, redact::Field field, std::string_view literal,
                const std::optional<base::Currency>& currency);

}  // namespace terminal::nexo
