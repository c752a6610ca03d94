#include "egress.hpp"

#include <algorithm>

namespace sluice::app {

using telemetry::Counter;
using telemetry::DropReason;

Egress::Egress(std::size_t core, std::span<port::Port* const> ports, handoff::Mesh& mesh,
               telemetry::CoreCounters& counters)
    : core_{core}, mesh_{mesh}, counters_{counters}
{
    for (port::Port* port : ports) {
        Lane lane;
        lane.port = port;
        lane.owner = Layout::transmit_core(core, port->capabilities().transmit_queues);
        lane.queue = static_cast<std::uint16_t>(lane.owner);
        lane.waiting.resize(backlog_limit);
        lanes_.push_back(std::move(lane));
    }
}

void Egress::send(std::uint16_t port, packet::Packet&& frame) noexcept
{
    Lane& lane = lanes_[port];
    if (lane.owner != core_) {
        handoff::Message message;
        message.packet = std::move(frame);
        message.packet.set_port(static_cast<std::uint8_t>(port));
        message.kind = handoff::Kind::transmit;
        if (!mesh_.send(core_, lane.owner, std::move(message))) {
            counters_.drop(DropReason::handoff_full);
        }
        return;
    }
    if (lane.count == backlog_limit) {
        transmit(lane);
        if (lane.count == backlog_limit) {
            counters_.drop(DropReason::transmit_full);
            if (tap_ != nullptr) {
                tap_->dropped(port, std::as_const(frame).bytes(), DropReason::transmit_full);
            }
            frame.reset();
            return;
        }
    }
    lane.waiting[(lane.head + lane.count++) % backlog_limit] = std::move(frame);
}

void Egress::transmit(Lane& lane) noexcept
{
    while (lane.count > 0) {
        std::size_t bytes = 0;
        while (lane.count > 0 && !burst_.full()) {
            packet::Packet& frame = lane.waiting[lane.head];
            bytes += frame.size();
            burst_.push(std::move(frame));
            lane.head = (lane.head + 1) % backlog_limit;
            --lane.count;
        }
        if (tap_ != nullptr) {
            show(lane);
        }
        const std::size_t sent = lane.port->transmit(lane.queue, burst_);
        counters_.count(Counter::packets_transmitted, sent);
        // What the driver refused goes back to the front, in order.
        for (std::size_t index = burst_.size(); index-- > 0;) {
            bytes -= burst_[index].size();
            lane.head = (lane.head + backlog_limit - 1) % backlog_limit;
            lane.waiting[lane.head] = std::move(burst_[index]);
            ++lane.count;
        }
        counters_.count(Counter::bytes_transmitted, bytes);
        const bool refused = !burst_.empty();
        lane.shown = tap_ != nullptr ? burst_.size() : 0;
        burst_.clear();
        if (refused) {
            return;
        }
    }
}

void Egress::show(Lane& lane) noexcept
{
    const auto port = static_cast<std::uint16_t>(&lane - lanes_.data());
    tap_->sending(port, burst_, std::min(lane.shown, burst_.size()));
}

void Egress::set_tap(port::FrameTap* tap) noexcept
{
    tap_ = tap;
    for (Lane& lane : lanes_) {
        lane.shown = 0;
    }
}

void Egress::flush() noexcept
{
    for (Lane& lane : lanes_) {
        if (lane.count > 0) {
            transmit(lane);
        }
    }
}

std::size_t Egress::backlog() const noexcept
{
    std::size_t total = 0;
    for (const Lane& lane : lanes_) {
        total += lane.count;
    }
    return total;
}

} // namespace sluice::app
