// How packets get to a server. What distinguishes the methods is said here once; the code asks instead of naming them.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::l4 {

enum class Method : std::uint8_t {
    fullnat, ///< The source becomes an address of ours: servers answer to us wherever they are
    nat,     ///< The source stays: servers route back through us
    dr,      ///< Nothing but the MAC address changes: servers hold the service's address and answer the client
    ipip,    ///< As `dr`, wherever the server is: inside of IP (RFC 2003, RFC 2473, RFC 4213)
    gue,     ///< The same inside of UDP (Generic UDP Encapsulation, variant 0)
    gre      ///< The same inside of GRE (RFC 2784)
};

[[nodiscard]] constexpr std::string_view name(Method method) noexcept
{
    constexpr std::string_view names[] = {"fullnat", "nat", "dr", "ipip", "gue", "gre"};
    return names[static_cast<std::size_t>(method)];
}

/// Addresses are rewritten, and rewritten back in the replies, which pass here. By the other methods the server gets
/// the packet as the client sent it and answers the client itself: only the client's half of a flow is seen.
[[nodiscard]] constexpr bool translates(Method method) noexcept
{
    return method == Method::fullnat || method == Method::nat;
}

[[nodiscard]] constexpr bool is_tunnel(Method method) noexcept { return method >= Method::ipip; }

/// Methods that speak to servers from addresses of ours.
[[nodiscard]] constexpr bool has_sources(Method method) noexcept
{
    return method == Method::fullnat || is_tunnel(method);
}

} // namespace sluice::l4
