#include "tests/sim/checker/checker.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>
#include <string_view>

#include "tests/sim/checker/stream_order.hpp"

namespace whole {
namespace {

std::string text(const boost::json::object& value, std::string_view field) {
  const auto* found = value.if_contains(field);
  return found == nullptr ? std::string() : std::string(found->as_string());
}

bool is_told_loss(std::string_view notice) { return notice == "events_lost"; }

}  // namespace

std::string Sale::name() const { return fmt::format("{}/{}/{}/{}", gateway, terminal, ref, amount); }

void Checker::fail(const std::string& promise, const std::string& what, const std::string& subject) {
  env_.story.fail(fmt::format("[{}] {}", promise, what), subject);
}

// --- what happens --------------------------------------------------------------------------------

void Checker::on_submitted(const Sale& sale) {
  Operation& operation = operations_[sale.name()];
  if (operation.order > 0) return;
  operation.sale = sale;
  operation.order = ++submissions_;
}

void Checker::on_told(const Sale& sale, const Told& told, bool in_time) {
  Operation& operation = operations_.at(sale.name());
  if (operation.told && operation.told->event_id != told.event_id && !forgets(sale.gateway)) {
    fail("consistent",
         fmt::format("{} was told event {} and then {}", sale.name(), operation.told->event_id, told.event_id),
         sale.ref);
  }
  const auto [other, is_new] = told_.emplace(told.event_id, sale.name());
  if (!is_new && other->second != sale.name()) {
    fail("consistent", fmt::format("{} and {} were told the same event", sale.name(), other->second), sale.ref);
  }
  if (operation.told) return;
  operation.told = told;
  operation.told_in_time = in_time;
}

void Checker::on_refused_for_good(const Sale& sale) { operations_.at(sale.name()).refused = true; }

void Checker::check_acked(const std::string& event_id) {
  if (decided_.contains(event_id) || gone_.contains(event_id)) return;
  fail("nothing early", fmt::format("event {} may be trimmed, and the stream does not have it", event_id), event_id);
}

void Checker::on_new_disk(const std::string& gateway) {
  on_disk_exchanged(gateway);
  if (decided_of_[gateway] > 0) new_disks_[gateway] = visible_.size();
}

void Checker::on_decided(const stream::Record& record) {
  decided_.insert(record.event_id);
  if (record.seq) ++decided_of_[record.gateway_id];
}

void Checker::on_visible(std::size_t log, const stream::Record& record) {
  const boost::json::object value = boost::json::parse(record.value).as_object();
  Visible visible{.log = log,
                  .event_id = record.event_id,
                  .gateway = record.gateway_id,
                  .epoch = record.epoch,
                  .seq = record.seq.value_or(0),
                  .possible_repeat = value.contains("possible_repeat"),
                  .is_notice = record.type == "notice",
                  .name = {}};
  if (visible.is_notice) {
    visible.name = text(value, "notice");
  } else {
    visible.name = Sale{record.gateway_id, text(value, "terminal_id"), text(value, "terminal_ref"),
                        value.at("amount_minor").as_int64()}
                       .name();
  }
  possible_repeats_ += visible.possible_repeat ? 1 : 0;
  env_.story.tell([&] {
    return fmt::format("stream: {} {} as {}, epoch {} seq {}{}", record.gateway_id, visible.name, record.event_id,
                       record.epoch.substr(0, 8), visible.seq, visible.possible_repeat ? ", possible_repeat" : "");
  });
  visible_.push_back(std::move(visible));
}

// --- the verdict ---------------------------------------------------------------------------------

bool Checker::forgets(const std::string& gateway) const {
  return exchanged(gateway) || std::ranges::any_of(visible_, [&](const Visible& record) {
           return record.gateway == gateway && record.name == "duplicate_window_shrunk";
         });
}

void Checker::judge() {
  std::map<std::string, std::string> first_ids;
  for (const Visible& record : visible_) {
    judge_record(record);
    if (!record.is_notice) judge_sale(record, first_ids[record.name]);
  }
  judge_order();
  judge_told();
  judge_losses();
}

// Without an exchanged disk there is nothing that could have been lost, or that might be there already.
void Checker::judge_record(const Visible& record) {
  if (exchanged(record.gateway)) return;
  if (record.possible_repeat) {
    fail("exactly once", fmt::format("{} is marked possible_repeat without need", record.name), record.event_id);
  }
  if (is_told_loss(record.name)) {
    fail("nothing silent", fmt::format("{} tells a loss that cannot be", record.gateway), record.event_id);
  }
}

void Checker::judge_sale(const Visible& record, std::string& first_id) {
  const auto found = operations_.find(record.name);
  if (found == operations_.end()) {
    return fail("consistent", fmt::format("{} is in the stream, and no terminal submitted it", record.name),
                record.event_id);
  }
  const Operation& operation = found->second;
  if (operation.refused && !forgets(record.gateway)) {
    fail("consistent", fmt::format("{} was refused, and is in the stream", record.name), record.event_id);
  }
  if (first_id.empty()) first_id = record.event_id;
  if (first_id != record.event_id && !forgets(record.gateway)) {
    fail("exactly once", fmt::format("{} is in the stream as {} and {}", record.name, first_id, record.event_id),
         operation.sale.ref);
  }
  const auto& told = operation.told;
  if (!told || told->event_id != record.event_id || told->epoch != record.epoch || told->seq == record.seq) return;
  fail("consistent", fmt::format("{} was told seq {} and has {}", record.name, told->seq, record.seq), record.event_id);
}

// Where a disk was exchanged, order holds among what one opening of a journal has told.
void Checker::judge_order() {
  sim::StreamOrder order;
  for (const Visible& record : visible_) {
    if (record.seq == 0) continue;
    const auto found = record.is_notice ? operations_.end() : operations_.find(record.name);
    std::string origin;
    std::uint64_t place = 0;
    if (found != operations_.end() && found->second.told && found->second.told_in_time &&
        found->second.told->event_id == record.event_id) {
      const Operation& operation = found->second;
      origin = operation.sale.gateway + "/" + operation.sale.terminal;
      if (exchanged(record.gateway)) origin += fmt::format("/{}", operation.told->opening);
      place = operation.order;
    }
    const std::string epoch = record.epoch + " of " + record.gateway;
    const auto problem = order.add(record.log, {.name = record.name,
                                                .id = record.event_id,
                                                .epoch = epoch,
                                                .seq = record.seq,
                                                .possible_repeat = record.possible_repeat,
                                                .origin = origin,
                                                .order = place});
    if (problem) return fail("order", *problem, record.event_id);
  }
  if (const auto problem = order.check_gaps()) fail("no gap", *problem, {});
}

void Checker::judge_told() {
  std::unordered_set<std::string_view> seen;
  for (const Visible& record : visible_) seen.insert(record.event_id);
  for (const auto& [event_id, sale] : told_) {
    if (seen.contains(event_id) || gone_.contains(event_id)) continue;
    fail("exactly once", fmt::format("{} was told that it is stored as {}, and is not in the stream", sale, event_id),
         event_id);
  }
}

// A gateway that the stream knew and whose new disk is empty has lost what nobody can count: that is told.
void Checker::judge_losses() {
  if (env_.faults.image || env_.faults.clone) return;
  for (const auto& [gateway, since] : new_disks_) {
    const bool told =
        std::any_of(visible_.begin() + static_cast<std::ptrdiff_t>(since), visible_.end(),
                    [&](const Visible& record) { return record.gateway == gateway && is_told_loss(record.name); });
    if (!told) fail("nothing silent", fmt::format("{} got a new disk, and no events_lost says so", gateway), gateway);
  }
}

std::uint64_t Checker::losses() const {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(visible_, [](const Visible& record) { return is_told_loss(record.name); }));
}

// Of everything that readers saw, in their order.
std::uint64_t Checker::fingerprint() const {
  std::uint64_t print = 0;
  for (const Visible& record : visible_) {
    for (const char c : record.event_id) print = (print ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  }
  return print;
}

}  // namespace whole
