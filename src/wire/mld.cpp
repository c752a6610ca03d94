#include <sluice/wire/mld.hpp>

namespace sluice::wire {

void emit_mld_report(std::byte* to, MldRecord record, std::span<const IpAddress> groups) noexcept
{
    store32(to, std::uint32_t{icmpv6_type::listener_report_v2} << 24U);
    store32(to + 4, static_cast<std::uint32_t>(groups.size()));
    std::byte* next = to + mld_report_header_size;
    for (const IpAddress& group : groups) {
        store32(next, static_cast<std::uint32_t>(record) << 24U); // No auxiliary data, no sources
        group.store(next + 4);
        next += mld_record_size;
    }
}

Duration mld_response_delay(std::uint16_t code) noexcept
{
    if (code < 0x8000U) {
        return std::chrono::milliseconds{code};
    }
    const std::uint64_t mantissa = (code & 0xfffU) | 0x1000U;
    const unsigned exponent = (code >> 12U) & 7U;
    return std::chrono::milliseconds{mantissa << (exponent + 3U)};
}

IpAddress mld_routers() noexcept
{
    std::array<std::byte, 16> octets{std::byte{0xff}, std::byte{0x02}};
    octets[15] = std::byte{0x16};
    return IpAddress::load_v6(octets.data());
}

} // namespace sluice::wire
