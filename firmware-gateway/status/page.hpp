// The local page for the technician who stands before the box: one self-contained document, which reads /v1/status and
// /healthz.
#pragma once

#include <string_view>

namespace status {

// HTML. Loads nothing from anywhere else, and writes what it reads as text only.
[[nodiscard]] std::string_view local_page();
// For the header of the same name: nothing but the page itself runs, and it may talk to its own origin only.
inline constexpr std::string_view local_page_policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

}  // namespace status
