#include <sluice/vrrp/types.hpp>

#include <sluice/wire/vrrp.hpp>

namespace sluice::vrrp {

std::string_view name(State state) noexcept
{
    static constexpr std::string_view names[] = {"init", "backup", "active"};
    return names[static_cast<std::size_t>(state)];
}

std::string_view name(Reason reason) noexcept
{
    static constexpr std::string_view names[] = {"none",         "started",   "owner",          "peer_silent",
                                                 "peer_stopped", "preempted", "peer_preferred", "not_ready",
                                                 "fault",        "handover",  "stopped",        "reconfigured"};
    return names[static_cast<std::size_t>(reason)];
}

std::string_view name(Event::Kind kind) noexcept
{
    static constexpr std::string_view names[] = {"transition",       "priority_changed", "other_active",
                                                 "addresses_differ", "handover_done",    "handover_failed"};
    return names[static_cast<std::size_t>(kind)];
}

wire::MacAddress Parameters::mac() const noexcept { return own_mac.value_or(wire::vrrp_mac(vrid, ipv6())); }

} // namespace sluice::vrrp
