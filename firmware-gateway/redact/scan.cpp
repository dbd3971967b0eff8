#include "firmware-gateway/redact/scan.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "firmware-gateway/redact/escapes.hpp"
#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/redact/unicode.hpp"

namespace redact {
namespace {

constexpr std::size_t found_digits_min = 13;
// Separators between two groups of one card number: "4111 - 1111".
constexpr std::size_t separators_max = 3;
// Digits behind a track's separator: expiry date and service code.
constexpr std::size_t track_tail_min = 7;
constexpr std::size_t expiry_digits = 4;
// Longest name on track 1 (ISO/IEC 7813), with some slack.
constexpr std::size_t track_name_max = 40;

enum class Shape { digit, separator, track_separator, other };

struct Symbol {
  Shape shape = Shape::other;
  char ascii = '\0';  // the digit, or the character itself when it is ASCII
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Where the ten digits of a script begin: all of Unicode 14's decimal digits, but for the mathematical ones.
constexpr std::array<char32_t, 61> zeros{
    0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,  0x0C66,  0x0CE6,  0x0D66,
    0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,
    0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30,
    0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50,
    0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};

std::optional<char> digit_of(char32_t value) {
  if (value >= 0x1D7CE && value <= 0x1D7FF) return static_cast<char>('0' + (value - 0x1D7CE) % 10);
  // Superscripts, subscripts, circled.
  if (value == 0xB9 || value == 0xB2 || value == 0xB3) return value == 0xB9 ? '1' : value == 0xB2 ? '2' : '3';
  if (value >= 0x2070 && value <= 0x2089) return static_cast<char>('0' + (value & 0xFU));
  if (value >= 0x2460 && value <= 0x2468) return static_cast<char>('1' + (value - 0x2460));
  if (value == 0x24EA) return '0';
  for (const char32_t zero : zeros)
    if (value >= zero && value < zero + 10) return static_cast<char>('0' + (value - zero));
  return std::nullopt;
}

struct Block {
  char32_t first;
  char32_t last;
};

// Beyond ASCII: what looks like a blank, a dash, a sign or nothing. Digits among them are digits first.
constexpr std::array signs{
    Block{0x00A0, 0x00BF},  // Latin-1's signs, no-break blank, soft hyphen
    Block{0x00D7, 0x00D7},  // ×
    Block{0x00F7, 0x00F7},  // ÷
    Block{0x0300, 0x036F},  // marks that combine with a digit
    Block{0x2000, 0x206F},  // blanks, joiners, hyphens, dashes, bullets
    Block{0x20A0, 0x2BFF},  // currencies, enclosing marks, arrows, mathematics, boxes, braille
    Block{0x2E00, 0x2E7F},  // more punctuation
    Block{0x3000, 0x303F},  // CJK punctuation, ideographic blank
    Block{0xFE00, 0xFE1F},  // variation selectors, vertical forms
    Block{0xFE30, 0xFE6F},  // small and vertical forms
    Block{0xFEFF, 0xFF0F},  // byte order mark, full-width punctuation
    Block{0xFF1A, 0xFF20},
    Block{0xFF3B, 0xFF40},
    Block{0xFF5B, 0xFF65},
    Block{0xFFE0, 0xFFFD},    // full-width signs, replacement character
    Block{0x1F000, 0x1FAFF},  // pictures
    Block{0xE0000, 0xE01EF},  // tags, more variation selectors
    // Blanks, dashes and invisible ones that stand among the letters of their script.
    Block{0x058A, 0x058A},
    Block{0x05BE, 0x05BE},
    Block{0x0600, 0x0605},
    Block{0x061C, 0x061C},
    Block{0x06DD, 0x06DD},
    Block{0x070F, 0x070F},
    Block{0x0890, 0x0891},
    Block{0x08E2, 0x08E2},
    Block{0x1400, 0x1400},
    Block{0x1680, 0x1680},
    Block{0x1806, 0x1806},
    Block{0x180E, 0x180E},
    Block{0x30A0, 0x30A0},
    Block{0x10EAD, 0x10EAD},
    Block{0x110BD, 0x110BD},
    Block{0x110CD, 0x110CD},
    Block{0x13430, 0x13438},
    Block{0x1BCA0, 0x1BCA3},
    Block{0x1D173, 0x1D17A},
};

// All of ASCII that is no letter and no digit, and signs elsewhere.
bool is_separator(char32_t value) {
  if (value < 0x80) return (value < 'a' || value > 'z') && (value < 'A' || value > 'Z');
  return std::ranges::any_of(signs,
                             [value](const Block& block) { return value >= block.first && value <= block.last; });
}

Shape shape_of(char32_t value) {
  if (value == '=' || value == '^') return Shape::track_separator;
  return is_separator(value) ? Shape::separator : Shape::other;
}

// A text is read as it stands, and once more with the escapes of URLs, HTML and JSON undone: what web tills encode
// twice.
enum class Escapes { as_they_stand, undone };

Symbol read_symbol(std::string_view text, std::size_t at, Escapes escapes) {
  const auto escaped = escapes == Escapes::undone ? undo_escape(text.substr(at)) : std::nullopt;
  const auto next = escaped ? *escaped : decode(text.substr(at)).value_or(CodePoint{0xFFFD, 1});
  Symbol symbol{.begin = at, .end = at + next.bytes};
  if (const auto digit = digit_of(next.value)) {
    symbol.shape = Shape::digit;
    symbol.ascii = *digit;
  } else {
    symbol.shape = shape_of(next.value);
    symbol.ascii = next.value < 0x80 ? static_cast<char>(next.value) : '\0';
  }
  return symbol;
}

// A text as symbols. Wiped when it goes.
class Symbols {
 public:
  Symbols(std::string_view text, Escapes escapes) {
    symbols_.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); at = symbols_.back().end)
      symbols_.push_back(read_symbol(text, at, escapes));
  }
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;
  ~Symbols() { wipe(symbols_.data(), symbols_.size() * sizeof(Symbol)); }

  [[nodiscard]] std::size_t size() const { return symbols_.size(); }
  [[nodiscard]] const Symbol& operator[](std::size_t i) const { return symbols_[i]; }
  [[nodiscard]] bool is_digit(std::size_t i) const { return i < size() && symbols_[i].shape == Shape::digit; }
  [[nodiscard]] Shape shape(std::size_t i) const { return i < size() ? symbols_[i].shape : Shape::other; }
  [[nodiscard]] char ascii(std::size_t i) const { return i < size() ? symbols_[i].ascii : '\0'; }

  // First symbol from `i` on that is no digit.
  [[nodiscard]] std::size_t digits_end(std::size_t i) const {
    while (is_digit(i)) ++i;
    return i;
  }
  [[nodiscard]] Finding bytes(std::size_t begin, std::size_t end) const {
    return {symbols_[begin].begin, symbols_[end - 1].end};
  }
  // What has been found is looked at no more.
  void take(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) symbols_[i].shape = Shape::other;
  }

 private:
  std::vector<Symbol> symbols_;
};

// Digits with nothing but separators between them, as one number with its groups.
struct Cluster {
  Secret digits;
  std::vector<std::size_t> symbols;  // of each digit
  std::size_t end = 0;               // the symbol behind the cluster

  // Whether digit `i` begins a group; one past the last digit counts as a beginning.
  [[nodiscard]] bool group_begins(std::size_t i) const {
    return i == 0 || i == symbols.size() || symbols[i] != symbols[i - 1] + 1;
  }
  [[nodiscard]] std::string_view part(std::size_t begin, std::size_t size) const {
    return digits.view().substr(begin, size);
  }
};

// What ends a track's number has a meaning of its own while tracks are looked for; afterwards it is a separator like
// any.
enum class Separators { without_tracks, all };

bool separates(Shape shape, Separators which) {
  return shape == Shape::separator || (shape == Shape::track_separator && which == Separators::all);
}

Cluster read_cluster(const Symbols& text, std::size_t at, Separators which) {
  Cluster cluster;
  while (text.is_digit(at)) {
    for (; text.is_digit(at); ++at) {
      cluster.digits.append(std::string_view(&text[at].ascii, 1));
      cluster.symbols.push_back(at);
    }
    cluster.end = at;
    std::size_t next = at;
    while (separates(text.shape(next), which) && next - at < separators_max) ++next;
    if (text.is_digit(next)) at = next;
  }
  return cluster;
}

// Length of the longest card number that begins with digit `begin` and ends where a group does; 0: none.
std::size_t pan_at(const Cluster& cluster, std::size_t begin) {
  if (!cluster.group_begins(begin)) return 0;
  const std::size_t longest = std::min(pan_digits_max, cluster.symbols.size() - begin);
  for (std::size_t size = longest; size >= found_digits_min; --size)
    if (cluster.group_begins(begin + size) && looks_like_pan(cluster.part(begin, size))) return size;
  return 0;
}

bool is_expiry(std::string_view year, std::string_view month) {
  return year >= "15" && year <= "59" && month >= "01" && month <= "12";
}

// What stands behind a number on its card and in its track: YYMM (some write MMYY), service code, and what the issuer
// likes. Service codes begin with 1, 2, 5, 6, 7 or 9 (ISO/IEC 7813).
bool looks_like_expiry(std::string_view tail) {
  const bool year_first = is_expiry(tail.substr(0, 2), tail.substr(2, 2));
  if (tail.size() == expiry_digits) return year_first || is_expiry(tail.substr(2, 2), tail.substr(0, 2));
  return year_first && tail.size() >= track_tail_min && std::string_view("125679").contains(tail[4]);
}

// With its expiry behind it, a number of any card is one.
bool begins_with_pan_and_expiry(std::string_view run) {
  for (std::size_t size = found_digits_min; size <= pan_digits_max && size + expiry_digits <= run.size(); ++size)
    if (looks_like_pan(run.substr(0, size)) && looks_like_expiry(run.substr(size))) return true;
  return false;
}

// Whether an unbroken run of digits begins or ends with a card number.
// As ISO 8583 writes it, its length in two digits before it (16…), and as EMV data does, the length in bytes (5A 08 …);
// whatever follows.
bool stands_behind_its_length(std::string_view run) {
  constexpr std::size_t length_digits = 2;
  for (std::size_t at = length_digits; at + pan_digits_min < run.size(); ++at) {
    const std::size_t length =
        static_cast<std::size_t>(run[at - 2] - '0') * 10 + static_cast<std::size_t>(run[at - 1] - '0');
    const bool in_bytes = at == length_digits && length <= pan_digits_max / 2 + 1;
    const std::size_t size = in_bytes ? 2 * length : length;
    if (size <= pan_digits_min || size > pan_digits_max || at + size > run.size()) continue;
    if (looks_like_pan(run.substr(at, size))) return true;
  }
  return false;
}

// Filled up with zeros before it, or on both sides.
bool stands_amid_zeros(std::string_view run) {
  const std::size_t begin = run.find_first_not_of('0');
  if (begin == std::string_view::npos) return false;
  for (std::size_t size = 14; size <= 16 && begin + size <= run.size(); ++size) {
    const bool filled = run.find_first_not_of('0', begin + size) == std::string_view::npos;
    if (filled && size < run.size() && looks_like_embedded_pan(run.substr(begin, size))) return true;
  }
  return false;
}

bool hides_pan(std::string_view run) {
  if (begins_with_pan_and_expiry(run)) return true;
  if (stands_behind_its_length(run) || stands_amid_zeros(run)) return true;
  for (std::size_t size = 14; size <= 16 && size < run.size(); ++size)
    if (looks_like_embedded_pan(run.substr(0, size)) || looks_like_embedded_pan(run.substr(run.size() - size)))
      return true;
  return false;
}

class Search {
 public:
  Search(std::string_view text, Escapes escapes) : text_(text, escapes) {}

  // In no order.
  std::vector<Finding> run() {
    find_tracks();
    find_numbers();
    return std::move(findings_);
  }

 private:
  void found(std::size_t begin, std::size_t end) {
    findings_.push_back(text_.bytes(begin, end));
    text_.take(begin, end);
  }

  void find_tracks() {
    for (std::size_t at = 0; at < text_.size(); ++at) {
      if (!text_.is_digit(at)) continue;
      const Cluster cluster = read_cluster(text_, at, Separators::without_tracks);
      if (const std::size_t end = track_end(cluster); end != 0) found(track_begin(at), end);
      at = cluster.end - 1;
    }
  }

  // The sentinels before the number: ';' of track 2, '%B' of track 1.
  [[nodiscard]] std::size_t track_begin(std::size_t number) const {
    std::size_t begin = number;
    if (begin > 0 && (text_.ascii(begin - 1) == 'B' || text_.ascii(begin - 1) == 'b')) --begin;
    if (begin > 0 && (text_.ascii(begin - 1) == ';' || text_.ascii(begin - 1) == '%')) --begin;
    return begin;
  }

  // The symbol behind the track whose number this is; 0: it is none.
  [[nodiscard]] std::size_t track_end(const Cluster& cluster) const {
    if (cluster.symbols.size() < pan_digits_min) return 0;
    switch (text_.ascii(cluster.end)) {
      case '^':
        return track_one_end(cluster.end);
      case '=':
        return track_two_end(cluster.end);
      case 'D':
      case 'd':
        return ends_like_card(cluster) ? track_two_end(cluster.end) : 0;
      default:
        return 0;
    }
  }

  // 'D' may be a hexadecimal digit as well: only behind what looks like a card.
  [[nodiscard]] static bool ends_like_card(const Cluster& cluster) {
    const std::size_t all = cluster.symbols.size();
    for (std::size_t size = pan_digits_min; size <= std::min(pan_digits_max, all); ++size) {
      const std::string_view number = cluster.part(all - size, size);
      if (has_card_prefix(number) || (size == all && passes_luhn(number))) return true;
    }
    return false;
  }

  [[nodiscard]] std::size_t track_two_end(std::size_t separator) const {
    std::size_t end = text_.digits_end(separator + 1);
    if (end - separator - 1 < track_tail_min) return 0;
    if (text_.ascii(end) == '?') ++end;
    return end;
  }

  [[nodiscard]] std::size_t track_one_end(std::size_t caret) const {
    std::size_t second = caret + 1;
    while (second < text_.size() && text_.ascii(second) != '^' && second - caret <= track_name_max) ++second;
    if (text_.ascii(second) != '^') return 0;
    std::size_t end = second + 1;
    while (end < text_.size() && text_.ascii(end) != '?' && text_.ascii(end) != ' ') ++end;
    if (text_.ascii(end) == '?') ++end;
    return end;
  }

  void find_numbers() {
    for (std::size_t at = 0; at < text_.size(); ++at) {
      if (!text_.is_digit(at)) continue;
      const Cluster cluster = read_cluster(text_, at, Separators::all);
      find_numbers_in(cluster);
      at = cluster.end - 1;
    }
  }

  void find_numbers_in(const Cluster& cluster) {
    // Also within one that was found: it may be a number and the beginning of the next, which by chance pass for one.
    for (std::size_t i = 0; i < cluster.symbols.size(); ++i)
      if (const std::size_t size = pan_at(cluster, i); size != 0)
        found(cluster.symbols[i], cluster.symbols[i + size - 1] + 1);
    for (std::size_t i = 0; i < cluster.symbols.size(); ++i) find_hidden(cluster, i);
  }

  void find_hidden(const Cluster& cluster, std::size_t begin) {
    if (!cluster.group_begins(begin) || !text_.is_digit(cluster.symbols[begin])) return;
    std::size_t end = begin + 1;
    while (!cluster.group_begins(end)) ++end;
    if (hides_pan(cluster.part(begin, end - begin))) found(cluster.symbols[begin], cluster.symbols[end - 1] + 1);
  }

  Symbols text_;
  std::vector<Finding> findings_;
};

bool may_hold_card_data(std::string_view text) { return text.size() >= found_digits_min - 1; }

// In the order of the text, what overlaps as one.
std::vector<Finding> merged(std::vector<Finding> findings) {
  std::ranges::sort(findings, {}, &Finding::begin);
  std::vector<Finding> apart;
  for (const Finding& finding : findings) {
    if (!apart.empty() && finding.begin < apart.back().end) {
      apart.back().end = std::max(apart.back().end, finding.end);
    } else {
      apart.push_back(finding);
    }
  }
  return apart;
}

}  // namespace

std::vector<Finding> find_card_data(std::string_view text) {
  if (!may_hold_card_data(text)) return {};
  std::vector<Finding> findings = Search(text, Escapes::as_they_stand).run();
  if (may_hold_escapes(text)) {
    const std::vector<Finding> more = Search(text, Escapes::undone).run();
    findings.insert(findings.end(), more.begin(), more.end());
  }
  return merged(std::move(findings));
}

bool may_hold_pan(std::string_view text) {
  constexpr std::string_view digits = "0123456789";
  for (std::size_t at = text.find_first_of(digits); at != std::string_view::npos; at = text.find_first_of(digits, at)) {
    const std::size_t end = std::min(text.find_first_not_of(digits, at), text.size());
    for (; at + pan_digits_min < end; ++at) {
      for (std::size_t count = pan_digits_min + 1; count <= std::min(pan_digits_max, end - at); ++count)
        if (looks_like_embedded_pan(text.substr(at, count))) return true;
    }
    at = end;
  }
  return false;
}

std::size_t mask_card_data(std::string& text, const Mark& mark) {
  const std::vector<Finding> findings = find_card_data(text);
  if (findings.empty()) return 0;
  std::string masked;
  std::size_t at = 0;
  for (const Finding& finding : findings) {
    masked.append(text, at, finding.begin - at);
    masked += mark(std::string_view(text).substr(finding.begin, finding.end - finding.begin));
    at = finding.end;
  }
  masked.append(text, at);
  wipe(text);
  text = std::move(masked);
  return findings.size();
}

}  // namespace redact
