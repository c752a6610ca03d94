// ARP for IPv4 over Ethernet (RFC 826, RFC 5227) as a view over the 28 bytes behind the Ethernet header. Any thread.
#pragma once

#include <sluice/wire/headers.hpp>

namespace sluice::wire {

inline constexpr std::size_t arp_size = 28;

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

template <class Byte>
struct ArpView : View<Byte> {
    using View<Byte>::View;
    /// Ethernet and IPv4 with their address lengths, and a request or reply. The other accessors need this to be true.
    [[nodiscard]] bool is_ipv4_over_ethernet() const noexcept
    {
        const std::uint16_t operation_code = load16(this->data_ + 6);
        return load16(this->data_) == 1 && load16(this->data_ + 2) == ether_type::ipv4 &&
               load16(this->data_ + 4) == 0x0604 && (operation_code == 1 || operation_code == 2);
    }
    [[nodiscard]] ArpOperation operation() const noexcept { return ArpOperation{load16(this->data_ + 6)}; }
    [[nodiscard]] MacAddress sender_mac() const noexcept { return MacAddress::load(this->data_ + 8); }
    [[nodiscard]] IpAddress sender() const noexcept { return IpAddress::load_v4(this->data_ + 14); }
    [[nodiscard]] MacAddress target_mac() const noexcept { return MacAddress::load(this->data_ + 18); }
    [[nodiscard]] IpAddress target() const noexcept { return IpAddress::load_v4(this->data_ + 24); }
    void set(ArpOperation operation, const MacAddress& sender_mac, const IpAddress& sender,
             const MacAddress& target_mac, const IpAddress& target) const noexcept
    {
        store16(this->data_, 1);
        store16(this->data_ + 2, ether_type::ipv4);
        store16(this->data_ + 4, 0x0604);
        store16(this->data_ + 6, static_cast<std::uint16_t>(operation));
        sender_mac.store(this->data_ + 8);
        sender.store(this->data_ + 14);
        target_mac.store(this->data_ + 18);
        target.store(this->data_ + 24);
    }
};

using Arp = ArpView<const std::byte>;
using MutableArp = ArpView<std::byte>;

} // namespace sluice::wire
