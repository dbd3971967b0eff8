// Response.AdditionalResponse and EventDetails: a vendor's own pairs, in one of two encodings: name=value&… as in URLs,
// or a JSON object in base64 (Adyen). Shopper data, expiry and BIN stand among them: only names on a list are kept.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace terminal::nexo {

// Values of the names that are known; what cannot be decoded has none. The list is in the .cpp and in the README.
using Pairs = std::map<std::string_view, std::string>;

[[nodiscard]] Pairs read_additional_response(std::string_view text);
[[nodiscard]] Pairs read_event_details(std::string_view text);

}  // namespace terminal::nexo
