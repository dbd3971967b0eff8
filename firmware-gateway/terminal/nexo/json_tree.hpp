// A nexo message as a tree of the members that this gateway reads. What it does not read (receipts, signatures, track
// data, encrypted card data, whatever a vendor adds) is passed over while the text is read, and never kept.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "proto/base/result.hpp"

namespace terminal::nexo {

struct Node {
  enum class Kind { null, object, array, text, number, flag };

  std::string_view name;  // in its object; in an array none
  Kind kind = Kind::null;
  redact::Secret value;  // of a text; of a number and a flag as it is written
  std::vector<Node> members;

  // "PaymentResult.AmountsResp.Currency": the member below this one, or null.
  [[nodiscard]] const Node* find(std::string_view path) const;
  // Its value; empty when it is not there, or is an object or an array.
  [[nodiscard]] std::string_view text(std::string_view path) const;
};

// A message holds a few dozen; totals a few for each brand.
inline constexpr std::size_t nodes_max = 10'000;
inline constexpr std::size_t depth_max = 32;

// invalid_json, also for an object that has a known member twice; too_large beyond nodes_max.
[[nodiscard]] base::Result<Node, Refusal> read_tree(std::string_view text);

}  // namespace terminal::nexo
