#include <sluice/telemetry/event.hpp>

#include <bit>

namespace sluice::telemetry {

std::string_view text(EventKind kind) noexcept
{
    switch (kind) {
    case EventKind::vrrp:
        return "vrrp";
    case EventKind::health:
        return "health";
    case EventKind::port:
        return "port";
    case EventKind::reload:
        return "reload";
    case EventKind::drain:
        return "drain";
    case EventKind::handover:
        return "handover";
    case EventKind::core:
        return "core";
    case EventKind::node:
        return "node";
    }
    return "unknown";
}

EventRing::EventRing(std::size_t capacity)
    : mask_{std::bit_ceil(std::max<std::size_t>(capacity, 1)) - 1}, events_{std::make_unique<Event[]>(mask_ + 1)}
{
}

bool EventRing::push(const Event& event) noexcept
{
    const std::uint64_t written = written_.load(std::memory_order_relaxed);
    if (written - read_.load(std::memory_order_acquire) > mask_) {
        discarded_.add();
        return false;
    }
    events_[written & mask_] = event;
    written_.store(written + 1, std::memory_order_release);
    return true;
}

std::optional<Event> EventRing::pop() noexcept
{
    const std::uint64_t read = read_.load(std::memory_order_relaxed);
    if (read == written_.load(std::memory_order_acquire)) {
        return std::nullopt;
    }
    const Event event = events_[read & mask_];
    read_.store(read + 1, std::memory_order_release);
    return event;
}

} // namespace sluice::telemetry
