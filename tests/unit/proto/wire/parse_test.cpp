#include "proto/wire/parse.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>

#include "proto/wire/framed.pb.h"

namespace {

// Bytes that `act` wrote to stderr.
template <class Act>
long printed(const Act& act) {
  std::FILE* const file = std::tmpfile();
  const int before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  act();
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  std::fseek(file, 0, SEEK_END);
  const long bytes = std::ftell(file);
  std::fclose(file);
  return bytes;
}

}  // namespace

TEST_CASE("parse: broken text from outside is refused, and nobody fills a log with it") {
  tillstream::v1::Submit submit;
  submit.set_terminal_id("till-1");
  std::string bytes = submit.SerializeAsString();
  REQUIRE(wire::parse(submit, bytes));
  CHECK(submit.terminal_id() == "till-1");
  bytes.back() = '\xff';
  CHECK(printed([&] { CHECK_FALSE(wire::parse(submit, bytes)); }) == 0);
}
