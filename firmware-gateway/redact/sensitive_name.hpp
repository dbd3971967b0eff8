// Names that say what they hold: card verification values, PIN blocks, track data. Such data is forbidden at rest even
// when nothing about the value shows it (three digits may be anything).
#pragma once

#include <string_view>

namespace redact {

// Whether data under this name is sensitive authentication data (PCI DSS) or a card number. Upper and lower case,
// punctuation and camelCase make no difference; English, German and the fields of ISO 8583 and EMV.
[[nodiscard]] bool names_sensitive_data(std::string_view name);

}  // namespace redact
