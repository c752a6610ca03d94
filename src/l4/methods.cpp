#include "methods.hpp"

#include <sluice/l4/tunnel.hpp>

#include "translate.hpp"

namespace sluice::l4 {

bool send_as_it_came(packet::Packet& packet, wire::ParsedPacket& parsed, const flow::Flow& flow, std::uint32_t mtu,
                     Verdict& verdict) noexcept
{
    pass_on(packet.bytes(), parsed);
    if (!is_tunnel(static_cast<Method>(flow.method))) {
        parsed.destination = flow.server;
        return true;
    }
    if (parsed.protocol == wire::protocol::tcp && parsed.has_transport() &&
        (parsed.tcp_flags & wire::tcp_flag::syn) != 0) {
        clamp_segment_size(packet.bytes(), parsed, mtu);
    }
    if (verdict.action == Action::split) {
        verdict.tunnel = &flow;
        return true;
    }
    return enter_tunnel(packet, parsed, flow);
}

} // namespace sluice::l4
