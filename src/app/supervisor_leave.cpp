#include "ask.hpp"
#include "supervisor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace sluice::app {
namespace {

/// A peer that hears priority 0 takes over within one interval (RFC 9568 §6.1, Skew_Time); the rest is for its load.
constexpr int takeover_intervals = 3;
constexpr Duration takeover_slack = std::chrono::milliseconds{200};
constexpr Duration longest_takeover = std::chrono::seconds{3};
constexpr Duration last_turns = std::chrono::milliseconds{500};

} // namespace

bool Supervisor::active_anywhere() const
{
    for (const vrrp::Group& group : node_->current()->vrrp->groups()) {
        for (const vrrp::Member& member : group.members()) {
            if (static_cast<vrrp::State>(member.statistics.state.get()) == vrrp::State::active) {
                return true;
            }
        }
    }
    return false;
}

Duration Supervisor::takeover_patience() const
{
    Duration longest{};
    for (const config::VrrpInstance& instance : model_->vrrp) {
        longest = std::max(longest, *instance.advert_interval);
    }
    return std::min(takeover_intervals * longest + takeover_slack, longest_takeover);
}

void Supervisor::begin_handover(Duration timeout, std::function<void(control::HandoverResult)> done)
{
    if (!ready_ || stopping_ || handover_done_ || model_->vrrp.empty()) {
        done(control::HandoverResult::refused);
        return;
    }
    record(telemetry::EventKind::handover, "node", "", "started", "asked for by the operator");
    handover_done_ = std::move(done);
    departure_.emplace(*node_);
    departure_->begin(active_anywhere() ? model_->stop.drain : Duration::zero(), timeout, clock_.now());
}

void Supervisor::continue_handover()
{
    switch (departure_->advance(clock_.now())) {
    case Departure::State::done:
        standby_ = true;
        end_handover(control::HandoverResult::done);
        break;
    case Departure::State::failed:
        end_handover(control::HandoverResult::nobody_took_over);
        break;
    default:
        break;
    }
}

void Supervisor::end_handover(control::HandoverResult result)
{
    departure_->undrain();
    const bool done = result == control::HandoverResult::done;
    record(telemetry::EventKind::handover, "node", "started", done ? "standby" : "failed",
           done ? "the peer has the addresses" : "nobody took over in time");
    std::exchange(handover_done_, nullptr)(result);
}

bool Supervisor::undo_handover()
{
    if (!standby_ || stopping_) {
        return false;
    }
    standby_ = false;
    node_->post(node_->first_forwarder_core(),
                [](Core& core) { core.first_forwarder()->vrrp().undo_handover(core.context().now); });
    record(telemetry::EventKind::handover, "node", "standby", "undone", "asked for by the operator");
    return true;
}

void Supervisor::bid_farewell(std::string_view instance)
{
    const vrrp::Member* member = node_->current()->vrrp->find(instance);
    if (member == nullptr) {
        return;
    }
    const std::vector<wire::IpAddress>& addresses = member->parameters.addresses;
    farewells_.push_back({std::string{instance}, addresses, clock_.now() + farewell_time});
    for (const auto& core : node_->cores()) {
        if (core->worker() != nullptr) {
            node_->post(core->index(), [addresses](Core& on) {
                for (const wire::IpAddress& address : addresses) {
                    on.worker()->proxy().drain(address);
                }
            });
        }
    }
}

void Supervisor::reset_after_farewell(TimePoint now)
{
    std::erase_if(farewells_, [&](const Farewell& farewell) {
        if (now < farewell.until) {
            return false;
        }
        const vrrp::Member* member = node_->current()->vrrp->find(farewell.instance);
        const bool back =
            member != nullptr && static_cast<vrrp::State>(member->statistics.state.get()) == vrrp::State::active;
        for (const auto& core : node_->cores()) {
            if (core->worker() != nullptr && !back) {
                node_->post(core->index(), [addresses = farewell.addresses](Core& on) {
                    for (const wire::IpAddress& address : addresses) {
                        on.worker()->stack().abort_address(address);
                    }
                });
            }
        }
        return true;
    });
}

void Supervisor::begin_stop()
{
    spdlog::info("stopping: connections may finish for {} ms, then the addresses are handed over",
                 std::chrono::duration_cast<std::chrono::milliseconds>(model_->stop.drain).count());
    service_manager_.stopping();
    if (handover_done_) {
        std::exchange(handover_done_, nullptr)(control::HandoverResult::refused);
    }
    const TimePoint now = clock_.now();
    stopping_ = true;
    stop_deadline_ = now + model_->stop.timeout;
    record(telemetry::EventKind::node, "node", "running", "stopping", "told to stop");
    departure_.emplace(*node_);
    departure_->begin(model_->stop.drain, active_anywhere() ? takeover_patience() : Duration::zero(), now);
}

void Supervisor::continue_stop()
{
    const TimePoint now = clock_.now();
    if (now >= stop_deadline_) {
        spdlog::warn("the stop took longer than stop.timeout: ending now");
        finish_stop();
        return;
    }
    const Departure::State state = departure_->advance(now);
    if (state == Departure::State::done || state == Departure::State::failed) {
        finish_stop();
    }
}

void Supervisor::finish_stop()
{
    for (const auto& core : node_->cores()) {
        if (core->worker() != nullptr) {
            const auto reset = [](Core& on) {
                on.worker()->proxy().abort_all();
                return on.worker()->stack().abort_all();
            };
            static_cast<void>(ask(*node_, core->index(), reset, last_turns));
        }
    }
    const auto stop = [](Core& core) {
        core.first_forwarder()->vrrp().stop(core.context().now);
        return true;
    };
    static_cast<void>(ask(*node_, node_->first_forwarder_core(), stop, last_turns));
    // One more turn sends what stop() asked for.
    static_cast<void>(ask(
        *node_, node_->first_forwarder_core(), [](Core&) { return true; }, last_turns));
    if (control_) {
        control_->flush();
    }
    io_.stop();
}

} // namespace sluice::app
