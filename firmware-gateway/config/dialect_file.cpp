#include "firmware-gateway/config/dialect_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "firmware-gateway/config/dialect_answers.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/field_table.hpp"
#include "firmware-gateway/terminal/iso8583/format.hpp"
#include "firmware-gateway/terminal/iso8583/shipped_dialects.hpp"
#include "proto/base/text.hpp"

namespace config {

namespace {

using iso8583::Charset;
using iso8583::Data;
using iso8583::DataClass;
using iso8583::Dialect;
using iso8583::FieldFormat;
using iso8583::Format;
using iso8583::FrameHeader;
using iso8583::FrameLength;
using iso8583::LengthCode;
using iso8583::Padding;
using platform::SettingsTable;

constexpr unsigned extends_max = 8;
// Beyond the fields, so that a wrong number is told as such.
constexpr unsigned numbers_looked_for = 999;
constexpr std::int64_t length_max = 2 * iso8583::message_bytes_max;
constexpr std::size_t description_bytes_max = 200;

// A word that says how something is coded: one of a few, or a charset.
struct Coding {
  std::string word = {};  // "bcd", "raw" …; empty: a charset
  const Charset* charset = nullptr;
};

std::optional<Coding> coding(SettingsTable& table, std::string_view key, const std::vector<std::string_view>& words) {
  std::optional<Coding> found;
  const bool given = table.has(key);
  static_cast<void>(table.text(key, "", [&](std::string_view value) -> std::optional<std::string> {
    if (std::ranges::find(words, value) != words.end()) {
      found = Coding{.word = std::string(value)};
      return std::nullopt;
    }
    if (const Charset* const charset = Charset::find(value)) {
      found = Coding{.charset = charset};
      return std::nullopt;
    }
    std::vector<std::string_view> allowed(words);
    allowed.insert(allowed.end(), Charset::names().begin(), Charset::names().end());
    const std::string_view near = base::nearest(value, allowed);
    return fmt::format(R"(is "{}"; allowed: {}{})", value, fmt::join(allowed, ", "),
                       near.empty() ? std::string() : fmt::format(R"(; did you mean "{}"?)", near));
  }));
  return given ? found : std::nullopt;
}

// "left:0", "right:F*", "right:F* left:0": the first one is written; '*': whatever stands there is read.
std::optional<Padding> parse_padding(std::string_view text) {
  Padding padding;
  if (text == "none") return padding;
  do {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string_view side = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool left = side.starts_with("left:");
    if (!left && !side.starts_with("right:")) return std::nullopt;
    side.remove_prefix(side.find(':') + 1);
    char& nibble = left ? padding.left : padding.right;
    if (nibble != 0 || side.empty() || !std::string_view("0123456789ABCDEF").contains(side.front()))
      return std::nullopt;
    if (!left && padding.left == 0) padding.writes_right = true;
    nibble = side.front();
    if (side.size() == 1) continue;
    if (side.substr(1) != "*") return std::nullopt;
    (left ? padding.any_left : padding.any_right) = true;
  } while (!text.empty());
  return padding;
}

std::optional<Padding> padding(SettingsTable& table, std::string_view key) {
  std::optional<Padding> found;
  static_cast<void>(table.text(key, "", [&](std::string_view value) -> std::optional<std::string> {
    found = parse_padding(value);
    if (found) return std::nullopt;
    return fmt::format(
        R"(is "{}"; allowed: "left:" or "right:" and a hex digit, as "left:0", "right:F", both with a blank between, or "none"; '*' behind the digit takes any)",
        value);
  }));
  return found;
}

template <class T>
void replace_by(std::optional<T>& old, std::optional<T> given) {
  if (given) old = std::move(given);
}

std::optional<std::string> word(SettingsTable& table, std::string_view key,
                                const std::vector<std::string_view>& allowed) {
  const bool given = table.has(key);
  std::string value = table.word(key, "", allowed);
  return given && !value.empty() ? std::optional(std::move(value)) : std::nullopt;
}

std::optional<std::uint32_t> integer(SettingsTable& table, std::string_view key, platform::IntegerRange range) {
  const bool given = table.has(key);
  const std::int64_t value = table.integer(key, range.min, range);
  return given ? std::optional(static_cast<std::uint32_t>(value)) : std::nullopt;
}

std::optional<bool> boolean(SettingsTable& table, std::string_view key) {
  const bool given = table.has(key);
  const bool value = table.boolean(key, false);
  return given ? std::optional(value) : std::nullopt;
}

constexpr std::array<std::pair<std::string_view, DataClass>, 6> classes{{{"pan", DataClass::pan},
                                                                         {"sad", DataClass::sad},
                                                                         {"chd", DataClass::chd},
                                                                         {"tlv", DataClass::tlv},
                                                                         {"text", DataClass::text},
                                                                         {"open", DataClass::open}}};

struct LengthWord {
  std::string_view word;
  FrameLength length;
  std::uint8_t bytes;
  std::size_t max;  // that it can say
};

constexpr std::array<LengthWord, 8> frame_lengths{{{"none", FrameLength::none, 0, iso8583::message_bytes_max},
                                                   {"u16be", FrameLength::binary, 2, 0xFFFF},
                                                   {"u24be", FrameLength::binary, 3, iso8583::message_bytes_max},
                                                   {"u32be", FrameLength::binary, 4, iso8583::message_bytes_max},
                                                   {"bcd4", FrameLength::bcd, 2, 9'999},
                                                   {"ascii4", FrameLength::ascii, 4, 9'999},
                                                   {"hex4", FrameLength::hex, 4, 0xFFFF},
                                                   {"etx", FrameLength::etx, 0, iso8583::message_bytes_max}}};

// A field as the files say it so far: the one that extends another replaces key by key.
struct FieldSketch {
  std::optional<Format> format;
  std::optional<Coding> data;    // "raw", "bcd", "track", "amount" or a charset
  std::optional<Coding> length;  // "fixed", "bcd", "binary" or a charset
  std::optional<std::uint32_t> length_bytes;
  std::optional<std::uint32_t> max;
  std::optional<bool> nibbles;
  std::optional<Padding> padding;
  std::optional<DataClass> data_class;
  // Where it was said last, for errors.
  std::optional<SettingsTable> table;
};

struct Sketch {
  std::string description;
  unsigned year = 1987;
  Coding mti = {.charset = Charset::find("ascii")};
  Coding bitmap = {.charset = Charset::find("ascii")};
  std::optional<Coding> further_bitmap;
  bool tertiary = false;
  Coding numeric = {.charset = Charset::find("ascii")};
  Coding text = {.charset = Charset::find("latin-1")};
  std::optional<Coding> track;    // as numeric
  std::optional<Coding> amounts;  // as numeric
  std::string binary = "raw";
  Coding var_len = {.charset = Charset::find("ascii")};
  Padding odd_fixed = {.left = '0'};
  Padding odd_var = {.right = '0'};
  FieldSketch header;
  std::array<FieldSketch, iso8583::field_max + 1> fields;
  iso8583::Framing framing;
  iso8583::Answers answers;
  iso8583::TotalsForm totals;
};

std::vector<std::string_view> shipped_names() {
  std::vector<std::string_view> names;
  for (const iso8583::ShippedDialect& dialect : iso8583::shipped_dialects()) names.push_back(dialect.name);
  return names;
}

// The numbers whose class no dialect may loosen: a card number or sensitive authentication data, whoever uses the
// standard.
bool holds_card_data(unsigned number, unsigned year) {
  const DataClass usual = iso8583::usual_class(number, year);
  return number < iso8583::tertiary_bitmap_field && (usual == DataClass::pan || usual == DataClass::sad);
}

class Reader {
 public:
  DialectReading read(platform::Settings document, const std::string& file) {
    read_document(std::move(document), file, 0);
    Dialect dialect = resolve();
    dialect.name = std::filesystem::path(file).stem().string();
    DialectReading reading;
    for (platform::Settings& each : documents_) {
      each.finish();
      reading.errors.insert(reading.errors.end(), each.errors().begin(), each.errors().end());
    }
    if (reading.errors.empty()) reading.dialect = std::move(dialect);
    return reading;
  }

 private:
  // What it extends comes first, so that this file has the last word.
  void read_document(platform::Settings document, const std::string& file, unsigned depth) {
    SettingsTable root = document.root();
    documents_.push_back(std::move(document));
    read_extended(root, file, depth);
    read_defaults(root);
    SettingsTable header = root.table("header");
    if (root.has("header")) read_field(header, sketch_.header);
    read_fields(root.table("field"));
    read_framing(root.table("framing"), sketch_.framing);
    read_answers(root.table("answers"), sketch_.answers);
    read_totals(root.table("totals"), sketch_.totals);
  }

  void read_fields(SettingsTable fields) {
    for (unsigned number = 0; number <= numbers_looked_for; ++number) {
      const std::string key = fmt::format("{}", number);
      if (!fields.has(key)) continue;
      SettingsTable field = fields.table(key);
      if (iso8583::is_field(number)) {
        read_field(field, sketch_.fields.at(number));
      } else {
        read_field(field, no_field_);
        fields.error(key, fmt::format("is no field; allowed: 2 to {}, but {}, which stands for a bitmap",
                                      iso8583::field_max, iso8583::tertiary_bitmap_field));
      }
    }
  }

  void read_extended(SettingsTable& root, const std::string& file, unsigned depth) {
    const std::string name = root.text("extends", "");
    if (name.empty()) return;
    if (depth == extends_max) {
      root.error("extends", fmt::format("allowed: {} dialects in a row that extend another", extends_max));
    } else if (const auto shipped = iso8583::shipped_dialect(name)) {
      read_document(platform::Settings::parse(*shipped, name), name, depth + 1);
    } else if (const auto beside = (std::filesystem::path(file).parent_path() / name).string(); is_file(beside)) {
      read_document(platform::Settings::load(beside), beside, depth + 1);
    } else {
      root.error("extends", fmt::format(R"(is "{}"; allowed: a file beside this one, or one of {})", name,
                                        fmt::join(shipped_names(), ", ")));
    }
  }

  static bool is_file(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
  }

  void read_defaults(SettingsTable& root) {
    if (std::string text = root.text("description", "", description_allowed); !text.empty())
      sketch_.description = std::move(text);
    const bool year_given = root.has("year");
    const std::int64_t year = root.integer("year", 1987, {1987, 1993});
    if (year != 1987 && year != 1993) root.error("year", fmt::format("is {}; allowed: 1987, 1993", year));
    if (year_given) sketch_.year = static_cast<unsigned>(year);
    if (auto given = coding(root, "mti", {"bcd"})) sketch_.mti = *given;
    if (auto given = coding(root, "bitmap", {"binary"})) sketch_.bitmap = *given;
    replace_by(sketch_.further_bitmap, coding(root, "further_bitmap", {"binary"}));
    if (const auto given = boolean(root, "tertiary")) sketch_.tertiary = *given;
    if (auto given = coding(root, "numeric", {"bcd"})) sketch_.numeric = *given;
    if (auto given = coding(root, "text", {})) sketch_.text = *given;
    replace_by(sketch_.track, coding(root, "track", {"bcd"}));
    replace_by(sketch_.amounts, coding(root, "amounts", {"bcd"}));
    if (auto given = word(root, "binary", {"raw", "hex"})) sketch_.binary = *given;
    if (auto given = coding(root, "var_len", {"bcd", "binary"})) sketch_.var_len = *given;
    if (const auto given = padding(root, "odd_fixed")) sketch_.odd_fixed = *given;
    if (const auto given = padding(root, "odd_var")) sketch_.odd_var = *given;
  }

  static std::optional<std::string> description_allowed(std::string_view text) {
    if (text.size() <= description_bytes_max) return std::nullopt;
    return fmt::format("has {} bytes; allowed: at most {}", text.size(), description_bytes_max);
  }

  static void read_field(SettingsTable& table, FieldSketch& field) {
    field.table = table;
    static_cast<void>(table.text("fmt", "", [&](std::string_view value) -> std::optional<std::string> {
      if (const auto format = iso8583::parse_format(value)) {
        field.format = format;
        return std::nullopt;
      }
      return fmt::format(
          R"(is "{}"; allowed: a format of the standard, as n6, an12, x+n8, b64 (bits), n..19, z..37, ans...999, b...255 (bytes))",
          value);
    }));
    replace_by(field.data, coding(table, "data", {"raw", "bcd", "track", "amount"}));
    replace_by(field.length, coding(table, "length", {"fixed", "bcd", "binary"}));
    replace_by(field.length_bytes, integer(table, "length_bytes", {0, 4}));
    replace_by(field.max, integer(table, "max", {0, length_max}));
    if (const auto count = word(table, "count", {"bytes", "nibbles"})) field.nibbles = *count == "nibbles";
    replace_by(field.padding, padding(table, "pad"));
    const auto name = word(table, "class", {"pan", "sad", "chd", "tlv", "text", "open"});
    for (const auto& [known, data_class] : classes)
      if (name == known) field.data_class = data_class;
  }

  static void read_framing(SettingsTable table, iso8583::Framing& framing) {
    std::vector<std::string_view> lengths;
    lengths.reserve(frame_lengths.size());
    for (const LengthWord& each : frame_lengths) lengths.push_back(each.word);
    if (const auto length = word(table, "length", lengths)) {
      const auto* const found = std::ranges::find(frame_lengths, *length, &LengthWord::word);
      framing.length = found->length;
      framing.length_bytes = found->bytes;
    }
    if (const auto given = boolean(table, "includes_self")) framing.includes_self = *given;
    if (const auto given = integer(table, "extra_bytes", {0, 16}))
      framing.extra_bytes = static_cast<std::uint8_t>(*given);
    if (const auto header = word(table, "header", {"none", "fixed", "tpdu", "visanet"})) {
      if (*header == "none") framing.header = FrameHeader::none;
      if (*header == "fixed") framing.header = FrameHeader::fixed;
      if (*header == "tpdu") framing.header = FrameHeader::tpdu;
      if (*header == "visanet") framing.header = FrameHeader::visanet;
    }
    if (const auto given = integer(table, "header_bytes", {0, 255}))
      framing.header_bytes = static_cast<std::uint8_t>(*given);
    if (const auto reply = word(table, "reply", {"swap", "echo"})) framing.swaps = *reply == "swap";
    if (const auto given = boolean(table, "keep_alive")) framing.keep_alive = *given;
    if (const auto given = integer(table, "max", {16, iso8583::message_bytes_max})) framing.bytes_max = *given;
    check_framing(table, framing);
  }

  static void check_framing(SettingsTable& table, const iso8583::Framing& framing) {
    if ((framing.header == FrameHeader::fixed) != (framing.header_bytes != 0))
      table.error("header_bytes", "is needed with header = \"fixed\", and with no other header");
    for (const LengthWord& each : frame_lengths) {
      if (each.length != framing.length || each.bytes != framing.length_bytes || framing.bytes_max <= each.max)
        continue;
      table.error("max", fmt::format("is {}; allowed: at most {}, which is all that length = \"{}\" can say",
                                     framing.bytes_max, each.max, each.word));
    }
  }

  [[nodiscard]] Dialect resolve() {
    Dialect dialect;
    dialect.description = sketch_.description;
    dialect.year = sketch_.year;
    dialect.mti = sketch_.mti.charset;
    dialect.bitmap = sketch_.bitmap.charset;
    dialect.further_bitmap = sketch_.further_bitmap.value_or(sketch_.bitmap).charset;
    dialect.tertiary = sketch_.tertiary;
    dialect.framing = sketch_.framing;
    dialect.answers = sketch_.answers;
    dialect.totals = sketch_.totals;
    if (sketch_.header.table) dialect.header = resolve_field(sketch_.header, DataClass::text);
    for (unsigned number = 0; number <= iso8583::field_max; ++number) {
      FieldSketch& field = sketch_.fields.at(number);
      if (!field.table) continue;
      check_class(number, field);
      dialect.fields.at(number) = resolve_field(field, iso8583::usual_class(number, sketch_.year));
    }
    return dialect;
  }

  void check_class(unsigned number, FieldSketch& field) const {
    if (!field.data_class || !holds_card_data(number, sketch_.year)) return;
    if (*field.data_class == DataClass::pan || *field.data_class == DataClass::sad) return;
    field.table->error("class", fmt::format("would show {}; allowed for field {}: pan, sad",
                                            iso8583::field_name(number, sketch_.year), number));
  }

  [[nodiscard]] FieldFormat resolve_field(FieldSketch& field, DataClass usual) const {
    FieldFormat format{.listed = true, .data_class = field.data_class.value_or(usual)};
    if (field.format) apply_format(*field.format, format);
    if (field.data) apply_data(*field.data, format);
    if (field.nibbles) format.nibbles = *field.nibbles;
    if (field.max) format.max = *field.max;
    apply_length(field, format);
    if (is_packed(format)) {
      format.padding = format.length_code == LengthCode::fixed ? sketch_.odd_fixed : sketch_.odd_var;
      if (field.padding) format.padding = *field.padding;
    }
    check_field(field, format);
    return format;
  }

  // Whether two digits share a byte, so that an odd number of them needs padding.
  static bool is_packed(const FieldFormat& format) {
    return format.data == Data::amount || (format.data != Data::text && format.nibbles);
  }

  void apply_format(const Format& wanted, FieldFormat& format) const {
    format.max = wanted.max;
    switch (wanted.kind) {
      case Format::Kind::numeric:
        return apply_coding(sketch_.numeric, Data::raw, format);
      case Format::Kind::text:
        return apply_coding(sketch_.text, Data::text, format);
      case Format::Kind::track:
        return apply_coding(sketch_.track.value_or(sketch_.numeric), Data::track, format);
      case Format::Kind::amount:
        format.max += 1;
        apply_coding(sketch_.amounts.value_or(sketch_.numeric), Data::amount, format);
        return;
      case Format::Kind::binary:
        format.data = sketch_.binary == "raw" ? Data::raw : Data::text;
        format.charset = sketch_.text.charset;
        if (wanted.length_digits == 0) format.max /= 8;
        if (sketch_.binary == "hex") format.max *= 2;
        return;
    }
  }

  // A charset, or "bcd", which for this kind of field means `packed`.
  void apply_coding(const Coding& wanted, Data packed, FieldFormat& format) const {
    format.charset = wanted.charset == nullptr ? sketch_.text.charset : wanted.charset;
    format.data = wanted.charset == nullptr ? packed : Data::text;
    format.nibbles = format.data == Data::raw || format.data == Data::track;
  }

  void apply_data(const Coding& wanted, FieldFormat& format) const {
    const Coding packed;
    if (wanted.charset != nullptr) apply_coding(wanted, Data::text, format);
    if (wanted.word == "raw" || wanted.word == "bcd") apply_coding(packed, Data::raw, format);
    if (wanted.word == "track") apply_coding(packed, Data::track, format);
    if (wanted.word == "amount") apply_coding(packed, Data::amount, format);
    if (wanted.word == "raw") format.nibbles = false;
  }

  void apply_length(const FieldSketch& field, FieldFormat& format) const {
    const unsigned digits = field.format ? field.format->length_digits : 0;
    const bool variable = field.length_bytes ? *field.length_bytes != 0 : digits != 0 || field.length.has_value();
    const Coding coding = field.length.value_or(variable ? sketch_.var_len : Coding{.word = "fixed"});
    if (coding.word == "fixed") return;
    format.length_code = coding.charset != nullptr ? LengthCode::digits
                         : coding.word == "bcd"    ? LengthCode::bcd
                                                   : LengthCode::binary;
    format.length_charset = coding.charset;
    format.length_bytes = static_cast<std::uint8_t>(field.length_bytes.value_or(length_bytes_of(format, digits)));
  }

  // Bytes for a length of so many digits.
  static std::uint32_t length_bytes_of(const FieldFormat& format, unsigned digits) {
    if (format.length_code == LengthCode::digits) return digits;
    if (format.length_code == LengthCode::bcd) return (digits + 1) / 2;
    return digits <= 2 ? (digits + 1) / 2 : 2;
  }

  static void check_field(FieldSketch& field, const FieldFormat& format) {
    SettingsTable& table = *field.table;
    if (!field.format && !table.has("fmt") && !(field.data && field.max))
      table.error("", R"(needs fmt = "…" (as the standard writes it), or data = "…" and max = …)");
    if (format.length_code != LengthCode::fixed && format.length_bytes == 0)
      table.error("length_bytes", "is missing or 0; a field with a length needs 1 to 4");
    if (field.length && field.length->word == "fixed" && field.length_bytes.value_or(0) != 0)
      table.error("length_bytes", "is given, but length = \"fixed\" has none");
    if (field.padding && !is_packed(format))
      table.error("pad",
                  "is for digits that are packed two a byte (data bcd, track or amount, or raw counted in nibbles)");
  }

  std::vector<platform::Settings> documents_;
  Sketch sketch_;
  // What is said of a number that is no field.
  FieldSketch no_field_;
};

}  // namespace

DialectReading parse_dialect(std::string_view toml, const std::string& file) {
  return Reader().read(platform::Settings::parse(toml, file), file);
}

DialectReading load_dialect(const std::string& name_or_file) {
  if (const auto shipped = iso8583::shipped_dialect(name_or_file)) return parse_dialect(*shipped, name_or_file);
  if (name_or_file.find_first_of("/.") != std::string::npos)
    return Reader().read(platform::Settings::load(name_or_file), name_or_file);
  const auto names = shipped_names();
  const std::string_view near = base::nearest(name_or_file, names);
  return {.dialect = std::nullopt,
          .errors = {
              {.file = name_or_file,
               .line = 0,
               .key = {},
               .message = fmt::format("is no dialect; known: {}{}; or a file, as ./NAME.toml", fmt::join(names, ", "),
                                      near.empty() ? std::string() : fmt::format(R"(; did you mean "{}"?)", near))}}};
}

}  // namespace config
