#include "firmware-gateway/redact/unicode.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("unicode: counts characters, not bytes") {
  CHECK(redact::count_characters("") == 0);
  CHECK(redact::count_characters("Käse €5 🧀") == 9);
  CHECK_FALSE(redact::count_characters("a\xC3"));
  CHECK_FALSE(redact::count_characters("\xED\xA0\x80"));
}

TEST_CASE("unicode: shows what can be shown") {
  for (const char* text :
       {"", "Café Zürich", "日本語", "\u05E2\u05D1\u05E8\u05D9\u05EA", "👩‍🍳", "a b", "\u00A0"})
    CHECK_MESSAGE(redact::is_printable(text), text);
  for (const std::string& text :
       {std::string("a\nb"), std::string("a\tb"), std::string("\x7F"), std::string("\0", 1), std::string("\x1b[31m"),
        // NOLINTNEXTLINE(misc-misleading-bidirectional): they are what is tested
        std::string("\u0085"), std::string("\xE2\x80\xAE"), std::string("\xE2\x81\xA6"), std::string("\u2028"),
        std::string("\uFEFF"), std::string("\uFFFE"), std::string("\xF4\x8F\xBF\xBF"), std::string("\xC0\x80"),
        std::string("\xFF")})
    CHECK_FALSE(redact::is_printable(text));
}
