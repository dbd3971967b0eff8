#include "firmware-gateway/terminal/nexo/payment.hpp"

#include <algorithm>
#include <array>

#include "firmware-gateway/redact/card_number.hpp"
#include "firmware-gateway/terminal/nexo/additional_response.hpp"
#include "firmware-gateway/terminal/nexo/decimal.hpp"
#include "firmware-gateway/terminal/nexo/reference.hpp"
#include "firmware-gateway/terminal/nexo/words.hpp"

namespace terminal::nexo {
namespace {

using redact::Draft;
using redact::Field;

struct Text {
  std::string_view path;
  Field field;
};

// Taken as they are. An array of one table: what is not in it does not leave this folder.
constexpr std::array payment_texts{
    Text{"POIData.POIReconciliationID", Field::batch_no},
    Text{"SaleData.OperatorID", Field::operator_id},
    Text{"PaymentResult.PaymentAcquirerData.MerchantID", Field::merchant_id},
    Text{"PaymentResult.PaymentAcquirerData.ApprovalCode", Field::auth_code},
    Text{"PaymentResult.PaymentAcquirerData.AcquirerTransactionID.TransactionID", Field::rrn},
    Text{"PaymentResult.PaymentInstrumentData.CardData.PaymentAccountRef", Field::card_par},
    Text{"PaymentResult.PaymentInstrumentData.CardData.PaymentToken.TokenValue", Field::card_token},
};

// Decimal numbers in major units.
constexpr std::array payment_amounts{
    Text{"PaymentResult.AmountsResp.AuthorizedAmount", Field::amount_minor},
    Text{"PaymentResult.AmountsResp.TipAmount", Field::tip_minor},
    Text{"PaymentResult.AmountsResp.CashBackAmount", Field::cashback_minor},
    Text{"PaymentResult.AmountsResp.TotalFeesAmount", Field::surcharge_minor},
};

struct Attribute {
  std::string_view name;  // of the pair in AdditionalResponse
  const char* ours;
};

constexpr std::array additional_attributes{
    Attribute{"pspReference", "psp_reference"},
    Attribute{"refusalReason", "refusal_reason"},
    Attribute{"message", "message"},
    Attribute{"refusalReasonRaw", "refusal_reason_raw"},
    Attribute{"store", "store"},
    Attribute{"tid", "acquirer_terminal_id"},
    Attribute{"fundingSource", "funding_source"},
    Attribute{"issuerCountry", "issuer_country"},
};

std::string_view value_of(const Pairs& pairs, std::string_view name) {
  const auto found = pairs.find(name);
  return found == pairs.end() ? std::string_view() : found->second;
}

void set_unless_given(Draft& draft, Field field, std::string_view value) {
  if (draft.fields.text(field).empty()) draft.fields.text(field) = value;
}

// A member that is a word or a list of words: the first that we know. Unknown, and nothing else says it: incomplete.
template <class Translate>
void set_word(Draft& draft, Field field, const Node* words, Translate translate) {
  if (words == nullptr) return;
  const auto take = [&](const Node& word) {
    const auto ours = translate(word.value.view());
    if (ours) draft.fields.text(field) = *ours;
    return ours.has_value();
  };
  const bool known = take(*words) || std::ranges::any_of(words->members, [&](const auto& item) { return take(item); });
  const bool given = !words->members.empty() || !words->value.empty();
  if (given && !known && draft.fields.text(field).empty()) mark_incomplete(draft, field);
}

// A masked number has blanks in it ("411111 **** 1111"), one or several.
redact::Secret without_blanks(std::string_view text) {
  redact::Secret number;
  for (const char c : text)
    if (c != ' ') number.append({&c, 1});
  return number;
}

// A clear number makes a token; so it goes before one that is masked, wherever it stands.
void set_card(Draft& draft, const Node& card, const Pairs& pairs) {
  for (const std::string_view path : {"SensitiveCardData.PAN", "MaskedPan", "MaskedPAN"}) {
    redact::Secret number = without_blanks(card.text(path));
    if (number.empty()) continue;
    const bool better = redact::is_clear(number.view()) && !redact::is_clear(draft.card_number.view());
    if (draft.card_number.empty() || better) draft.card_number = std::move(number);
  }
  draft.fields.text(Field::card_brand) = brand_of(card.text("PaymentBrand"));
  draft.fields.text(Field::entry_mode) = entry_mode_of(value_of(pairs, "posEntryMode")).value_or("");
  set_word(draft, Field::entry_mode, card.find("EntryMode"), &entry_mode_of);
  set_attribute(draft, "card_country", card.text("CardCountryCode"));
}

void set_authorizer(Draft& draft, std::string_view online, std::string_view offline) {
  if (online == "true" || (online.empty() && offline == "false")) draft.fields.text(Field::authorized_by) = "online";
  if (online == "false" || (online.empty() && offline == "true")) draft.fields.text(Field::authorized_by) = "offline";
}

void set_additional(Draft& draft, const Pairs& pairs) {
  set_unless_given(draft, Field::auth_code, value_of(pairs, "authCode"));
  set_unless_given(draft, Field::emv_aid, value_of(pairs, "AID"));
  set_unless_given(draft, Field::card_brand, brand_of(value_of(pairs, "paymentMethod")));
  if (draft.card_number.empty()) draft.fields.text(Field::card_last4) = value_of(pairs, "cardSummary");
  for (const Attribute& attribute : additional_attributes)
    set_attribute(draft, attribute.ours, value_of(pairs, attribute.name));
}

void set_type(Draft& draft, std::string_view payment_type) {
  const auto type = type_of(payment_type);
  draft.fields.text(Field::type) = type.value_or("sale");
  if (!type) mark_incomplete(draft, Field::type);
  if (!says_it_all(payment_type)) set_attribute(draft, "payment_type", payment_type);
}

void set_installments(Draft& draft, std::string_view count) {
  if (count.empty()) return;
  draft.fields.number(Field::installments) = to_count(count);
  if (!draft.fields.number(Field::installments)) mark_incomplete(draft, Field::installments);
}

// A payment's is its TransactionID alone, so that a reversal, which knows nothing else of it, finds it.
std::string transaction_ref(std::string_view category, std::string_view transaction_id, const Context& context) {
  return reference_of({category == "Payment" ? std::string_view() : category, transaction_id}, context.hasher);
}

// false: nothing identifies it.
bool set_reference(Draft& draft, const Node& body, const Header& header, std::string_view category,
                   const Context& context) {
  const std::string_view transaction = body.text("POIData.POITransactionID.TransactionID");
  const std::string_view sale = body.text("SaleData.SaleTransactionID.TransactionID");
  const std::string_view sale_time = body.text("SaleData.SaleTransactionID.TimeStamp");
  draft.fields.text(Field::terminal_ref) =
      transaction.empty() ? reference_of({category, header.service_id, sale, sale_time}, context.hasher)
                          : transaction_ref(category, transaction, context);
  set_attribute(draft, "sale_transaction_id", sale);
  return !transaction.empty() || !header.service_id.empty() || !sale.empty();
}

Refusal unidentified() {
  return redact::invalid(Field::terminal_ref,
                         "MessageHeader.ServiceID, POIData.POITransactionID.TransactionID or "
                         "SaleData.SaleTransactionID.TransactionID is required: without any of them a repeat could not "
                         "be told from another sale");
}

const Node& member_of(const Node& node, std::string_view path) {
  static const Node none;
  const Node* const found = node.find(path);
  return found == nullptr ? none : *found;
}

}  // namespace

base::Result<Draft, Refusal> read_payment(const Node& body, const Header& header, const Context& context) {
  Draft draft = new_draft(header, "sale", context);
  if (!set_reference(draft, body, header, "Payment", context)) return base::fail(unidentified());
  const Pairs pairs = read_additional_response(body.text("Response.AdditionalResponse"));
  const Node& result = member_of(body, "PaymentResult");
  set_type(draft, result.text("PaymentType"));
  set_time(draft, {body.text("POIData.POITransactionID.TimeStamp"), body.text("SaleData.SaleTransactionID.TimeStamp")},
           context);
  set_outcome(draft, member_of(body, "Response"));
  for (const Text& row : payment_texts) draft.fields.text(row.field) = body.text(row.path);
  if (const Node* const amounts = result.find("AmountsResp")) {
    const auto currency = set_currency(draft, amounts->text("Currency"), context);
    for (const Text& row : payment_amounts) set_amount(draft, row.field, body.text(row.path), currency);
  }
  set_card(draft, member_of(result, "PaymentInstrumentData.CardData"), pairs);
  set_word(draft, Field::cvm, result.find("AuthenticationMethod"), &cvm_of);
  set_authorizer(draft, result.text("OnlineFlag"), value_of(pairs, "offline"));
  set_installments(draft, result.text("Instalment.TotalNbOfPayments"));
  set_additional(draft, pairs);
  return draft;
}

base::Result<Draft, Refusal> read_reversal(const Node& body, const Header& header, const Context& context) {
  Draft draft = new_draft(header, "reversal", context);
  if (!set_reference(draft, body, header, "Reversal", context)) return base::fail(unidentified());
  const Pairs pairs = read_additional_response(body.text("Response.AdditionalResponse"));
  const Node& original = member_of(body, "OriginalPOITransaction");
  set_time(draft, {body.text("POIData.POITransactionID.TimeStamp")}, context);
  set_outcome(draft, member_of(body, "Response"));
  draft.fields.text(Field::batch_no) = body.text("POIData.POIReconciliationID");
  draft.fields.text(Field::original_ref) =
      transaction_ref("Payment", original.text("POITransactionID.TransactionID"), context);
  if (const std::string_view poi_id = original.text("POIID"); poi_id != header.poi_id)
    draft.fields.text(Field::original_terminal_id) = reference_of({poi_id}, context.hasher);
  draft.fields.text(Field::reason) = reason_of(body.text("ReversalReason")).value_or("");
  // None: all of the original.
  if (const std::string_view amount = body.text("ReversedAmount"); !amount.empty())
    set_amount(draft, Field::amount_minor, amount, set_currency(draft, value_of(pairs, "currency"), context));
  set_additional(draft, pairs);
  return draft;
}

}  // namespace terminal::nexo
