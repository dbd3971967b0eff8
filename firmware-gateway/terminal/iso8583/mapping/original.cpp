#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

namespace iso8583 {
namespace {

constexpr std::size_t mti_digits = 4;
constexpr std::size_t stan_digits = 6;
constexpr std::size_t time_digits = 10;  // MMDDhhmmss
constexpr std::size_t rrn_bytes = 12;
constexpr std::size_t original_data_digits_1987 = mti_digits + stan_digits + time_digits;

bool all_zeros(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }
bool all_digits(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

// Of a transaction that can be somebody's original: a request or an advice about money.
bool is_original_mti(std::string_view text) {
  const auto mti = read_mti(text);
  return mti && mti->message_class <= MessageClass::reversal && !mti->is_response();
}

bool is_time(std::string_view mmddhhmmss) {
  const auto two = [&](std::size_t at) { return to_number(mmddhhmmss.substr(at, 2)).value_or(99); };
  return two(0) >= 1 && two(0) <= 12 && two(2) >= 1 && two(2) <= 31 && two(4) < 24 && two(6) < 60 && two(8) <= 60;
}

// MTI and STAN, which every way of naming an original begins with; filler is none.
std::optional<redact::Original> begin_original(std::string_view data) {
  if (data.size() < mti_digits + stan_digits || !is_original_mti(data.substr(0, mti_digits))) return std::nullopt;
  const std::string_view stan = data.substr(mti_digits, stan_digits);
  if (!all_digits(stan) || all_zeros(stan)) return std::nullopt;
  redact::Original original;
  original.mti = data.substr(0, mti_digits);
  original.stan = stan;
  return original;
}

// MTI n4, STAN n6, transmission time n10, acquirer n11, forwarder n11.
std::optional<redact::Original> by_field_90(const Message& message) {
  const std::string data = text_of(message, 90);
  auto original = begin_original(data);
  if (!original || data.size() < original_data_digits_1987) return original;
  const std::string_view time = std::string_view(data).substr(mti_digits + stan_digits, time_digits);
  if (is_time(time)) original->time = time;
  return original;
}

// MTI n4, STAN n6, local time n12, acquirer n..11.
std::optional<redact::Original> by_field_56(const Message& message) {
  const std::string data = text_of(message, 56);
  auto original = begin_original(data);
  if (!original || data.size() < original_data_digits_1987 + 2) return original;
  const std::string_view time = std::string_view(data).substr(mti_digits + stan_digits + 2, time_digits);
  if (is_time(time)) original->time = time;
  return original;
}

// MTI n4, STAN n6, perhaps RRN an12: how hosts of points of sale want it in a batch upload.
std::optional<redact::Original> by_field_60(const Message& message) {
  const std::string data = text_of(message, 60);
  auto original = begin_original(data);
  if (!original || data.size() < mti_digits + stan_digits + rrn_bytes) return original;
  const std::string_view rrn = trimmed(std::string_view(data).substr(mti_digits + stan_digits, rrn_bytes));
  if (all_zeros(rrn)) return original;
  original->rrn = rrn;
  original->rrn_named = true;
  return original;
}

std::optional<redact::Original> by_own_stan(const Message& message) {
  redact::Original original;
  original.stan = text_of(message, 11);
  return all_digits(original.stan) ? std::optional(original) : std::nullopt;
}

std::string written(const redact::WrittenTime& time) {
  const std::string clock = fmt::format("{:02}{:02}{:02}", time.hour, time.minute, time.second);
  return time.month == 0 ? clock : fmt::format("{:02}{:02}{}", time.month, time.day, clock);
}

std::string own_time(const Message& message, unsigned year) {
  if (const auto local = local_time(message, year)) return written(*local);
  if (const auto sent = transmission_time(message)) return written(*sent);
  return {};
}

// Words between the numbers, so that no two of them can be read as one card number.
void add(std::string& ref, std::string_view name, std::string_view value) {
  if (!value.empty()) fmt::format_to(std::back_inserter(ref), " {} {}", name, value);
}

}  // namespace

std::optional<redact::Original> original_of(const Message& message, const Mti& mti, unsigned year) {
  const bool uploads = mti.message_class == MessageClass::file_action;
  const auto uploaded = uploads ? by_field_60(message) : std::nullopt;
  std::optional<redact::Original> original = year >= 1993 ? by_field_56(message) : by_field_90(message);
  // The upload of a reversal that also says what was reversed is that reversal once more.
  const bool reversed_is_named = uploaded && original && uploaded->is_reversal() && !original->is_reversal();
  if (uploaded && !reversed_is_named) original = uploaded;
  if (!original && mti.message_class == MessageClass::reversal) original = by_own_stan(message);
  if (!original) return std::nullopt;
  if (original->rrn.empty()) original->rrn = reference_number_of(message);
  original->is_this = uploads && !reversed_is_named;
  return original;
}

std::string reference_number_of(const Message& message) {
  const std::string rrn = text_of(message, 37);
  return all_zeros(rrn) ? std::string() : rrn;
}

bool reverses(const Mti& mti, const std::optional<redact::Original>& original) {
  if (mti.message_class == MessageClass::file_action && original) return !original->is_this || original->is_reversal();
  return mti.message_class == MessageClass::reversal;
}

std::string message_ref_of(const Message& message, const Mti& mti, unsigned year,
                           const std::optional<redact::Original>& original) {
  const bool in_its_place = original && original->is_this;
  const bool reversal = reverses(mti, original);
  const bool names_reversed = reversal && original && !original->mti.empty() && !in_its_place;
  // What a terminal reverses as a request at first and as an advice later is reversed once.
  std::string ref;
  if (names_reversed) {
    ref = fmt::format("{}4", message.mti()[0]);
    add(ref, "of", std::string_view(original->mti).substr(0, 2));
    add(ref, "time", original->time);
    // Only where nothing else tells two with one STAN apart: a repeat may have another.
    if (original->time.empty()) add(ref, "rrn", reference_number_of(message));
  } else {
    ref = in_its_place ? original->mti.substr(0, reversal ? 2 : 3)
                       : std::string(message.mti().substr(0, reversal ? 2 : 3));
    const bool has_local_time = in_its_place && year >= 1993 && !original->time.empty();
    const std::string rrn = reversal ? reference_number_of(message) : text_of(message, 37);
    if (!reversal || rrn.empty()) add(ref, "time", has_local_time ? original->time : own_time(message, year));
    add(ref, "rrn", original && original->rrn_named ? original->rrn : rrn);
  }
  add(ref, "acquirer", text_of(message, 32));
  add(ref, "merchant", text_of(message, 42));
  return ref;
}

}  // namespace iso8583
