// BER-TLV as EMV uses it (EMV book 3, annex B): walking through it, and which tags may be kept.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace redact {

// Templates within templates that are looked into; deeper ones are taken as a whole.
inline constexpr unsigned tlv_depth_max = 4;

struct Tlv {
  std::string_view tag;    // its bytes
  std::string_view value;  // its bytes
  [[nodiscard]] bool constructed() const { return (static_cast<unsigned char>(tag.front()) & 0x20U) != 0; }
};

// Takes the next element from the beginning of `bytes`; nothing when they are no element, or not a whole one. Filling
// bytes (00, FF) between elements must be gone: see skip_filling.
[[nodiscard]] std::optional<Tlv> take_tlv(std::string_view& bytes);
void skip_filling(std::string_view& bytes);

// Whether an element of this tag (upper-case hex) and length may leave the box: application, label, results, amounts,
// dates. Never card data, never cryptograms.
[[nodiscard]] bool tlv_may_be_kept(std::string_view tag, std::size_t length);

}  // namespace redact
