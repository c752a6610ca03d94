#include "tcp/syn_cookie.hpp"

#include <algorithm>
#include <array>

namespace sluice::tcp {
namespace {

constexpr std::uint32_t age_bits = 5;
constexpr std::uint32_t mss_bits = 3;
constexpr std::uint32_t hash_bits = 32 - age_bits - mss_bits;
constexpr std::uint32_t hash_mask = (1U << hash_bits) - 1;
constexpr std::uint32_t age_mask = (1U << age_bits) - 1;
constexpr Duration age_unit = SynCookies::lifetime / 2;

/// What is common: the smallest of IPv4 and of IPv6, PPPoE and tunnels, Ethernet, jumbo frames.
constexpr std::array<std::uint16_t, 1U << mss_bits> segment_sizes{216, 536, 1220, 1360, 1400, 1440, 1460, 8900};

constexpr std::uint32_t option_mask = 0x1f;
constexpr std::uint32_t sack_bit = 0x10;
constexpr std::uint32_t scale_mask = 0x0f;
constexpr std::uint32_t no_scale = 0x0f; // RFC 7323 §2.3: shifts end at 14.

std::uint32_t age_at(TimePoint now) noexcept
{
    return static_cast<std::uint32_t>(now.time_since_epoch() / age_unit) & age_mask;
}

} // namespace

std::uint32_t SynCookies::hash(const TableEntry& ends, Sequence irs, std::uint32_t age_and_mss) const noexcept
{
    const std::uint64_t ports = std::uint64_t{ends.local_port} << 16U | ends.remote_port;
    return static_cast<std::uint32_t>(siphash13_words(key_, ends.local.high(), ends.local.low(), ends.remote.high(),
                                                      ends.remote.low(), ports << 32U | irs.value(), age_and_mss)) &
           hash_mask;
}

Sequence SynCookies::make(const TableEntry& ends, Sequence irs, std::uint16_t mss, TimePoint now) noexcept
{
    last_ = now;
    // The largest that is not above; below all of them, the smallest is still not too much for any real path.
    const auto above = std::ranges::upper_bound(segment_sizes, mss);
    const auto index =
        static_cast<std::uint32_t>(above == segment_sizes.begin() ? 0 : above - segment_sizes.begin() - 1);
    const std::uint32_t age_and_mss = age_at(now) << mss_bits | index;
    return Sequence{age_and_mss << hash_bits | hash(ends, irs, age_and_mss)};
}

std::optional<std::uint16_t> SynCookies::check(const TableEntry& ends, Sequence irs, Sequence iss,
                                               TimePoint now) const noexcept
{
    if (last_ == never || now - last_ > lifetime) {
        return {};
    }
    const std::uint32_t age_and_mss = iss.value() >> hash_bits;
    const std::uint32_t age = (age_at(now) - (age_and_mss >> mss_bits)) & age_mask;
    if (age > 1 || (iss.value() & hash_mask) != hash(ends, irs, age_and_mss)) {
        return {};
    }
    return segment_sizes[age_and_mss & (segment_sizes.size() - 1)];
}

std::uint32_t SynCookies::timestamp(std::uint32_t clock, const Options& options) noexcept
{
    const std::uint32_t bits = (options.sack ? sack_bit : 0U) | options.window_scale.value_or(no_scale);
    const std::uint32_t value = (clock & ~option_mask) | bits;
    return static_cast<std::int32_t>(clock - value) < 0 ? value - (option_mask + 1) : value;
}

SynCookies::Options SynCookies::options(std::uint32_t timestamp) noexcept
{
    Options result;
    result.sack = (timestamp & sack_bit) != 0;
    if ((timestamp & scale_mask) != no_scale) {
        result.window_scale = static_cast<std::uint8_t>(timestamp & scale_mask);
    }
    return result;
}

} // namespace sluice::tcp
