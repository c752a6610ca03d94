// Views over protocol headers: one accessor per field, no copies. Constructing a view checks nothing: give it bytes
// that parse_frame() or parse_ip() accepted, or that you allocated yourself. Accessors never fail then.
#pragma once

#include <sluice/wire/address.hpp>
#include <sluice/wire/sequence.hpp>

#include <cstdint>

namespace sluice::wire {

inline constexpr std::size_t ethernet_size = 14;
inline constexpr std::size_t vlan_tag_size = 4;
inline constexpr std::size_t ipv4_minimum_size = 20;
inline constexpr std::size_t ipv6_size = 40;
inline constexpr std::size_t tcp_minimum_size = 20;
inline constexpr std::size_t udp_size = 8;
inline constexpr std::size_t icmp_size = 8;
inline constexpr std::size_t ethernet_minimum_frame = 60; ///< Without the frame check sequence.

namespace ether_type {
inline constexpr std::uint16_t ipv4 = 0x0800;
inline constexpr std::uint16_t arp = 0x0806;
inline constexpr std::uint16_t vlan = 0x8100;
inline constexpr std::uint16_t ipv6 = 0x86dd;
} // namespace ether_type

namespace protocol {
inline constexpr std::uint8_t hop_by_hop = 0;
inline constexpr std::uint8_t icmp = 1;
inline constexpr std::uint8_t igmp = 2;
inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t routing = 43;
inline constexpr std::uint8_t fragment = 44;
inline constexpr std::uint8_t icmpv6 = 58;
inline constexpr std::uint8_t no_next = 59;
inline constexpr std::uint8_t destination_options = 60;
inline constexpr std::uint8_t vrrp = 112;
inline constexpr std::uint8_t sctp = 132;
} // namespace protocol

/// Base of the views: Byte is `const std::byte` for reading, `std::byte` for both.
template <class Byte>
class View {
public:
    explicit View(Byte* data) noexcept : data_{data} {}
    [[nodiscard]] Byte* data() const noexcept { return data_; }

protected:
    Byte* data_;
};

/// IEEE 802.3 header without a tag.
template <class Byte>
struct EthernetView : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] MacAddress destination() const noexcept { return MacAddress::load(this->data_); }
    [[nodiscard]] MacAddress source() const noexcept { return MacAddress::load(this->data_ + 6); }
    [[nodiscard]] std::uint16_t type() const noexcept { return load16(this->data_ + 12); }
    void set(const MacAddress& destination, const MacAddress& source, std::uint16_t type) const noexcept
    {
        destination.store(this->data_);
        source.store(this->data_ + 6);
        store16(this->data_ + 12, type);
    }
};

/// RFC 791 §3.1.
template <class Byte>
struct Ipv4View : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint8_t version() const noexcept { return load8(this->data_) >> 4U; }
    [[nodiscard]] std::size_t header_length() const noexcept { return (load8(this->data_) & 0xfU) * std::size_t{4}; }
    [[nodiscard]] std::uint8_t type_of_service() const noexcept { return load8(this->data_ + 1); }
    [[nodiscard]] std::uint16_t total_length() const noexcept { return load16(this->data_ + 2); }
    [[nodiscard]] std::uint16_t identification() const noexcept { return load16(this->data_ + 4); }
    [[nodiscard]] bool dont_fragment() const noexcept { return (load16(this->data_ + 6) & 0x4000U) != 0; }
    [[nodiscard]] bool more_fragments() const noexcept { return (load16(this->data_ + 6) & 0x2000U) != 0; }
    [[nodiscard]] std::uint16_t fragment_offset() const noexcept
    {
        return static_cast<std::uint16_t>((load16(this->data_ + 6) & 0x1fffU) * 8U);
    } ///< Bytes
    [[nodiscard]] std::uint8_t time_to_live() const noexcept { return load8(this->data_ + 8); }
    [[nodiscard]] std::uint8_t protocol() const noexcept { return load8(this->data_ + 9); }
    [[nodiscard]] std::uint16_t header_checksum() const noexcept { return load16(this->data_ + 10); }
    [[nodiscard]] IpAddress source() const noexcept { return IpAddress::load_v4(this->data_ + 12); }
    [[nodiscard]] IpAddress destination() const noexcept { return IpAddress::load_v4(this->data_ + 16); }
    void set_time_to_live(std::uint8_t value) const noexcept { store8(this->data_ + 8, value); }
    void set_total_length(std::uint16_t value) const noexcept { store16(this->data_ + 2, value); }
    void set_header_checksum(std::uint16_t value) const noexcept { store16(this->data_ + 10, value); }
    void set_source(const IpAddress& value) const noexcept { value.store(this->data_ + 12); }
    void set_destination(const IpAddress& value) const noexcept { value.store(this->data_ + 16); }
};

/// RFC 8200 §3.
template <class Byte>
struct Ipv6View : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint8_t version() const noexcept { return load8(this->data_) >> 4U; }
    [[nodiscard]] std::uint8_t traffic_class() const noexcept
    {
        return static_cast<std::uint8_t>(load16(this->data_) >> 4U);
    }
    [[nodiscard]] std::uint32_t flow_label() const noexcept { return load32(this->data_) & 0xfffffU; }
    [[nodiscard]] std::uint16_t payload_length() const noexcept { return load16(this->data_ + 4); }
    [[nodiscard]] std::uint8_t next_header() const noexcept { return load8(this->data_ + 6); }
    [[nodiscard]] std::uint8_t hop_limit() const noexcept { return load8(this->data_ + 7); }
    [[nodiscard]] IpAddress source() const noexcept { return IpAddress::load_v6(this->data_ + 8); }
    [[nodiscard]] IpAddress destination() const noexcept { return IpAddress::load_v6(this->data_ + 24); }
    void set_payload_length(std::uint16_t value) const noexcept { store16(this->data_ + 4, value); }
    void set_hop_limit(std::uint8_t value) const noexcept { store8(this->data_ + 7, value); }
    void set_source(const IpAddress& value) const noexcept { value.store(this->data_ + 8); }
    void set_destination(const IpAddress& value) const noexcept { value.store(this->data_ + 24); }
};

namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
} // namespace tcp_flag

/// RFC 9293 §3.1.
template <class Byte>
struct TcpView : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint16_t source_port() const noexcept { return load16(this->data_); }
    [[nodiscard]] std::uint16_t destination_port() const noexcept { return load16(this->data_ + 2); }
    [[nodiscard]] Sequence sequence() const noexcept { return Sequence{load32(this->data_ + 4)}; }
    [[nodiscard]] Sequence acknowledgment() const noexcept { return Sequence{load32(this->data_ + 8)}; }
    [[nodiscard]] std::size_t header_length() const noexcept
    {
        return (load8(this->data_ + 12) >> 4U) * std::size_t{4};
    }
    [[nodiscard]] std::uint8_t flags() const noexcept { return load8(this->data_ + 13); }
    [[nodiscard]] std::uint16_t window() const noexcept { return load16(this->data_ + 14); } ///< Unscaled
    [[nodiscard]] std::uint16_t checksum() const noexcept { return load16(this->data_ + 16); }
    void set_source_port(std::uint16_t value) const noexcept { store16(this->data_, value); }
    void set_destination_port(std::uint16_t value) const noexcept { store16(this->data_ + 2, value); }
    void set_sequence(Sequence value) const noexcept { store32(this->data_ + 4, value.value()); }
    void set_acknowledgment(Sequence value) const noexcept { store32(this->data_ + 8, value.value()); }
    void set_header_length(std::size_t bytes) const noexcept
    {
        store8(this->data_ + 12, static_cast<std::uint8_t>((bytes / 4) << 4U));
    }
    void set_flags(std::uint8_t value) const noexcept { store8(this->data_ + 13, value); }
    void set_window(std::uint16_t value) const noexcept { store16(this->data_ + 14, value); }
    void set_checksum(std::uint16_t value) const noexcept { store16(this->data_ + 16, value); }
    void set_urgent_pointer(std::uint16_t value) const noexcept { store16(this->data_ + 18, value); }
};

/// RFC 768.
template <class Byte>
struct UdpView : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint16_t source_port() const noexcept { return load16(this->data_); }
    [[nodiscard]] std::uint16_t destination_port() const noexcept { return load16(this->data_ + 2); }
    [[nodiscard]] std::uint16_t length() const noexcept { return load16(this->data_ + 4); }
    [[nodiscard]] std::uint16_t checksum() const noexcept { return load16(this->data_ + 6); }
    void set_source_port(std::uint16_t value) const noexcept { store16(this->data_, value); }
    void set_destination_port(std::uint16_t value) const noexcept { store16(this->data_ + 2, value); }
    void set_length(std::uint16_t value) const noexcept { store16(this->data_ + 4, value); }
    void set_checksum(std::uint16_t value) const noexcept { store16(this->data_ + 6, value); }
};

/// The common header of ICMP (RFC 792) and ICMPv6 (RFC 4443).
template <class Byte>
struct IcmpView : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint8_t type() const noexcept { return load8(this->data_); }
    [[nodiscard]] std::uint8_t code() const noexcept { return load8(this->data_ + 1); }
    [[nodiscard]] std::uint16_t checksum() const noexcept { return load16(this->data_ + 2); }
    [[nodiscard]] std::uint16_t identifier() const noexcept { return load16(this->data_ + 4); } ///< Echo only
    [[nodiscard]] std::uint32_t rest() const noexcept { return load32(this->data_ + 4); } ///< MTU of a "packet too big"
    void set_type(std::uint8_t value) const noexcept { store8(this->data_, value); }
    void set_code(std::uint8_t value) const noexcept { store8(this->data_ + 1, value); }
    void set_checksum(std::uint16_t value) const noexcept { store16(this->data_ + 2, value); }
    void set_identifier(std::uint16_t value) const noexcept { store16(this->data_ + 4, value); }
    void set_rest(std::uint32_t value) const noexcept { store32(this->data_ + 4, value); }
};

namespace icmp_type {
inline constexpr std::uint8_t echo_reply = 0;
inline constexpr std::uint8_t unreachable = 3;
inline constexpr std::uint8_t echo_request = 8;
inline constexpr std::uint8_t time_exceeded = 11;
inline constexpr std::uint8_t parameter_problem = 12;
} // namespace icmp_type

namespace icmpv6_type {
inline constexpr std::uint8_t unreachable = 1;
inline constexpr std::uint8_t too_big = 2;
inline constexpr std::uint8_t time_exceeded = 3;
inline constexpr std::uint8_t parameter_problem = 4;
inline constexpr std::uint8_t echo_request = 128;
inline constexpr std::uint8_t echo_reply = 129;
inline constexpr std::uint8_t listener_query = 130;
inline constexpr std::uint8_t router_solicitation = 133;
inline constexpr std::uint8_t router_advertisement = 134;
inline constexpr std::uint8_t neighbour_solicitation = 135;
inline constexpr std::uint8_t neighbour_advertisement = 136;
inline constexpr std::uint8_t listener_report_v2 = 143;
} // namespace icmpv6_type

using Ethernet = EthernetView<const std::byte>;
using MutableEthernet = EthernetView<std::byte>;
using Ipv4 = Ipv4View<const std::byte>;
using MutableIpv4 = Ipv4View<std::byte>;
using Ipv6 = Ipv6View<const std::byte>;
using MutableIpv6 = Ipv6View<std::byte>;
using Tcp = TcpView<const std::byte>;
using MutableTcp = TcpView<std::byte>;
using Udp = UdpView<const std::byte>;
using MutableUdp = UdpView<std::byte>;
using Icmp = IcmpView<const std::byte>;
using MutableIcmp = IcmpView<std::byte>;

} // namespace sluice::wire
