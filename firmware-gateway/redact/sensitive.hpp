// Sensitive: a field of a terminal's message as everybody but redact sees it. It is there, it has a length and a class;
// what it says can be had through the functions named here only, each of which masks, drops or scans.
//
// A view: the bytes belong to whoever made it (a Message, which wipes them). It cannot be copied, compared or
// formatted, so that no value slips into a log, a test's report or an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/redact/secret.hpp"

namespace redact {

// What a field may hold, and so what may be done with it.
enum class DataClass : std::uint8_t {
  pan,   // a card or account number: last four at most
  sad,   // sensitive authentication data (track, PIN block, keys): nothing, ever
  chd,   // other cardholder data (expiry, name): nothing
  tlv,   // EMV data: by tag
  text,  // free text: scanned for card data
  open,  // none of it
};

// One element of EMV data.
struct TlvElement {
  std::string tag;         // "9F02"
  std::string value;       // hex; empty when it was masked
  std::size_t length = 0;  // bytes, also of a masked one
  bool masked = true;
};

struct TlvReading {
  std::vector<TlvElement> elements;
  // False: the data ended early, or is no BER-TLV from some place on; what came before is in elements.
  bool complete = true;
};

class Sensitive {
 public:
  // `text` is the field's value as the codec gives it: UTF-8, or hex of binary data.
  Sensitive(std::string_view text, DataClass data_class) : text_(text), class_(data_class) {}
  Sensitive(const Sensitive&) = delete;
  Sensitive& operator=(const Sensitive&) = delete;
  bool operator==(const Sensitive&) const = delete;
  ~Sensitive() = default;

  [[nodiscard]] std::size_t size() const { return text_.size(); }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] DataClass data_class() const { return class_; }

 private:
  // The only ways out.
  friend std::string shown(const Sensitive& field);
  friend TlvReading read_tlv(const Sensitive& field);
  friend Secret pan_of_number(const Sensitive& field);
  friend Secret pan_of_track2(const Sensitive& field);
  friend Secret pan_of_track1(const Sensitive& field);
  friend Secret pan_of_tlv(const Sensitive& field);
  // Defined in tests/support/redact/revealed.hpp, nowhere else.
  friend struct RevealedForTests;

  std::string_view text_;
  DataClass class_;
};

// What may be shown of a field to people and logs, by its class. pan: "************1111", of less than twelve
// characters none; sad, chd: '*' for each character; tlv: its elements as "9F02=000000001000 5A=****************";
// text: card data as
// "[card data]"; open: as it is.
[[nodiscard]] std::string shown(const Sensitive& field);

// The elements in their order, those of templates among them. Values of tags that are known to hold no card data and no
// cryptogram are given, unless they look like card data all the same; all others are masked.
[[nodiscard]] TlvReading read_tlv(const Sensitive& field);

// The card number of field 2 (or 34, 102 …); of track 2 (up to the separator = or D); of track 1; of EMV data (tag 5A,
// else 57). Digits only, 12 to 19 of them; empty when there is none. Luhn is not asked for.
[[nodiscard]] Secret pan_of_number(const Sensitive& field);
[[nodiscard]] Secret pan_of_track2(const Sensitive& field);
[[nodiscard]] Secret pan_of_track1(const Sensitive& field);
[[nodiscard]] Secret pan_of_tlv(const Sensitive& field);

}  // namespace redact
