#include "firmware-gateway/config/dialect_file.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/field_table.hpp"
#include "firmware-gateway/terminal/iso8583/format.hpp"
#include "firmware-gateway/terminal/iso8583/shipped_dialects.hpp"
#include "tests/support/iso8583/vectors.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using iso8583::Charset;
using iso8583::Data;
using iso8583::DataClass;
using iso8583::Dialect;
using iso8583::FieldFormat;
using iso8583::Format;
using iso8583::LengthCode;

std::vector<std::string> errors_of(std::string_view toml) {
  std::vector<std::string> texts;
  for (const auto& error : config::parse_dialect(toml, "d.toml").errors) texts.push_back(error.text());
  return texts;
}

bool is_error(std::string_view toml, std::string_view beginning) {
  const auto errors = errors_of(toml);
  return std::ranges::any_of(errors, [&](const std::string& error) { return error.starts_with(beginning); });
}

FieldFormat field_of(const std::string& toml, unsigned number) { return test::dialect_of(toml).fields.at(number); }

}  // namespace

TEST_CASE("dialect: formats are read as the standard writes them") {
  const auto kind = [](std::string_view text) { return iso8583::parse_format(text).value().kind; };
  CHECK(kind("n6") == Format::Kind::numeric);
  CHECK(kind("an12") == Format::Kind::text);
  CHECK(kind("ansb..40") == Format::Kind::text);
  CHECK(kind("z..37") == Format::Kind::track);
  CHECK(kind("x+n8") == Format::Kind::amount);
  CHECK(kind("b64") == Format::Kind::binary);
  CHECK(iso8583::parse_format("n..19")->length_digits == 2);
  CHECK(iso8583::parse_format("ans...999")->max == 999);
  for (const char* wrong :
       {"", "n", "6", "q6", "n6.", "n.....6", "n0", "n10000", "b7", "n 6", "n6 ", "x+n", "n-6", "N6"})
    CHECK_FALSE(iso8583::parse_format(wrong).has_value());
}

TEST_CASE("dialect: the defaults decide what a format becomes") {
  const std::string fields = R"([field]
2 = { fmt = "n..19" }
28 = { fmt = "x+n8" }
35 = { fmt = "z..37" }
41 = { fmt = "ans8" }
48 = { fmt = "ans...999" }
52 = { fmt = "b64" }
55 = { fmt = "b...255" }
)";
  const Dialect ascii = test::dialect_of("binary = \"hex\"\n" + fields);
  CHECK(ascii.fields.at(2).data == Data::text);
  CHECK(ascii.fields.at(2).length_bytes == 2);
  CHECK(ascii.fields.at(28).max == 9);
  CHECK(ascii.fields.at(52).max == 16);
  CHECK(ascii.fields.at(55).max == 510);
  const Dialect bcd = test::dialect_of("numeric = \"bcd\"\nvar_len = \"bcd\"\ntext = \"cp037\"\n" + fields);
  CHECK(bcd.fields.at(2).data == Data::raw);
  CHECK(bcd.fields.at(2).nibbles);
  CHECK(bcd.fields.at(2).length_bytes == 1);
  CHECK(bcd.fields.at(2).padding.right == '0');
  CHECK(bcd.fields.at(28).data == Data::amount);
  CHECK(bcd.fields.at(28).charset == Charset::find("cp037"));
  CHECK(bcd.fields.at(35).data == Data::track);
  CHECK(bcd.fields.at(41).charset == Charset::find("cp037"));
  CHECK(bcd.fields.at(48).length_bytes == 2);
  CHECK(bcd.fields.at(52).max == 8);
  CHECK(bcd.fields.at(55).max == 255);
  const Dialect binary = test::dialect_of("var_len = \"binary\"\ntrack = \"ascii\"\n" + fields);
  CHECK(binary.fields.at(2).length_code == LengthCode::binary);
  CHECK(binary.fields.at(2).length_bytes == 1);
  CHECK(binary.fields.at(48).length_bytes == 2);
  CHECK(binary.fields.at(35).data == Data::text);
}

TEST_CASE("dialect: a field without a class has that of its number in the standard") {
  const std::string fields = R"([field]
2 = { fmt = "n..19" }
14 = { fmt = "n4" }
35 = { fmt = "z..37" }
48 = { fmt = "ans...999" }
55 = { fmt = "b...255" }
56 = { fmt = "ans...999" }
41 = { fmt = "ans8" }
)";
  const Dialect dialect = test::dialect_of(fields);
  CHECK(dialect.fields.at(2).data_class == DataClass::pan);
  CHECK(dialect.fields.at(14).data_class == DataClass::chd);
  CHECK(dialect.fields.at(35).data_class == DataClass::sad);
  CHECK(dialect.fields.at(48).data_class == DataClass::text);
  CHECK(dialect.fields.at(55).data_class == DataClass::tlv);
  CHECK(dialect.fields.at(56).data_class == DataClass::text);
  CHECK(dialect.fields.at(41).data_class == DataClass::open);
  CHECK(test::dialect_of("year = 1993\n" + fields).fields.at(56).data_class == DataClass::open);
  CHECK(field_of("tertiary = true\n[field]\n150 = { fmt = \"an4\" }\n", 150).data_class == DataClass::text);
}

TEST_CASE("dialect: no dialect can open what holds a card number or a track") {
  for (const unsigned number : {2U, 34U, 35U, 36U, 45U, 52U, 53U})
    for (const char* data_class : {"open", "text", "tlv", "chd"})
      CHECK(is_error(fmt::format("[field]\n{} = {{ fmt = \"ans..99\", class = \"{}\" }}\n", number, data_class),
                     fmt::format("d.toml:2: field.{}.class: would show", number)));
  CHECK(field_of("[field]\n2 = { fmt = \"n..19\", class = \"sad\" }\n", 2).data_class == DataClass::sad);
}

TEST_CASE("dialect: every key beside the format can be said by itself") {
  const FieldFormat field = field_of(R"([field]
48 = { data = "bcd", max = 31, length = "cp500", length_bytes = 3, pad = "left:0 right:F*", class = "sad" }
)",
                                     48);
  CHECK(field.data == Data::raw);
  CHECK(field.nibbles);
  CHECK(field.max == 31);
  CHECK(field.length_code == LengthCode::digits);
  CHECK(field.length_charset == Charset::find("ebcdic"));
  CHECK(field.length_bytes == 3);
  CHECK(field.padding.left == '0');
  CHECK(field.padding.right == 'F');
  CHECK(field.padding.any_right);
  CHECK_FALSE(field.padding.any_left);
  CHECK_FALSE(field.padding.writes_right);
  CHECK(field.data_class == DataClass::sad);
  CHECK(field_of("[field]\n48 = { data = \"track\", max = 4, pad = \"right:F left:0\" }\n", 48).padding.writes_right);
  CHECK(field_of("[field]\n48 = { data = \"bcd\", count = \"bytes\", max = 4 }\n", 48).nibbles == false);
  CHECK(field_of("[field]\n48 = { data = \"bcd\", max = 3, pad = \"none\" }\n", 48).padding.left == 0);
}

TEST_CASE("dialect: one that extends another replaces what it says, key by key") {
  const Dialect base = test::shipped("iso87-bcd");
  const Dialect own =
      test::dialect_of("extends = \"iso87-bcd\"\nodd_fixed = \"right:0\"\n[field]\n35 = { pad = \"right:F\" }\n");
  CHECK(own.fields.at(35).padding.right == 'F');
  CHECK(own.fields.at(35).max == base.fields.at(35).max);
  CHECK(own.fields.at(35).data_class == DataClass::sad);
  CHECK(own.fields.at(19).padding.right == '0');
  CHECK(own.fields.at(19).padding.left == 0);
  CHECK(base.fields.at(19).padding.left == '0');
  CHECK(own.name == "test");
}

TEST_CASE("dialect: a file may extend another beside it, and not go round in a circle") {
  const support::TempFolder folder;
  const auto write = [&](const char* name, const char* toml) { std::ofstream(folder.path() / name) << toml; };
  write("base.toml", "extends = \"pos-bcd\"\n[field]\n70 = { fmt = \"n3\" }\n");
  write("own.toml", "extends = \"base.toml\"\nyear = 1987\n");
  write("round.toml", "extends = \"round.toml\"\n");
  write("lost.toml", "extends = \"nowhere\"\n");
  const auto load = [&](const char* name) { return config::load_dialect((folder.path() / name).string()); };
  REQUIRE(load("own.toml").dialect.has_value());
  CHECK(load("own.toml").dialect->fields.at(70).max == 3);
  CHECK(load("own.toml").dialect->name == "own");
  CHECK_FALSE(load("round.toml").dialect.has_value());
  REQUIRE(load("lost.toml").errors.size() == 1);
  CHECK(load("lost.toml").errors.front().message.find("iso87-ascii") != std::string::npos);
  CHECK_FALSE(load("none.toml").dialect.has_value());
}

TEST_CASE("dialect: framings") {
  const auto framing = [](const std::string& toml) { return test::dialect_of("[framing]\n" + toml).framing; };
  CHECK(framing("length = \"u32be\"\n").length_bytes == 4);
  CHECK(framing("length = \"bcd4\"\nmax = 9999\n").length == iso8583::FrameLength::bcd);
  CHECK(framing("header = \"tpdu\"\nreply = \"echo\"\n").swaps == false);
  CHECK(framing("header = \"fixed\"\nheader_bytes = 12\n").header_bytes == 12);
  CHECK(test::shipped("pos-bcd-tpdu").framing.swaps);
  CHECK(test::shipped("visa-base1").framing.extra_bytes == 2);
  CHECK(is_error("[framing]\nheader = \"fixed\"\n", "d.toml:1: framing.header_bytes: is needed"));
  CHECK(is_error("[framing]\nlength = \"ascii4\"\nmax = 10000\n",
                 "d.toml:3: framing.max: is 10000; allowed: at most 9999"));
}

TEST_CASE("dialect: what is wrong is told by line and key, with what is allowed") {
  CHECK(is_error("mti = \"cp5000\"\n", "d.toml:1: mti: is \"cp5000\"; allowed: bcd, ascii"));
  CHECK(errors_of("mti = \"cp5000\"\n").front().ends_with("did you mean \"cp500\"?"));
  CHECK(is_error("year = 2003\n", "d.toml:1: year: is 2003; allowed: 1987"));
  CHECK(is_error("year = 1990\n", "d.toml:1: year: is 1990; allowed: 1987, 1993"));
  CHECK(is_error("numerc = \"bcd\"\n", "d.toml:1: numerc: unknown key; did you mean \"numeric\"?"));
  CHECK(is_error("[field]\n65 = { fmt = \"b64\" }\n", "d.toml:2: field.65: is no field; allowed: 2 to 192"));
  CHECK(is_error("[field]\n3 = { fmt = \"q6\" }\n", "d.toml:2: field.3.fmt: is \"q6\"; allowed: a format"));
  CHECK(errors_of("[field]\n3 = { fmt = \"q6\" }\n").size() == 1);
  CHECK(is_error("[field]\n3 = { max = 6 }\n", "d.toml:2: field.3: needs fmt"));
  CHECK(is_error("[field]\n3 = { fmt = \"n6\", pad = \"left:0\" }\n",
                 "d.toml:2: field.3.pad: is for digits that are packed"));
  CHECK(is_error("[field]\n3 = { data = \"bcd\", max = 6, pad = \"middle:0\" }\n",
                 "d.toml:2: field.3.pad: is \"middle:0\"; allowed"));
  CHECK(is_error("[field]\n3 = { data = \"bcd\", max = 6, pad = \"left:G\" }\n", "d.toml:2: field.3.pad"));
  CHECK(is_error("[field]\n3 = { data = \"bcd\", max = 6, length = \"bcd\" }\n",
                 "d.toml:2: field.3.length_bytes: is missing"));
  CHECK(is_error("[field]\n3 = { data = \"bcd\", max = 6, length = \"fixed\", length_bytes = 2 }\n",
                 "d.toml:2: field.3.length_bytes"));
  CHECK(is_error("[field]\n3 = \"n6\"\n", "d.toml:2: field.3: is a string; needed: a table"));
  CHECK(is_error("[field\n", "d.toml:1: is not valid TOML"));
  CHECK(config::load_dialect("pos-bdc").errors.front().message.find("did you mean \"pos-bcd\"?") != std::string::npos);
}

TEST_CASE("dialect: each that is shipped is whole, lists every field of its standard, and says what it is") {
  CHECK(iso8583::shipped_dialects().size() >= 12);
  for (const auto& shipped : iso8583::shipped_dialects()) {
    CAPTURE(std::string(shipped.name));
    const Dialect dialect = test::shipped(std::string(shipped.name));
    CHECK(dialect.name == shipped.name);
    CHECK_FALSE(dialect.description.empty());
    for (unsigned number = 2; number <= 128; ++number) {
      if (!iso8583::is_field(number)) continue;
      CAPTURE(number);
      CHECK(dialect.fields.at(number).listed);
      CHECK(dialect.fields.at(number).data_class == iso8583::usual_class(number, dialect.year));
    }
  }
}

TEST_CASE("dialect: how its host answers") {
  const Dialect dialect = test::dialect_of(R"(extends = "iso87-ascii"
[answers]
echo = "3 4 11 41"
cannot_store = "silent"
request = "58"
mac = true
[answers.echo_for]
0430 = "11 41 90"
)");
  CHECK(dialect.answers.echo == std::vector<unsigned>{3, 4, 11, 41});
  CHECK(dialect.answers.echo_for.at("0430") == std::vector<unsigned>{11, 41, 90});
  CHECK(dialect.answers.cannot_store == iso8583::CannotStore::silent);
  CHECK(dialect.answers.request_code == "58");
  CHECK(dialect.answers.mac);
}

TEST_CASE("dialect: nothing that holds card data is ever to go back in an answer") {
  for (const auto* list : {"2", "3 4 35", "14", "45", "52", "55", "0", "1", "65", "200"}) {
    CAPTURE(list);
    CHECK_FALSE(errors_of(fmt::format("extends = \"iso87-ascii\"\n[answers]\necho = \"{}\"\n", list)).empty());
  }
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers]\necho = \"3, 4\"\n").empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers.echo_for]\n0430 = \"2\"\n").empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers.echo_for]\n0420 = \"3\"\n").empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers]\ncannot_store = \"05\"\n").empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers]\nrequest = \"no\"\n").empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[answers]\nout_of_balance = \"9\"\n").empty());
}

TEST_CASE("dialect: how its terminals write the totals of a settlement") {
  const Dialect dialect = test::dialect_of(R"(extends = "iso87-ascii"
[answers]
out_of_balance = "95"
[totals]
field = 62
pairs = "sales - refunds reversals refund_reversals"
)");
  CHECK(dialect.answers.out_of_balance == "95");
  CHECK(dialect.totals.field == 62);
  using iso8583::TotalOf;
  CHECK(dialect.totals.pairs ==
        std::vector{TotalOf::sales, TotalOf::nothing, TotalOf::refunds, TotalOf::reversals, TotalOf::refund_reversals});
  for (const auto* pairs : {"", "sales sales", "sales, refunds", "takings"})
    CHECK_FALSE(errors_of(fmt::format("extends = \"iso87-ascii\"\n[totals]\npairs = \"{}\"\n", pairs)).empty());
  CHECK_FALSE(errors_of("extends = \"iso87-ascii\"\n[totals]\nfield = 300\n").empty());
}
