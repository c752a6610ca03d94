#include "departure.hpp"

#include "ask.hpp"

namespace sluice::app {
namespace {

/// A first forwarder that does not even say how the handover stands is not waited for longer.
constexpr Duration answer_patience = std::chrono::seconds{2};
/// Servers' replies to full-NAT flows that were on their way when the peer took over come back within this.
constexpr Duration settle_time = std::chrono::milliseconds{200};

} // namespace

void Departure::begin(Duration drain, Duration patience, TimePoint now)
{
    state_ = State::draining;
    patience_ = patience;
    deadline_ = now + drain;
    for (const auto& core : node_.cores()) {
        if (core->worker() != nullptr) {
            node_.post(core->index(), [](Core& on) { on.worker()->proxy().drain(); });
        }
    }
}

Departure::State Departure::advance(TimePoint now)
{
    if (state_ == State::draining && (now >= deadline_ || !connections_left())) {
        reset_and_hand_over(now);
    } else if (state_ == State::handing_over) {
        const auto handover = ask(node_, node_.first_forwarder_core(),
                                  [](Core& core) { return core.first_forwarder()->vrrp().handover_state(); });
        if (handover == vrrp::HandoverState::done || handover == vrrp::HandoverState::idle) {
            state_ = State::settling;
            deadline_ = now + (handover == vrrp::HandoverState::done ? settle_time : Duration::zero());
        } else if (handover == vrrp::HandoverState::failed || now >= deadline_) {
            state_ = State::failed;
        }
    }
    if (state_ == State::settling && now >= deadline_) {
        state_ = State::done;
    }
    return state_;
}

void Departure::undrain()
{
    for (const auto& core : node_.cores()) {
        if (core->worker() != nullptr) {
            node_.post(core->index(), [](Core& on) { on.worker()->proxy().undrain(); });
        }
    }
}

bool Departure::connections_left()
{
    for (const auto& core : node_.cores()) {
        if (core->worker() == nullptr) {
            continue;
        }
        const auto left =
            ask(node_, core->index(), [](Core& on) { return on.worker()->proxy().usage().client_connections; });
        if (left.value_or(1) != 0) {
            return true;
        }
    }
    return false;
}

void Departure::reset_and_hand_over(TimePoint now)
{
    state_ = State::handing_over;
    deadline_ = now + patience_ + answer_patience;
    for (const auto& core : node_.cores()) {
        if (core->worker() != nullptr) {
            // Waited for: the resets leave before the addresses do.
            static_cast<void>(ask(node_, core->index(), [](Core& on) {
                on.worker()->proxy().abort_all();
                return true;
            }));
        }
    }
    node_.post(node_.first_forwarder_core(), [patience = patience_](Core& core) {
        core.first_forwarder()->vrrp().handover(patience, core.context().now);
    });
}

} // namespace sluice::app
