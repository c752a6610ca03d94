// Rewriting of packets between the two sides of a flow, with checksums updated from the differences (RFC 1624).
#pragma once

#include <sluice/flow/flow_table.hpp>
#include <sluice/wire/parse.hpp>

#include <cstdint>

namespace sluice::l4 {

/// One direction of a flow's translation: what a packet must say afterwards.
struct Translation {
    const wire::IpAddress& source;
    const wire::IpAddress& destination;
    std::uint16_t source_port;
    std::uint16_t destination_port;
    std::uint16_t address_delta; ///< Ones' complement sum of new minus old addresses

    [[nodiscard]] static Translation of(const flow::Flow& flow, bool from_server) noexcept
    {
        // Both directions change the same sum by opposite amounts.
        return from_server
                   ? Translation{flow.service, flow.client, flow.service_port, flow.client_port,
                                 static_cast<std::uint16_t>(~flow.address_delta)}
                   : Translation{flow.local, flow.server, flow.local_port, flow.server_port, flow.address_delta};
    }
};

/// For Flow::address_delta, once per flow.
[[nodiscard]] std::uint16_t address_delta(const flow::Flow& flow) noexcept;

/// Rewrites addresses, ports (not in later fragments), hop limit (one less) and checksums of a TCP or UDP packet, and
/// `parsed` with it. A UDP checksum of zero stays zero (RFC 768).
void translate(MutableBytes frame, wire::ParsedPacket& parsed, const Translation& to) noexcept;

/// One hop further, otherwise as it came: hop limit and the checksum over it.
void pass_on(MutableBytes frame, wire::ParsedPacket& parsed) noexcept;

/// Rewrites an ICMP error about a packet of the flow: the quoted packet becomes what the other side had sent, and the
/// error comes from `source` and goes to `destination`, hop limit one less. As little as 8 quoted bytes of transport
/// are enough; checksums further in are updated where they are quoted. `original` is what the other side had sent.
void translate_icmp_error(MutableBytes frame, wire::ParsedPacket& parsed, const wire::QuotedPacket& quoted,
                          const flow::FiveTuple& original, const wire::IpAddress& source,
                          const wire::IpAddress& destination) noexcept;

} // namespace sluice::l4
