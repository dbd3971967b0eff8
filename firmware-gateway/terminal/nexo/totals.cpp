#include "firmware-gateway/terminal/nexo/totals.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "firmware-gateway/terminal/nexo/decimal.hpp"
#include "firmware-gateway/terminal/nexo/reference.hpp"

namespace terminal::nexo {
namespace {

using redact::Draft;
using redact::Field;

struct Row {
  std::string_view transaction_type;
  Field count;
  std::optional<Field> amount;
};

constexpr std::array rows{
    Row{"Debit", Field::sales_count, Field::sales_minor},
    Row{"Credit", Field::refunds_count, Field::refunds_minor},
    Row{"ReverseDebit", Field::reversals_count, Field::reversals_minor},
    Row{"ReverseCredit", Field::refund_reversals_count, Field::refund_reversals_minor},
    Row{"Declined", Field::declined_count, std::nullopt},
    Row{"Failed", Field::failed_count, std::nullopt},
};

// Adds to what is there. A sum of which one part is unreadable is no sum: it is left out, whatever comes after.
void add(Draft& draft, Field field, std::optional<std::int64_t> value) {
  auto& incomplete = draft.fields.incomplete;
  if (std::ranges::find(incomplete, name_of(field)) != incomplete.end()) return;
  auto& sum = draft.fields.number(field);
  if (value) {
    sum = sum.value_or(0) + *value;
  } else {
    sum.reset();
    mark_incomplete(draft, field);
  }
}

// What has no field of its own is told as it came, and not added up.
void keep_other(Draft& draft, std::string_view type, const Node& total) {
  const std::string name = "total_" + std::string(type.substr(0, 32));
  std::string& text = draft.fields.attributes[name];
  if (!text.empty()) text += "; ";
  text += std::string(total.text("TransactionCount")) + " / " + std::string(total.text("TransactionAmount"));
}

void add_total(Draft& draft, const Node& total, const std::optional<base::Currency>& currency) {
  const std::string_view type = total.text("TransactionType");
  const auto row = std::ranges::find(rows, type, &Row::transaction_type);
  if (row == rows.end()) return keep_other(draft, type, total);
  add(draft, row->count, to_count(total.text("TransactionCount")));
  if (!row->amount) return;
  const std::string_view amount = total.text("TransactionAmount");
  add(draft, *row->amount, currency ? to_minor(amount, currency->exponent) : std::nullopt);
}

Draft new_total(const Node& body, const Header& header, std::string_view category, std::string_view currency,
                const Context& context) {
  Draft draft = new_draft(header, "batch_total", context);
  const std::string_view batch = body.text("POIReconciliationID");
  draft.fields.text(Field::terminal_ref) = reference_of({category, batch, header.service_id, currency}, context.hasher);
  draft.fields.text(Field::batch_no) = batch;
  set_time_received(draft, context);
  if (const Node* const response = body.find("Response")) set_outcome(draft, *response);
  set_attribute(draft, "reconciliation_type", body.text("ReconciliationType"));
  return draft;
}

}  // namespace

std::vector<Draft> read_totals(const Node& body, const Header& header, std::string_view category,
                               const Context& context) {
  std::map<std::string_view, Draft> by_currency;
  const Node* const groups = body.find("TransactionTotals");
  if (groups != nullptr) {
    for (const Node& group : groups->members) {
      const std::string_view code = group.text("PaymentCurrency");
      auto found = by_currency.find(code);
      if (found == by_currency.end()) {
        found = by_currency.emplace(code, new_total(body, header, category, code, context)).first;
        static_cast<void>(set_currency(found->second, code, context));
      }
      const auto currency = base::find_currency(found->second.fields.text(Field::currency));
      if (const Node* const totals = group.find("PaymentTotals"))
        for (const Node& total : totals->members) add_total(found->second, total, currency);
    }
  }
  if (by_currency.empty()) by_currency.emplace("", new_total(body, header, category, {}, context));
  std::vector<Draft> drafts;
  drafts.reserve(by_currency.size());
  for (auto& [code, draft] : by_currency) drafts.push_back(std::move(draft));
  return drafts;
}

}  // namespace terminal::nexo
