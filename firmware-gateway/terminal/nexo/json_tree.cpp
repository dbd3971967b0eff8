#include "firmware-gateway/terminal/nexo/json_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "firmware-gateway/terminal/json_reader.hpp"
#include "proto/base/assert.hpp"

namespace terminal::nexo {
namespace {

// Every name in the paths of this folder. find() holds the paths against it.
// clang-format off
constexpr std::array<std::string_view, 73> kept_names{
    "AcquirerTransactionID", "AdditionalResponse", "AmountsResp", "ApprovalCode", "AuthenticationMethod",
    "AuthorizedAmount", "CardBrand", "CardCountryCode", "CardData", "CashBackAmount", "Currency", "DeviceID",
    "EntryMode", "ErrorCondition", "EventDetails", "EventNotification", "EventToNotify", "GetTotalsResponse",
    "Instalment", "MaintenanceRequiredFlag", "MaskedPAN", "MaskedPan", "MerchantID", "MessageCategory",
    "MessageHeader", "MessageReference", "MessageType", "NexoBlob", "OnlineFlag", "OperatorID",
    "OriginalPOITransaction", "PAN", "POIData", "POIID", "POIReconciliationID", "POITransactionID",
    "PaymentAccountRef", "PaymentAcquirerData", "PaymentBrand", "PaymentCurrency", "PaymentInstrumentData",
    "PaymentResponse", "PaymentResult", "PaymentToken", "PaymentTotals", "PaymentType", "ReconciliationResponse",
    "ReconciliationType", "RepeatedMessageResponse", "RepeatedResponseMessageBody", "Response", "Result",
    "ReversalReason", "ReversalResponse", "ReversedAmount", "SaleData", "SaleID", "SaleToPOIRequest",
    "SaleToPOIResponse", "SaleTransactionID", "SensitiveCardData", "ServiceID", "TimeStamp", "TipAmount",
    "TokenValue", "TotalFeesAmount", "TotalNbOfPayments", "TransactionAmount", "TransactionCount", "TransactionID",
    "TransactionStatusResponse", "TransactionTotals", "TransactionType"};
// clang-format on

// "": not read here.
std::string_view kept_name(std::string_view name) {
  const auto found = std::ranges::find(kept_names, name);
  return found == kept_names.end() ? std::string_view() : *found;
}

class Builder final : public JsonListener {
 public:
  base::Result<Node, Refusal> take() {
    if (refusal_) return base::fail(std::move(*refusal_));
    return std::move(root_);
  }

  void on_object_begin() override { begin(Node::Kind::object); }
  void on_object_end() override { end(); }
  void on_array_begin() override { begin(Node::Kind::array); }
  void on_array_end() override { end(); }

  void on_key(std::string_view name) override {
    if (skipped_depth_ > 0) return;
    name_ = kept_name(name);
    skips_next_ = name_.empty();
    if (skips_next_ || refusal_) return;
    if (open_.back().find(name_) != nullptr) refusal_ = redact::invalid_json(fmt::format("{} is given twice", place()));
  }

  void on_text(std::string_view text) override { leaf(Node::Kind::text, text); }
  void on_number(std::string_view literal) override { leaf(Node::Kind::number, literal); }
  void on_flag(bool value) override { leaf(Node::Kind::flag, value ? "true" : "false"); }
  void on_null() override { leaf(Node::Kind::null, {}); }

 private:
  void begin(Node::Kind kind) {
    if (skipped_depth_ > 0 || std::exchange(skips_next_, false)) {
      ++skipped_depth_;
      return;
    }
    open_.push_back({.name = std::exchange(name_, {}), .kind = kind, .value = {}, .members = {}});
  }

  void end() {
    if (skipped_depth_ > 0) {
      --skipped_depth_;
      return;
    }
    Node done = std::move(open_.back());
    open_.pop_back();
    attach(std::move(done));
  }

  void leaf(Node::Kind kind, std::string_view value) {
    if (skipped_depth_ > 0 || std::exchange(skips_next_, false)) return;
    attach({.name = std::exchange(name_, {}), .kind = kind, .value = redact::Secret(value), .members = {}});
  }

  void attach(Node node) {
    if (++nodes_ > nodes_max && !refusal_)
      refusal_ = Refusal{
          Reason::too_large, {}, fmt::format("a message may have at most {} values that are read", nodes_max), {}};
    if (refusal_) return;
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back().members.push_back(std::move(node));
    }
  }

  [[nodiscard]] std::string place() const {
    std::string path;
    for (const Node& node : open_) {
      if (!node.name.empty()) path += std::string(node.name) + ".";
    }
    return path + std::string(name_);
  }

  Node root_;
  std::vector<Node> open_;
  std::string_view name_;  // of the value that comes next
  bool skips_next_ = false;
  std::size_t skipped_depth_ = 0;
  std::size_t nodes_ = 0;
  std::optional<Refusal> refusal_;
};

}  // namespace

const Node* Node::find(std::string_view path) const {
  const Node* node = this;
  while (node != nullptr && !path.empty()) {
    const std::string_view step = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(step.size() + 1, path.size()));
    ASSERT(!kept_name(step).empty());
    const auto found = std::ranges::find(node->members, step, &Node::name);
    node = found == node->members.end() ? nullptr : &*found;
  }
  return node;
}

std::string_view Node::text(std::string_view path) const {
  const Node* const node = find(path);
  return node == nullptr ? std::string_view() : node->value.view();
}

base::Result<Node, Refusal> read_tree(std::string_view text) {
  Builder builder;
  if (auto refusal = read_json(text, depth_max, builder)) return base::fail(std::move(*refusal));
  return builder.take();
}

}  // namespace terminal::nexo
