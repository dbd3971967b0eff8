#include "firmware-gateway/ingest/event_types.hpp"

#include <algorithm>
#include <array>

namespace ingest {
namespace {

using tillstream::v1::Event;

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

// Of an original that is at hand it is known what it did, whatever it took its own direction from. What moved nothing
// (declined, failed, unknown) has nothing to be taken back.
int direction(std::string_view type, const Event& original) {
  const std::int64_t moved = original.has_effect_minor() ? original.effect_minor() : 0;
  const int sign = moved > 0 ? 1 : moved < 0 ? -1 : 0;
  if (type == "reversal") return -sign;
  if (type == "adjustment" && (original.type() == "refund" || original.type() == "adjustment") && sign != 0)
    return sign;
  return direction(type, original.type());
}

std::optional<std::int64_t> effect(const Event& event, int direction) {
  if (!event.has_amount_minor()) return std::nullopt;
  const bool happened = event.outcome() == "approved" || event.outcome() == "partial";
  return happened ? direction * event.amount_minor() : 0;
}

}  // namespace

std::span<const std::string_view> event_types() { return types; }

bool moves_money(std::string_view type) { return type != "batch_total" && type != "terminal_status"; }

bool is_precious(std::string_view type) { return type != "terminal_status"; }

std::optional<std::int64_t> effect_of(const Event& event, std::string_view original_type) {
  return effect(event, direction(event.type(), original_type));
}

std::optional<std::int64_t> effect_of(const Event& event, const Event& original) {
  return effect(event, direction(event.type(), original));
}

}  // namespace ingest
