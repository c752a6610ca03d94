#include <sluice/wire/vrrp.hpp>

#include <sluice/wire/checksum.hpp>

namespace sluice::wire {

IpAddress vrrp_group(bool ipv6) noexcept
{
    if (!ipv6) {
        return IpAddress::v4(0xe0000012U);
    }
    std::array<std::byte, 16> octets{std::byte{0xff}, std::byte{0x02}};
    octets[15] = std::byte{0x12};
    return IpAddress::load_v6(octets.data());
}

bool VrrpView::checksum_valid_plain() const noexcept
{
    ChecksumSum sum;
    sum.add(message_);
    return sum.valid();
}

bool VrrpView::checksum_valid_pseudo(const IpAddress& source, const IpAddress& destination) const noexcept
{
    ChecksumSum sum;
    sum.add_pseudo_header(source, destination, vrrp_protocol, static_cast<std::uint32_t>(message_.size()));
    sum.add(message_);
    return sum.valid();
}

void emit_vrrp(std::byte* to, const VrrpMessage& message, const IpAddress& source, const IpAddress& destination,
               bool pseudo_header) noexcept
{
    store8(to, static_cast<std::uint8_t>(vrrp_version << 4U | vrrp_type_advertisement));
    store8(to + 1, message.vrid);
    store8(to + 2, message.priority);
    store8(to + 3, static_cast<std::uint8_t>(message.addresses.size()));
    store16(to + 4, message.interval_centiseconds);
    store16(to + 6, 0);
    std::byte* next = to + vrrp_header_length;
    for (const IpAddress& address : message.addresses) {
        address.store(next);
        next += address.wire().size();
    }
    const Bytes whole{to, next};
    store16(to + 6, pseudo_header ? checksum(whole, source, destination, vrrp_protocol) : checksum(whole));
}

} // namespace sluice::wire
