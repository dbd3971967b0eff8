#include "firmware-gateway/terminal/nexo/message.hpp"

#include <fmt/format.h>

#include <array>

#include "firmware-gateway/terminal/nexo/additional_response.hpp"
#include "firmware-gateway/terminal/nexo/payment.hpp"
#include "firmware-gateway/terminal/nexo/reference.hpp"
#include "firmware-gateway/terminal/nexo/totals.hpp"
#include "proto/base/text.hpp"

namespace terminal::nexo {
namespace {

using redact::Draft;
using redact::Field;

// The bodies that are read, and the MessageCategory whose answer or notification they are.
struct Body {
  std::string_view name;
  std::string_view category;
  std::string_view message_type;
};

constexpr std::array bodies{
    Body{"PaymentResponse", "Payment", "Response"},
    Body{"ReversalResponse", "Reversal", "Response"},
    Body{"TransactionStatusResponse", "TransactionStatus", "Response"},
    Body{"ReconciliationResponse", "Reconciliation", "Response"},
    Body{"GetTotalsResponse", "GetTotals", "Response"},
    Body{"EventNotification", "Event", "Notification"},
};

bool is_object(const Node* node) { return node != nullptr && node->kind == Node::Kind::object; }

Refusal misses(std::string_view envelope, std::string_view what) {
  return redact::invalid_json(fmt::format("{}.{} is required", envelope, what));
}

base::Result<Message, Refusal> one(base::Result<Draft, Refusal> draft) {
  if (!draft) return base::fail(std::move(draft.error()));
  Message message;
  message.drafts.push_back(std::move(*draft));
  return message;
}

Message totals(const Node& body, const Header& header, std::string_view category, const Context& context) {
  return {.drafts = read_totals(body, header, category, context), .notification = false};
}

// The answer to "what became of that payment?" holds the old answer, with its own header: it is that one once more.
base::Result<Message, Refusal> read_repeated(const Node& status, const Header& header, const Context& context) {
  const Node* const repeated = status.find("RepeatedMessageResponse");
  const Node* const content = repeated == nullptr ? nullptr : repeated->find("RepeatedResponseMessageBody");
  if (content == nullptr) return Message{};
  Header original = header;
  const auto take = [&](std::string_view path) {
    const Node* const about = status.find(path);
    if (about == nullptr) return;
    const Header said = read_header(*about);
    if (!said.poi_id.empty()) original.poi_id = said.poi_id;
    if (!said.sale_id.empty()) original.sale_id = said.sale_id;
    if (!said.service_id.empty()) original.service_id = said.service_id;
  };
  // This message's own number is none of the old one's.
  original.service_id = {};
  take("MessageReference");
  take("RepeatedMessageResponse.MessageHeader");
  if (const Node* const payment = content->find("PaymentResponse"); is_object(payment))
    return one(read_payment(*payment, original, context));
  if (const Node* const reversal = content->find("ReversalResponse"); is_object(reversal))
    return one(read_reversal(*reversal, original, context));
  return Message{};
}

Draft read_notification(const Node& body, const Header& header, const Context& context) {
  Draft draft = new_draft(header, "terminal_status", context);
  const std::string_view event = body.text("EventToNotify");
  set_time(draft, {body.text("TimeStamp")}, context);
  // Whatever number it has: a Reject bears the rejected request's, and one of them may be missing.
  draft.fields.text(Field::terminal_ref) = reference_of(
      {"Event", event, draft.fields.text(Field::occurred_at), header.service_id, header.device_id}, context.hasher);
  set_attribute(draft, "event", event);
  set_attribute(draft, "maintenance_required", body.text("MaintenanceRequiredFlag"));
  for (const auto& [name, value] : read_event_details(body.text("EventDetails")))
    set_attribute(draft, std::string("detail_").append(name).c_str(), value);
  return draft;
}

// That something came is all that can be told of it. The hash is of what is encrypted.
Draft read_encrypted(const Node& envelope, const Header& header, const Context& context) {
  Draft draft = new_draft(header, "terminal_status", context);
  const std::string hash = base::to_base32(context.hasher.sha256({envelope.text("NexoBlob")}).view()).substr(0, 26);
  draft.fields.text(Field::terminal_ref) = reference_of({"Encrypted", header.service_id, hash}, context.hasher);
  set_time_received(draft, context);
  set_attribute(draft, "event", "encrypted");
  set_attribute(draft, "message_category", header.category);
  return draft;
}

base::Result<Message, Refusal> read_body(std::string_view name, const Node& body, const Header& header,
                                         const Context& context) {
  if (name == "PaymentResponse") return one(read_payment(body, header, context));
  if (name == "ReversalResponse") return one(read_reversal(body, header, context));
  if (name == "TransactionStatusResponse") return read_repeated(body, header, context);
  if (name == "ReconciliationResponse") return totals(body, header, "Reconciliation", context);
  if (name == "GetTotalsResponse") return totals(body, header, "GetTotals", context);
  return one(read_notification(body, header, context));
}

base::Result<Message, Refusal> read_envelope(std::string_view name, const Node& envelope, const Context& context) {
  const Node* const message_header = envelope.find("MessageHeader");
  if (!is_object(message_header)) return base::fail(misses(name, "MessageHeader"));
  const Header header = read_header(*message_header);
  const bool encrypted = envelope.find("NexoBlob") != nullptr;
  if (encrypted && header.poi_id.empty()) return base::fail(misses(name, "MessageHeader.POIID"));
  if (encrypted) return one(read_encrypted(envelope, header, context));
  for (const Body& body : bodies) {
    const Node* const content = envelope.find(body.name);
    const bool announced = header.category == body.category && header.type == body.message_type;
    if (content == nullptr && !announced) continue;
    if (!is_object(content)) return base::fail(misses(name, body.name));
    if (header.poi_id.empty()) return base::fail(misses(name, "MessageHeader.POIID"));
    return read_body(body.name, *content, header, context);
  }
  return Message{};
}

}  // namespace

base::Result<Message, Refusal> read_message(std::string_view text, const Context& context) {
  if (text.size() > nexo_bytes_max)
    return base::fail(
        Refusal{Reason::too_large, {}, fmt::format("a message may have at most {} bytes", nexo_bytes_max), {}});
  const auto tree = read_tree(text);
  if (!tree) return base::fail(tree.error());
  const bool response = is_object(tree->find("SaleToPOIResponse"));
  const bool request = is_object(tree->find("SaleToPOIRequest"));
  if (response == request)
    return base::fail(redact::invalid_json("must hold one of the objects SaleToPOIResponse and SaleToPOIRequest"));
  const std::string_view name = response ? "SaleToPOIResponse" : "SaleToPOIRequest";
  auto message = read_envelope(name, *tree->find(name), context);
  if (message) message->notification = tree->find(name)->text("MessageHeader.MessageType") == "Notification";
  return message;
}

}  // namespace terminal::nexo
