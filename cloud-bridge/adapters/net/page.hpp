// The live page and what it loads: three files from page/, built into the program. They hold no data, so they need no
// token.
#pragma once

#include <optional>
#include <string_view>

namespace net {

struct PageFile {
  std::string_view content_type;
  std::string_view content;
};
// By path: "/", "/page.css", "/page.js".
[[nodiscard]] std::optional<PageFile> page_file(std::string_view path);

}  // namespace net
