#include "cloud-bridge/config/config.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/integration/gateway/certificates.hpp"
#include "tests/support/temp_folder.hpp"

using namespace std::chrono_literals;

namespace {

std::string errors(std::string_view text) {
  const auto config = config::parse(text, "bridge.toml");
  std::string all;
  if (config) return all;
  for (const auto& error : config.error()) all += error.text() + "\n";
  REQUIRE_FALSE(all.empty());
  return all;
}

// A private file, gone with this.
class File {
 public:
  explicit File(const std::string& text) {
    const int descriptor = mkstemp(path_.data());
    REQUIRE(descriptor >= 0);
    REQUIRE(write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    close(descriptor);
  }
  ~File() { std::remove(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/tillstream-config-XXXXXX";
};

std::vector<config::PropertyProblem> no_problems(const config::Config& /*config*/) { return {}; }

// The errors of a file with this text, a line each; empty: none.
std::string errors_of_file(const std::string& text, const config::PropertyCheck& check = no_problems) {
  const File file(text);
  const auto config = config::load(file.path(), check);
  std::string all;
  if (config) return all;
  for (const auto& error : config.error()) all += error.text() + "\n";
  return all;
}

bool says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("config: an empty file is the whole default bridge") {
  const auto config = config::parse("", "bridge.toml");
  REQUIRE(config);
  CHECK(config->bridge_id == "bridge-1");
  CHECK(config->broker.host == "127.0.0.1");
  CHECK(config->broker.port == 1883);
  CHECK_FALSE(config->broker.tls);
  CHECK(config->stream_kind == "sqlite");
  CHECK(config->sqlite.path == "stream.db");
  CHECK(config->kafka.events_topic == "tillstream.events");
  CHECK(config->kafka.gateways_topic == "tillstream.gateways");
  CHECK(config->kafka.progress_topic == "tillstream.progress");
  CHECK(config->kafka.dead_letter_topic == "tillstream.dead-letter");
  CHECK(config->admin.listen == "127.0.0.1:8810");
}

TEST_CASE("config: every key is taken") {
  const auto config = config::parse(R"(
[bridge]
id = "bridge-7"
[broker]
url = "mqtts://broker.example:8884"
ca = "ca.pem"
certificate = "c.pem"
key = "k.pem"
username = "u"
password_file = "p"
unreachable_after = "1min"
[stream]
kind = "sqlite"
[stream.sqlite]
path = "/var/lib/tillstream/stream.db"
quota = "1GiB"
wal_max = "64MiB"
[stream.kafka]
properties = { "security.protocol" = "SASL_SSL" }
[limits]
memory = "128MiB"
queue = "16MiB"
gateways = 1000
transaction_events = 100
transaction_bytes = "4MiB"
[admin]
listen = "0.0.0.0:8810"
token_file = "t"
tls = { certificate = "a.pem", key = "b.pem" }
readers_max = 8
commit_stalled_after = "20s"
[log]
level = "debug"
format = "json"
)",
                                    "bridge.toml");
  REQUIRE(config);
  CHECK(config->broker.tls->certificate == "c.pem");
  CHECK(config->broker.port == 8884);
  CHECK(config->broker.unreachable_after == 1min);
  CHECK(config->sqlite.bytes_max == 1ULL << 30U);
  CHECK(config->kafka.properties.size() == 1);
  CHECK(config->limits.transaction_events == 100);
  CHECK(config->admin.tls->key == "b.pem");
  CHECK(config->log.format == "json");
}

TEST_CASE("config: what is wrong is said with file, line, key and what is allowed, all at once") {
  const std::string text =
      errors("[bridge]\nid = \"Bridge 1\"\n[limits]\ntransaction_events = 0\n[broker]\nurl = \"http://x\"\n");
  CHECK(says(text, "bridge.toml:2"));
  CHECK(says(text, "bridge.id"));
  CHECK(says(text, "bridge.toml:4"));
  CHECK(says(text, "limits.transaction_events"));
  CHECK(says(text, "bridge.toml:6"));
  CHECK(says(text, "mqtts://HOST"));
}

TEST_CASE("config: an unknown key names the nearest known one") {
  CHECK(says(errors("[broker]\nurll = \"mqtt://127.0.0.1\"\n"), "url"));
  CHECK(says(errors("[streem]\nkind = \"sqlite\"\n"), "stream"));
}

TEST_CASE("config: plain MQTT leaves this machine only when that is asked for") {
  CHECK(says(errors("[broker]\nurl = \"mqtt://broker.example\"\n"), "allow_plaintext"));
  CHECK(errors("[broker]\nurl = \"mqtt://broker.example\"\nallow_plaintext = true\n").empty());
  for (const char* url : {"mqtt://127.0.0.1", "mqtt://localhost:1", "mqtt://[::1]:1883", "mqtts://broker.example"}) {
    CHECK(errors("[broker]\nurl = \"" + std::string(url) + "\"\n").empty());
  }
  CHECK(says(errors("[broker]\nurl = \"mqtt://127.0.0.1\"\nca = \"x.pem\"\n"), "mqtts://"));
  CHECK(says(errors("[broker]\nurl = \"mqtts://b\"\ncertificate = \"x.pem\"\n"), "broker.key"));
}

TEST_CASE("config: the admin port leaves this machine only with tls and a token") {
  const std::string open = "[admin]\nlisten = \"0.0.0.0:8810\"\n";
  const std::string tls = "tls = { certificate = \"a\", key = \"b\" }\n";
  const std::string token = "token_file = \"t\"\n";
  CHECK(says(errors(open), "admin.listen"));
  CHECK(says(errors(open + tls), "admin.listen"));
  CHECK(says(errors(open + token), "admin.listen"));
  CHECK(errors(open + tls + token).empty());
}

TEST_CASE("config: properties of librdkafka that exactly-once rests on are the bridge's own") {
  for (const std::string name :
       {"transactional.id", "acks", "enable.idempotence", "isolation.level", "partitioner", "bootstrap.servers",
        "max.in.flight.requests.per.connection", "max.in.flight", "message.timeout.ms", "group.id", "topic.acks",
        "topic.partitioner", "test.mock.num.brokers"}) {
    const auto found = errors("[stream.kafka]\nproperties = { \"" + name + "\" = \"1\" }\n");
    CHECK_MESSAGE(says(found, "bridge.toml:2: stream.kafka.properties." + name + ": is set by the bridge"), name);
  }
  CHECK(errors("[stream.kafka]\nproperties = { \"sasl.username\" = \"u\", \"ssl.ca.location\" = \"c\" }\n").empty());
}

TEST_CASE("config: what librdkafka does not take stands at its own line, beside everything else that is wrong") {
  const auto check = [](const config::Config& config) -> std::vector<config::PropertyProblem> {
    CHECK(config.kafka.properties.size() == 3);
    return {{.name = "sasl.mechanism", .message = "is odd"},
            {.name = "quoted.name", .message = "is odd, too"},
            {.name = "", .message = "do not go together"}};
  };
  const std::string kafka = "[stream]\nkind = \"kafka\"\n[log]\nlevel = \"loud\"\n[stream.kafka.properties]\n";
  const std::string properties = "sasl.username = \"u\"\nsasl.mechanism = \"m\"\n\"quoted.name\" = 1\n";
  const auto found = errors_of_file(kafka + properties, check);
  CHECK(says(found, ":7: stream.kafka.properties.sasl.mechanism: is odd\n"));
  CHECK(says(found, ":8: stream.kafka.properties.quoted.name: is odd, too\n"));
  CHECK(says(found, ":5: stream.kafka.properties: do not go together\n"));
  CHECK(says(found, ":4: log.level"));
  CHECK(errors_of_file("[stream.kafka.properties]\na = 1\n", [](const config::Config& /*config*/) {
          FAIL_CHECK("asked of a bridge without Kafka");
          return std::vector<config::PropertyProblem>();
        }).empty());
}

TEST_CASE("config: each of Kafka's servers has a host, and a port that there can be") {
  const auto servers = [](const std::string& list) {
    return errors("[stream.kafka]\nbootstrap_servers = \"" + list + "\"\n");
  };
  for (const char* list :
       {"kafka-1", "kafka-1:9092,kafka-2:1, 10.0.0.7:65535", "[::1]:9092", "SASL_SSL://k_1.example:1"})
    CHECK_MESSAGE(servers(list).empty(), list);
  for (const char* list : {"k:65536", "k:0", "k:-1", "k:x", "k:", "a:1,k:99999"})
    CHECK_MESSAGE(says(servers(list), "bridge.toml:2: stream.kafka.bootstrap_servers: names"), list);
  CHECK(says(servers("a:1,k:70000"), "\"k:70000\", which has no port from 1 to 65535; allowed: HOST[:PORT]"));
  CHECK(says(
      servers("k:0,good:1,:9092,k:x"),
      "names \"k:0\", which has no port from 1 to 65535, and \":9092\", which has no host, and \"k:x\", which has no "
      "port from 1 to 65535; allowed: HOST[:PORT]"));
  for (const char* list : {"", ":9092", "a:1,,b:1", "a:1,", "http://", "::1:9092", "a b:1", "a/b"})
    CHECK_MESSAGE(says(servers(list), "has no host; allowed: HOST[:PORT]"), list);
}

TEST_CASE("config: a token that is too short, and a password file with nothing in it, are told with their lines") {
  const File empty("");
  const File token("0123456789abcde\n");
  const File good("0123456789abcdef\n");
  const auto with = [](const File& secret, const File& password) {
    return errors_of_file("[admin]\ntoken_file = \"" + secret.path() +
                          "\"\n[broker]\nusername = \"u\"\npassword_file = \"" + password.path() + "\"\n");
  };
  CHECK(with(good, token).empty());
  const auto found = with(token, empty);
  CHECK(says(found, ":2: admin.token_file: is \"" + token.path() +
                        "\", whose first line has 15 characters; needed: at least 16\n"));
  CHECK(says(found, ":5: broker.password_file: is \"" + empty.path() +
                        "\", whose first line has 0 characters; needed: at least 1\n"));
  CHECK(says(with(empty, good), "has 0 characters; needed: at least 16"));
}

TEST_CASE("config: a schema registry is for protobuf, and its password never goes over a line in clear") {
  const std::string protobuf = "[stream.kafka]\nformat = \"protobuf\"\n";
  const std::string registry = "[stream.kafka.registry]\n";
  const auto with = [](const std::string& url) { return "url = \"" + url + "\"\n"; };
  const std::string user = "username = \"u\"\npassword_file = \"p\"\n";
  const auto config = config::parse(protobuf + registry + with("http://registry:8081/apis/ccompat/v7/"), "bridge.toml");
  REQUIRE(config.has_value());
  CHECK(config->kafka.registry->url == "http://registry:8081/apis/ccompat/v7");
  CHECK(says(errors(registry + with("http://127.0.0.1:8081")), "stream.kafka.registry"));
  CHECK(says(errors(protobuf + registry), "stream.kafka.registry.url"));
  CHECK(says(errors(protobuf + registry + with("127.0.0.1:8081")), "http://"));
  CHECK(says(errors(protobuf + registry + with("http://u:p@127.0.0.1")), "username"));
  CHECK(says(errors(protobuf + registry + with("http://127.0.0.1") + "username = \"u\"\n"), "registry.password_file"));
  CHECK(says(errors(protobuf + registry + with("http://registry") + user), "https://"));
  for (const char* url : {"https://registry", "http://127.0.0.1:8081", "http://[::1]:8081/x", "http://localhost"}) {
    CHECK_MESSAGE(errors(protobuf + registry + with(url) + user).empty(), url);
  }
}

TEST_CASE("config: what cannot work together is refused") {
  const std::string kafka = "[stream]\nkind = \"kafka\"\n[stream.kafka]\n";
  CHECK(errors(kafka).empty());
  CHECK(errors(kafka + "format = \"protobuf\"\n").empty());
  CHECK(says(errors(kafka + "format = \"avro\"\n"), "stream.kafka.format"));
  CHECK(says(errors(kafka + "events_topic = \"a\"\nprogress_topic = \"a\"\n"), "another key names"));
  CHECK(says(errors("[limits]\nmemory = \"8MiB\"\n"), "limits.transaction_bytes"));
}

TEST_CASE("config: a file that is missing, or that names one, is refused with what it is") {
  const auto none = config::load("/nonexistent/bridge.toml", no_problems);
  REQUIRE_FALSE(none);
  CHECK(says(none.error().at(0).text(), "/nonexistent/bridge.toml"));
  const auto error = errors_of_file("[broker]\nurl = \"mqtts://b\"\nca = \"/nonexistent/ca.pem\"\n");
  CHECK(says(error, ":3"));
  CHECK(says(error, "/nonexistent/ca.pem"));
}

TEST_CASE("config: certificates, keys and authorities are proved; one that has expired is a warning") {
  const support::TempFolder folder;
  const testing::Authority authority("ours");
  const std::string ca = folder.file("ca.pem");
  const std::string certificate = folder.file("c.pem");
  const std::string key = folder.file("c.key");
  const std::string other_key = folder.file("d.key");
  authority.write(ca);
  authority.issue({.name = "b", .alternative_name = {}}, folder.file("d.pem"), other_key);
  authority.issue({.name = "b", .alternative_name = {}, .not_before = -48h, .not_after = -24h}, certificate, key);
  const auto broker = [&](const std::string& authorities, const std::string& mine, const std::string& my_key) {
    return "[broker]\nurl = \"mqtts://b\"\nca = \"" + authorities + "\"\ncertificate = \"" + mine + "\"\nkey = \"" +
           my_key + "\"\n";
  };
  const File good(broker(ca, certificate, key));
  const auto config = config::load(good.path(), no_problems);
  REQUIRE(config);
  CHECK(config->warnings == std::vector{certificate + ": the certificate has expired"});

  const File empty("");
  CHECK(says(errors_of_file(broker(ca, certificate, other_key)), ":4: broker.certificate: certificate " + certificate));
  CHECK(says(errors_of_file(broker(ca, empty.path(), key)), ":4: broker.certificate: "));
  CHECK(says(errors_of_file(broker(ca, certificate, empty.path())), ":4: broker.certificate: key " + empty.path()));
  for (const std::string& junk : {empty.path(), key, good.path(), folder.path().string()})
    CHECK_MESSAGE(says(errors_of_file(broker(junk, certificate, key)), ":3: broker.ca: " + junk), junk);
  const std::string registry =
      "[stream]\nkind = \"kafka\"\n[stream.kafka]\nformat = \"protobuf\"\n[stream.kafka.registry]\nurl = "
      "\"https://r\"\n";
  CHECK(says(errors_of_file(registry + "ca = \"" + key + "\"\n"), ":7: stream.kafka.registry.ca: " + key));
  const File kafka("[stream]\nkind = \"kafka\"\n[stream.kafka.properties]\nssl.certificate.location = \"" +
                   certificate + "\"\n");
  const auto stream = config::load(kafka.path(), no_problems);
  REQUIRE(stream);
  CHECK(stream->warnings == config->warnings);
  const auto admin = [&](const std::string& my_key) {
    return "[admin]\ntls = { certificate = \"" + certificate + "\", key = \"" + my_key + "\" }\n";
  };
  CHECK(errors_of_file(admin(key)).empty());
  CHECK(says(errors_of_file(admin(other_key)), ":2: admin.tls.certificate: "));
  CHECK(says(errors_of_file("[admin]\ntls = { }\n"), ":2: admin.tls.certificate: is missing"));
}

TEST_CASE("config: a stream's file that is none, or holds something else, is refused") {
  const auto path = [](const std::string& name) {
    return errors_of_file("[stream.sqlite]\npath = \"" + name + "\"\n");
  };
  for (const std::string name : {":memory:", "file:x?mode=memory", "file:/tmp/x.db"})
    CHECK_MESSAGE(says(path(name), ":2: stream.sqlite.path: is \"" + name + "\", which SQLite takes for"), name);
  const File itself("[stream.sqlite]\n");
  CHECK(says(path(itself.path()), "which holds something else than an SQLite database"));
  const File database(std::string("SQLite format 3\0 and pages", 26));
  const File empty("");
  CHECK(path(database.path()).empty());
  CHECK(path(empty.path()).empty());
}

TEST_CASE("config: the stream's file needs a folder that is there; its name alone means the working folder") {
  const auto error = errors_of_file("[stream.sqlite]\npath = \"/nonexistent/stream.db\"\n");
  CHECK(says(error, ":2"));
  CHECK(says(error, "stream.sqlite.path"));
  CHECK(says(error, "/nonexistent is no folder"));
  CHECK(errors_of_file("[stream.sqlite]\npath = \"stream.db\"\n").empty());
  CHECK(says(errors_of_file("[stream.sqlite]\npath = \"/tmp\"\n"), "no regular file"));
  CHECK(says(errors_of_file("[stream.sqlite]\npath = \"/dev/null\"\n"), "no regular file"));
  CHECK(errors_of_file("[stream]\nkind = \"kafka\"\n[stream.sqlite]\npath = \"/nonexistent/stream.db\"\n").empty());
}

TEST_CASE("broker url: takes hosts and ports as they are written, and nothing else") {
  using config::parse_broker_url;
  CHECK(parse_broker_url("mqtt://h")->port == 1883);
  CHECK(parse_broker_url("mqtts://h/")->port == 8883);
  CHECK(parse_broker_url("mqtts://[fe80::1]:99")->host == "fe80::1");
  for (const char* url : {"", "h", "mqtt://", "mqtt://:1883", "mqtt://h:0", "mqtt://h:65536", "mqtt://h:x",
                          "mqtt://u:p@h", "mqtt://h:1x", "mqtt://h/topic", "mqtt://[::1", "ws://h", "MQTT://h"}) {
    CAPTURE(url);
    CHECK_FALSE(parse_broker_url(url));
  }
}
