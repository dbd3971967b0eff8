#include "firmware-gateway/uplink/uplink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "proto/base/assert.hpp"

namespace uplink {

void Uplink::start(base::Now now) {
  ASSERT(state_ == State::idle && !stopped_);
  state_ = State::waiting;
  since_ = now.utc;
  due_ = now.instant;
}

void Uplink::stop() {
  stopped_ = true;
  if (state_ == State::connecting || state_ == State::online) {
    leave("stopping");
  } else {
    state_ = State::idle;
  }
}

void Uplink::leave(std::string reason) {
  if (leaving_) return;
  leaving_ = true;
  disconnect_due_ = true;
  leaving_reason_ = std::move(reason);
}

void Uplink::give_up(const std::string& reason) {
  if (state_ == State::online) leave(reason);
}

void Uplink::renew(base::Now now) {
  if (state_ == State::waiting) due_ = now.instant;
  if (state_ != State::connecting && state_ != State::online) return;
  at_once_ = true;
  leave("the configuration and the certificates were read again");
}

Change Uplink::on_link(const LinkEvent& event, base::Now now) {
  if (const auto* connected = std::get_if<Connected>(&event)) return on_connected(*connected, now);
  if (const auto* lost = std::get_if<Lost>(&event)) return on_lost(*lost, now);
  if (const auto* published = std::get_if<Published>(&event)) return on_published(*published);
  return {};
}

Change Uplink::on_connected(const Connected& connected, base::Now now) {
  if (connected.attempt != attempt_ || state_ != State::connecting || leaving_) return {};
  state_ = State::online;
  since_ = now.utc;
  in_flight_ = 0;
  in_flight_max_ = std::clamp<std::uint32_t>(connected.receive_maximum, 1, settings_.publishes_in_flight_max);
  ++counters_.connections;
  return WentOnline{.packet_bytes_max = connected.packet_bytes_max};
}

Change Uplink::on_lost(const Lost& lost, base::Now now) {
  if (lost.attempt != attempt_ || (state_ != State::connecting && state_ != State::online)) return {};
  if (state_ == State::online) since_ = now.utc;
  std::string error = leaving_ ? std::exchange(leaving_reason_, {}) : lost.reason;
  const bool repeated = error == last_error_;
  last_error_ = std::move(error);
  leaving_ = false;
  disconnect_due_ = false;
  state_ = stopped_ ? State::idle : State::waiting;
  due_ = now.instant;
  if (!std::exchange(at_once_, false)) due_ += backoff_.next(random_);
  return WentOffline{.repeated = repeated};
}

Change Uplink::on_published(const Published& published) {
  if (published.attempt != attempt_ || state_ != State::online) return {};
  if (in_flight_ > 0) --in_flight_;
  if (published.reason_code < 0x80) return {};
  ++counters_.publishes_refused;
  const bool too_large = published.reason_code == packet_too_large;
  const std::string_view why = too_large                       ? " (larger than it takes)"
                               : published.reason_code == 0x87 ? " (not authorised: check its access list)"
                                                               : "";
  last_error_ = fmt::format("the broker refused a publish, reason code 0x{:02x}{}", published.reason_code, why);
  return too_large ? Change(TooLarge{.bytes = published.bytes}) : Change();
}

Attempt Uplink::on_publish() {
  ASSERT(may_publish());
  ++in_flight_;
  ++counters_.publishes;
  return attempt_;
}

std::optional<Output> Uplink::poll(base::Now now) {
  if (state_ == State::connecting && !leaving_ && now.instant >= due_) {
    ++counters_.connect_timeouts;
    leave(fmt::format("no connection within {} s", settings_.connect_timeout.count() / 1'000));
  }
  if (std::exchange(disconnect_due_, false)) return Disconnect{.attempt = attempt_};
  if (state_ != State::waiting || now.instant < due_) return std::nullopt;
  state_ = State::connecting;
  due_ = now.instant + settings_.connect_timeout;
  ++counters_.attempts;
  return Connect{.attempt = ++attempt_};
}

std::optional<base::Instant> Uplink::wakeup_at() const {
  if (disconnect_due_) return base::Instant::min();
  if (state_ == State::waiting || (state_ == State::connecting && !leaving_)) return due_;
  return std::nullopt;
}

}  // namespace uplink
