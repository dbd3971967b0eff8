#include "firmware-gateway/tap/matching.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace tap {
namespace {

using iso8583::Message;
using iso8583::Mti;
using iso8583::text_of;

constexpr unsigned stan_field = 11;
constexpr unsigned terminal_field = 41;
constexpr unsigned merchant_field = 42;
// As compared_names: transmission time, local time and date, retrieval reference, merchant.
constexpr unsigned tpdu = 0;
constexpr std::array<unsigned, compared_names.size()> compared = {tpdu, 7, 12, 13, 37, merchant_field};

enum class Agreement { agree, differ, unsaid };

Agreement agreement(const Message& a, const Message& b, unsigned field) {
  const std::string left = text_of(a, field);
  const std::string right = text_of(b, field);
  if (left.empty() || right.empty()) return Agreement::unsaid;
  return left == right ? Agreement::agree : Agreement::differ;
}

// A TPDU is 60, destination and source: an answer's has them exchanged, or as they came.
Agreement header_agreement(std::string_view request, std::string_view answer) {
  constexpr std::size_t tpdu_bytes = 5;
  if (request.size() != tpdu_bytes || answer.size() != tpdu_bytes) return Agreement::unsaid;
  const bool exchanged = request.substr(1, 2) == answer.substr(3, 2) && request.substr(3, 2) == answer.substr(1, 2);
  return exchanged || request.substr(1) == answer.substr(1) ? Agreement::agree : Agreement::differ;
}

bool responds(const Mti& response, const Mti& request) {
  return response.version == request.version && response.message_class == request.message_class &&
         static_cast<unsigned>(response.function) == static_cast<unsigned>(request.function) + 1;
}

// Whether two messages are of one terminal and STAN; `header`: where no terminal says so.
bool same_reference(const Message& a, const Message& b, Agreement header) {
  const Agreement terminal = agreement(a, b, terminal_field);
  return agreement(a, b, stan_field) == Agreement::agree && terminal != Agreement::differ &&
         (terminal == Agreement::agree || header != Agreement::differ);
}

// With another time or reference it is another transaction whose STAN came round; a repeat has 7 anew.
bool is_repeat(const Request& again, const Request& first) {
  return again.connection == first.connection && again.mti.version == first.mti.version &&
         again.mti.message_class == first.mti.message_class && again.mti.function == first.mti.function &&
         again.header == first.header && same_reference(again.message, first.message, Agreement::agree) &&
         agreement(again.message, first.message, merchant_field) != Agreement::differ &&
         std::ranges::all_of(std::array{4U, 12U, 13U, 37U}, [&](unsigned field) {
           return text_of(again.message, field) == text_of(first.message, field);
         });
}

// A reversal that names no original has its STAN: never that of another reversal.
bool is_reversible(const Mti& mti, const redact::Original& original) {
  const auto named = iso8583::read_mti(original.mti);
  return named ? mti.message_class == named->message_class : mti.message_class < iso8583::MessageClass::reversal;
}

// Of what is compared: the first that differs, else how many agree.
base::Result<unsigned, Unmatched> likeness(const Message& request, const Message& answer, Agreement header,
                                           const std::vector<std::string>& host_sets) {
  unsigned agreeing = 0;
  for (std::size_t i = 0; i < compared.size(); ++i) {
    if (std::ranges::find(host_sets, compared_names[i]) != host_sets.end()) continue;
    const Agreement found = compared[i] == tpdu ? header : agreement(request, answer, compared[i]);
    if (found == Agreement::differ) return base::fail(Unmatched{compared_names[i]});
    if (found == Agreement::agree) ++agreeing;
  }
  return agreeing;
}

}  // namespace

Request Matching::take(Requests::iterator request) {
  Request taken = std::move(*request);
  bytes_ -= taken.bytes;
  open_.erase(request);
  return taken;
}

std::vector<Request> Matching::open(Request request) {
  if (std::ranges::any_of(open_, [&](const Request& first) { return is_repeat(request, first); })) return {};
  bytes_ += request.bytes;
  open_.push_back(std::move(request));
  std::vector<Request> given_up;
  while (open_.size() > limits_.requests_max || bytes_ > limits_.bytes_max) given_up.push_back(take(open_.begin()));
  return given_up;
}

base::Result<Request, Unmatched> Matching::answer(Connection connection, const Message& answer, const Mti& mti,
                                                  std::string_view header) {
  auto best = open_.end();
  unsigned best_likeness = 0;
  Unmatched unmatched;
  for (auto request = open_.begin(); request != open_.end(); ++request) {
    if (request->connection != connection || !responds(mti, request->mti)) continue;
    const Agreement headers = header_agreement(request->header, header);
    if (!same_reference(request->message, answer, headers)) continue;
    const auto found = likeness(request->message, answer, headers, host_sets_);
    if (!found) {
      unmatched = found.error();
    } else if (best == open_.end() || *found > best_likeness) {
      best = request;
      best_likeness = *found;
    }
  }
  if (best == open_.end()) return base::fail(unmatched);
  return take(best);
}

std::vector<Request> Matching::expire(base::Instant seen_until) {
  std::vector<Request> expired;
  while (!open_.empty() && open_.front().seen.instant <= seen_until) expired.push_back(take(open_.begin()));
  return expired;
}

template <class Predicate>
std::vector<Request> Matching::take_all(Predicate wanted) {
  std::vector<Request> taken;
  for (auto request = open_.begin(); request != open_.end();) {
    const auto next = std::next(request);
    if (wanted(*request)) taken.push_back(take(request));
    request = next;
  }
  return taken;
}

std::vector<Request> Matching::reverse(const Message& reversal, const redact::Original& original) {
  return take_all([&](const Request& request) {
    return agreement(request.message, reversal, terminal_field) == Agreement::agree &&
           agreement(request.message, reversal, merchant_field) != Agreement::differ &&
           text_of(request.message, stan_field) == original.stan && is_reversible(request.mti, original);
  });
}

std::vector<Request> Matching::close(Connection connection) {
  return take_all([&](const Request& request) { return request.connection == connection; });
}

}  // namespace tap
