// The words of every enumeration, and what this build can do with them. One table each: the reader, --print, the
// suggestions, the reference page and the checks all take them from here.
#pragma once

#include <sluice/config/model.hpp>

#include <array>
#include <string_view>

namespace sluice::config {

/// Where a word has an implementation behind it. A word without one is refused by name, never accepted and ignored.
struct Support {
    bool proxy = true;
    bool forward = true;
};
inline constexpr Support everywhere{true, true};
inline constexpr Support forward_only{false, true};
inline constexpr Support nowhere{false, false};

template <class Enum>
struct Name {
    Enum value;
    std::string_view name;
    std::string_view text; ///< For the reference page; may be empty.
    Support support = everywhere;
};

template <class Enum>
struct Names;

template <class Enum>
concept Named = requires
{
    Names<Enum>::table;
};

template <Named Enum>
[[nodiscard]] constexpr const Name<Enum>& name_of(Enum value) noexcept
{
    for (const Name<Enum>& item : Names<Enum>::table) {
        if (item.value == value) {
            return item;
        }
    }
    return Names<Enum>::table[0];
}

template <>
struct Names<Idle> {
    static constexpr std::array table{
        Name<Idle>{Idle::adaptive, "adaptive", "sleep until a packet or a timer"},
        Name<Idle>{Idle::poll, "poll", "never sleep"},
    };
};

template <>
struct Names<HugePages> {
    static constexpr std::array table{
        Name<HugePages>{HugePages::automatic, "auto", "free ones, else ordinary pages"},
        Name<HugePages>{HugePages::required, "required", "do not start without"},
        Name<HugePages>{HugePages::off, "off", "ordinary pages"},
    };
};

template <>
struct Names<Driver> {
    static constexpr std::array table{
        Name<Driver>{Driver::af_xdp, "af_xdp", "fast; takes the interface's queues from the kernel"},
        Name<Driver>{Driver::af_packet, "af_packet", "works on every interface"},
    };
};

template <>
struct Names<KernelAddresses> {
    static constexpr std::array table{
        Name<KernelAddresses>{KernelAddresses::refuse, "refuse", "do not start"},
        Name<KernelAddresses>{KernelAddresses::ignore, "ignore", "start all the same"},
    };
};

template <>
struct Names<VrrpChecksum> {
    static constexpr std::array table{
        Name<VrrpChecksum>{VrrpChecksum::automatic, "auto", "as last heard from a valid peer"},
        Name<VrrpChecksum>{VrrpChecksum::rfc9568, "rfc9568", "without pseudo-header"},
        Name<VrrpChecksum>{VrrpChecksum::pseudo, "pseudo", "with pseudo-header, as Keepalived"},
    };
};

template <>
struct Names<LogLevel> {
    static constexpr std::array table{
        Name<LogLevel>{LogLevel::trace, "trace", {}}, Name<LogLevel>{LogLevel::debug, "debug", {}},
        Name<LogLevel>{LogLevel::info, "info", {}},   Name<LogLevel>{LogLevel::warn, "warn", {}},
        Name<LogLevel>{LogLevel::error, "error", {}},
    };
};

template <>
struct Names<AccessFormat> {
    static constexpr std::array table{Name<AccessFormat>{AccessFormat::json, "json", "one object per line"}};
};

template <>
struct Names<Transport> {
    static constexpr std::array table{
        Name<Transport>{Transport::tcp, "tcp", {}},
        Name<Transport>{Transport::udp, "udp", {}},
    };
};

template <>
struct Names<TlsVersion> {
    static constexpr std::array table{
        Name<TlsVersion>{TlsVersion::tls12, "tls1.2", {}},
        Name<TlsVersion>{TlsVersion::tls13, "tls1.3", {}},
    };
};

template <>
struct Names<Scheme> {
    static constexpr std::array table{
        Name<Scheme>{Scheme::http, "http", {}},
        Name<Scheme>{Scheme::https, "https", {}},
    };
};

template <>
struct Names<NoServer> {
    static constexpr std::array table{
        Name<NoServer>{NoServer::reject, "reject", "TCP RST, or ICMP port unreachable"},
        Name<NoServer>{NoServer::drop, "drop", "silence"},
    };
};

template <>
struct Names<OnServerDown> {
    static constexpr std::array table{
        Name<OnServerDown>{OnServerDown::keep, "keep", "leave its TCP flows alone"},
        Name<OnServerDown>{OnServerDown::reset, "reset", "reset its TCP flows"},
    };
};

template <>
struct Names<Method> {
    static constexpr std::array table{
        Name<Method>{Method::fullnat, "fullnat", "both addresses are rewritten; one arm is enough"},
        Name<Method>{Method::nat, "nat", "the destination is rewritten; servers route back through this node"},
        Name<Method>{Method::dr, "dr",
                     "direct routing: only the MAC address changes; servers are neighbours, hold the service's address "
                     "without answering for it, and answer clients themselves"},
        Name<Method>{Method::ipip, "ipip", "as dr, inside of IP (RFC 2003): servers are anywhere and of either family"},
        Name<Method>{Method::gue, "gue", "the same inside of UDP (GUE, port 6080)"},
        Name<Method>{Method::gre, "gre", "the same inside of GRE (RFC 2784)"},
    };
};

template <>
struct Names<Balance> {
    static constexpr std::array table{
        Name<Balance>{Balance::rr, "rr", "in turn; ignores weights"},
        Name<Balance>{Balance::wrr, "wrr", "in turn, by weight"},
        Name<Balance>{Balance::lc, "lc", "fewest in progress"},
        Name<Balance>{Balance::wlc, "wlc", "fewest in progress per weight"},
        Name<Balance>{Balance::sh, "sh", "by client address"},
        Name<Balance>{Balance::dh, "dh", "by the address that the client used"},
        Name<Balance>{Balance::mh, "mh", "Maglev hash of the client: few move when a server does"},
        Name<Balance>{Balance::sed, "sed", "shortest expected delay"},
        Name<Balance>{Balance::nq, "nq", "an idle server at once, else as sed"},
        Name<Balance>{Balance::fo, "fo", "the highest weight that is up"},
        Name<Balance>{Balance::ovf, "ovf", "the highest weight with fewer in progress than its weight"},
        Name<Balance>{Balance::lblc, "lblc", "a destination keeps its server; else as wlc", forward_only},
        Name<Balance>{Balance::lblcr, "lblcr", "a destination keeps a few servers; else as lblc", forward_only},
        Name<Balance>{Balance::twos, "twos", "the less loaded of two random ones"},
    };
};

template <>
struct Names<HashKey> {
    static constexpr std::array table{
        Name<HashKey>{HashKey::address, "address", "the client's address"},
        Name<HashKey>{HashKey::address_port, "address_port", "address and port, as LVS's mh-port and sh-port"},
    };
};

} // namespace sluice::config
