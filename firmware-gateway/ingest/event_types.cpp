#include "firmware-gateway/ingest/event_types.hpp"

#include <algorithm>
#include <array>

namespace ingest {
namespace {

constexpr std::array<std::string_view, 9> types{"sale",          "refund",      "reversal",
                                                "authorization", "completion",  "adjustment",
                                                "cash_advance",  "batch_total", "terminal_status"};

// Whether an approved event of this type adds to the takings (+1), takes from them (-1) or does neither.
int direction(std::string_view type) {
  if (type == "sale" || type == "completion" || type == "adjustment" || type == "cash_advance") return 1;
  if (type == "refund" || type == "reversal") return -1;
  return 0;
}

int direction(std::string_view type, std::string_view original_type) {
  if (original_type.empty()) return direction(type);
  if (type == "reversal") return -direction(original_type);
  if (type == "adjustment" && original_type == "refund") return -1;
  return direction(type);
}

}  // namespace

std::span<const std::string_view> event_types() { return types; }

bool moves_money(std::string_view type) { return type != "batch_total" && type != "terminal_status"; }

bool is_precious(std::string_view type) { return type != "terminal_status"; }

std::optional<std::int64_t> effect_of(const tillstream::v1::Event& event, std::string_view original_type) {
  if (!event.has_amount_minor()) return std::nullopt;
  const bool happened = event.outcome() == "approved" || event.outcome() == "partial";
  return happened ? direction(event.type(), original_type) * event.amount_minor() : 0;
}

}  // namespace ingest
