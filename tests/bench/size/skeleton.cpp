// The floor of a gateway's size: the libraries that it links, each opened and nothing else done, until it is told to
// end.
//
//   skeleton FOLDER
//
// FOLDER gets an empty database. One line, "open", once all is.
#include <fmt/format.h>
#include <mosquitto.h>
#include <openssl/ssl.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <zstd.h>

#include <toml++/toml.h>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <string>
#include <thread>

#include "proto/base/assert.hpp"
#include "proto/wire/event.pb.h"

namespace {

namespace asio = boost::asio;

void open_database(const std::string& path) {
  sqlite3* database = nullptr;
  ASSERT(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  for (const char* sql : {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA cache_size = -2048",
                          "CREATE TABLE IF NOT EXISTS rows (row INTEGER PRIMARY KEY, record BLOB NOT NULL)"}) {
    ASSERT(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
}

// An HTTP server as Beast's examples have it: one request a connection.
void serve(asio::ip::tcp::acceptor& door) {
  door.async_accept([&door](const boost::system::error_code& error, asio::ip::tcp::socket socket) {
    if (error) return;
    namespace http = boost::beast::http;
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> request;
    boost::system::error_code ended;
    http::read(socket, buffer, request, ended);
    boost::system::error_code not_json;
    const auto value = boost::json::parse(request.body(), not_json);
    tillstream::v1::Event event;
    event.set_type(boost::json::serialize(value));
    http::response<http::string_body> response{http::status::ok, 11};
    response.body() = event.SerializeAsString();
    response.prepare_payload();
    http::write(socket, response, ended);
    serve(door);
  });
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 2);
  const auto settings = toml::parse("port = 0");
  spdlog::info("zstd {} systemd {}", ZSTD_versionNumber(), sd_booted());
  open_database(std::string(argv[1]) + "/skeleton.db");
  ASSERT(mosquitto_lib_init() == MOSQ_ERR_SUCCESS);
  ASSERT(mosquitto_new(nullptr, true, nullptr) != nullptr);
  ASSERT(SSL_CTX_new(TLS_method()) != nullptr);
  asio::io_context io(1);
  asio::ip::tcp::acceptor door(io, {asio::ip::address_v4::loopback(), settings["port"].value_or<std::uint16_t>(0)});
  serve(door);
  // The gateway has three threads, too.
  const std::jthread journal([] { pause(); });
  const std::jthread link([] { pause(); });
  fmt::print("open\n");
  std::fflush(stdout);
  io.run();
}
