#include "firmware-gateway/terminal/nexo/event_draft.hpp"

#include <algorithm>

#include "firmware-gateway/terminal/nexo/decimal.hpp"
#include "firmware-gateway/terminal/nexo/reference.hpp"
#include "firmware-gateway/terminal/nexo/words.hpp"
#include "proto/base/text.hpp"
#include "proto/base/timestamp.hpp"

namespace terminal::nexo {

using redact::Draft;
using redact::Field;

Header read_header(const Node& message_header) {
  return {.poi_id = message_header.text("POIID"),
          .sale_id = message_header.text("SaleID"),
          .service_id = message_header.text("ServiceID"),
          .device_id = message_header.text("DeviceID"),
          .category = message_header.text("MessageCategory"),
          .type = message_header.text("MessageType")};
}

Draft new_draft(const Header& header, std::string_view type, const Context& context) {
  Draft draft;
  draft.fields.source = redact::Source::nexo;
  draft.fields.on_conflict = redact::OnConflict::store;
  draft.fields.text(Field::type) = type;
  draft.fields.text(Field::terminal_id) = reference_of({header.poi_id}, context.hasher);
  draft.fields.text(Field::till_id) = header.sale_id;
  set_attribute(draft, redact::message_ref, header.service_id);
  return draft;
}

void mark_incomplete(Draft& draft, Field field) { draft.fields.incomplete.emplace_back(name_of(field)); }

void set_attribute(Draft& draft, const char* name, std::string_view value) {
  if (!value.empty()) draft.fields.attributes.emplace(name, value);
}

void set_time(Draft& draft, std::initializer_list<std::string_view> times, const Context& context) {
  const auto time =
      std::ranges::find_if(times, [](std::string_view text) { return base::parse_rfc3339(text).has_value(); });
  if (time != times.end()) {
    draft.fields.text(Field::occurred_at) = *time;
    return;
  }
  set_time_received(draft, context);
  mark_incomplete(draft, Field::occurred_at);
}

void set_time_received(Draft& draft, const Context& context) {
  draft.fields.text(Field::occurred_at) = base::to_rfc3339(context.received_at);
}

void set_outcome(Draft& draft, const Node& response) {
  const std::string_view error = response.text("ErrorCondition");
  if (const auto outcome = outcome_of(response.text("Result"), error)) {
    draft.fields.text(Field::outcome) = *outcome;
  } else {
    draft.fields.text(Field::outcome) = "unknown";
    mark_incomplete(draft, Field::outcome);
  }
  draft.fields.text(Field::response_code) = error;
}

std::optional<base::Currency> set_currency(Draft& draft, std::string_view code, const Context& context) {
  const std::string named(code.empty() ? context.currency_of(draft.fields.text(Field::terminal_id))
                                       : std::string(code));
  const auto currency = base::find_currency(named);
  if (currency) {
    draft.fields.text(Field::currency) = currency->alpha;
  } else {
    mark_incomplete(draft, Field::currency);
  }
  return currency;
}

void set_amount(Draft& draft, Field field, std::string_view literal, const std::optional<base::Currency>& currency) {
  if (literal.empty()) return;
  const auto minor = currency ? to_minor(literal, currency->exponent) : std::nullopt;
  draft.fields.number(field) = minor;
  if (minor) return;
  mark_incomplete(draft, field);
  if (field == Field::amount_minor) set_attribute(draft, redact::unread_amount, literal);
}

}  // namespace terminal::nexo
