#include "departure.hpp"

#include "ask.hpp"

namespace sluice::app {
namespace {

/// A first forwarder that does not even say how the handover stands is not waited for longer.
constexpr Duration answer_patience = std::chrono::seconds{2};
/// Servers' replies to full-NAT flows that were on their way when the peer took over come back within this.
constexpr Duration settle_time = std::chrono::milliseconds{200};

std::size_t leaving_connections(Core& core) { return core.worker()->proxy().usage().leaving; }

/// Those whose handshake or last bytes are on their way too.
std::size_t accepted_connections(Core& core)
{
    const tcp::StackUsage usage = core.worker()->stack().usage();
    return usage.accepted + usage.half_open;
}

} // namespace

template <class Count>
bool Departure::any_worker_has(Count count)
{
    for (const auto& core : node_.cores()) {
        if (core->worker() != nullptr && ask(node_, core->index(), count).value_or(1) != 0) {
            return true;
        }
    }
    return false;
}

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
    if (state_ == State::draining && (now >= deadline_ || !any_worker_has(leaving_connections))) {
        reset_and_hand_over(now);
    } else if (state_ == State::handing_over) {
        wait_for_peer(now);
    }
    if (state_ == State::settling && now >= settled_ && (now >= deadline_ || !any_worker_has(accepted_connections))) {
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

void Departure::reset_and_hand_over(TimePoint now)
{
    state_ = State::handing_over;
    deadline_ = now + patience_ + answer_patience;
    for (const auto& core : node_.cores()) {
        if (core->worker() != nullptr) {
            // Waited for: the resets leave before the addresses do.
            static_cast<void>(ask(node_, core->index(), [](Core& on) {
                on.worker()->proxy().abort_leaving();
                return true;
            }));
        }
    }
    node_.post(node_.first_forwarder_core(), [patience = patience_](Core& core) {
        core.first_forwarder()->vrrp().handover(patience, core.context().now);
    });
}

void Departure::wait_for_peer(TimePoint now)
{
    const auto handover = ask(node_, node_.first_forwarder_core(),
                              [](Core& core) { return core.first_forwarder()->vrrp().handover_state(); });
    if (handover == vrrp::HandoverState::done || handover == vrrp::HandoverState::idle) {
        state_ = State::settling;
        const bool taken_over = handover == vrrp::HandoverState::done && patience_ != Duration::zero();
        settled_ = taken_over ? now + settle_time : now;
        deadline_ = taken_over ? now + farewell_time : now;
    } else if (handover == vrrp::HandoverState::failed || now >= deadline_) {
        state_ = State::failed;
    }
}

} // namespace sluice::app
