#include "cloud-bridge/adapters/rdkafka/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "proto/base/text.hpp"
#include "proto/platform/log.hpp"

namespace kafka {
namespace {

void on_error(rd_kafka_t* /*client*/, int code, const char* reason, void* opaque) {
  if (opaque != nullptr)
    static_cast<Line*>(opaque)->shake(describe("kafka", static_cast<rd_kafka_resp_err_t>(code), reason));
}

// librdkafka says a request's time-out only here.
bool speaks_of_lost_requests(std::string_view facility) {
  return facility == "REQTMOUT" || facility == "FAIL" || facility == "ERRTO";
}

// "[thrd:NAME]: what happened"
std::string_view without_thread(std::string_view text) {
  constexpr std::string_view border = "]: ";
  const auto end = text.starts_with("[thrd:") ? text.find(border) : std::string_view::npos;
  return end == std::string_view::npos ? text : text.substr(end + border.size());
}

void log_only(const rd_kafka_t* /*client*/, int /*level*/, const char* facility, const char* text) {
  platform::log::debug("librdkafka: {}: {}", facility, text);
}

void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  log_only(client, level, facility, text);
  auto* const line = static_cast<Line*>(rd_kafka_opaque(client));
  if (line == nullptr || !speaks_of_lost_requests(facility)) return;
  line->shake(text);
  if (std::string_view(facility) == "FAIL") line->fail(without_thread(text));
}

constexpr std::string_view allowed_properties = "what librdkafka's CONFIGURATION.md says";

// A hint for a name that librdkafka does not know.
std::string near_to(const std::string& name) {
  const Conf defaults(rd_kafka_conf_new());
  std::size_t count = 0;
  const char** const dump = rd_kafka_conf_dump(defaults.get(), &count);
  std::vector<std::string_view> known;
  for (std::size_t i = 0; i + 1 < count; i += 2) known.emplace_back(dump[i]);
  const std::string_view near = base::nearest(name, known);
  const std::string hint =
      near.empty() ? fmt::format("allowed: {}", allowed_properties) : fmt::format("did you mean \"{}\"?", near);
  rd_kafka_conf_dump_free(dump, count);
  return hint;
}

}  // namespace

void Line::shake(std::string_view why) {
  platform::log::limited("kafka.line", platform::log::Level::warn, "{}", why);
  shaken_ = true;
}

void Line::fail(std::string_view why) {
  const std::lock_guard lock(mutex_);
  failure_ = why;
}

bool Line::failed() const {
  const std::lock_guard lock(mutex_);
  return !failure_.empty();
}

std::string Line::explain(std::string what) const {
  const std::lock_guard lock(mutex_);
  return failure_.empty() ? what : fmt::format("{}; {}", what, failure_);
}

std::expected<Conf, std::string> make_conf(const Properties& properties) {
  Conf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), log_only);
  std::array<char, 512> why{};
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
      return std::unexpected(fmt::format("kafka property {}: {}", name, why.data()));
  }
  return conf;
}

std::vector<std::pair<std::string, std::string>> find_property_problems(const Properties& properties) {
  std::vector<std::pair<std::string, std::string>> problems;
  const Conf conf(rd_kafka_conf_new());
  std::array<char, 512> why{};
  for (const auto& [name, value] : properties) {
    const auto taken = rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size());
    if (taken == RD_KAFKA_CONF_UNKNOWN) {
      problems.emplace_back(name, "is no property of librdkafka; " + near_to(name));
    } else if (taken != RD_KAFKA_CONF_OK) {
      // librdkafka ends some of its lines, and says in some what is allowed.
      std::string text = why.data();
      while (text.ends_with('\n')) text.pop_back();
      if (!text.contains("allowed")) text += fmt::format("; allowed: {}", allowed_properties);
      problems.emplace_back(name, std::move(text));
    }
  }
  return problems;
}

void listen(rd_kafka_conf_t* conf, Line& line) {
  rd_kafka_conf_set_opaque(conf, &line);
  rd_kafka_conf_set_error_cb(conf, on_error);
  rd_kafka_conf_set_log_cb(conf, on_log);
}

std::expected<Handle, std::string> make_client(rd_kafka_type_t type, Conf conf) {
  std::array<char, 512> why{};
  Handle client(rd_kafka_new(type, conf.get(), why.data(), why.size()));
  if (!client) return std::unexpected(fmt::format("kafka client: {}", why.data()));
  // It is the client's now.
  static_cast<void>(conf.release());
  return client;
}

KnownTopics learn_topics(rd_kafka_t* client, const std::vector<std::string>& names, Milliseconds limit) {
  KnownTopics topics;
  topics.handles.reserve(names.size());
  for (const std::string& name : names) topics.handles.emplace_back(rd_kafka_topic_new(client, name.c_str(), nullptr));
  const struct rd_kafka_metadata* metadata = nullptr;
  rd_kafka_metadata(client, 0, nullptr, &metadata, whole_ms(limit));
  if (metadata == nullptr) return topics;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const struct rd_kafka_metadata_topic& topic = metadata->topics[i];
    if (topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) topics.missing.emplace_back(topic.topic);
  }
  rd_kafka_metadata_destroy(metadata);
  return topics;
}

Partitions one_partition(const std::string& topic, std::int32_t partition, std::int64_t offset) {
  Partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  return list;
}

rd_kafka_resp_err_t produce(rd_kafka_t* client, const std::string& topic, std::int32_t partition, std::string_view key,
                            std::string_view value, rd_kafka_headers_t* headers) {
  rd_kafka_vu_t parts[6] = {};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = partition;
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem = {const_cast<char*>(key.data()), key.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {const_cast<char*>(value.data()), value.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers;
  const Error error(rd_kafka_produceva(client, parts, headers == nullptr ? 5 : 6));
  return error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

std::string describe(std::string_view what, rd_kafka_resp_err_t code, std::string_view text) {
  return fmt::format("{}: {} ({})", what, rd_kafka_err2name(code),
                     text.empty() ? std::string_view(rd_kafka_err2str(code)) : text);
}

int whole_ms(Milliseconds time) {
  return static_cast<int>(std::clamp<Milliseconds::rep>(time.count(), 0, std::numeric_limits<int>::max()));
}

}  // namespace kafka
