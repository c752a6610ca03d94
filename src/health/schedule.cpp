#include <sluice/health/schedule.hpp>

#include <algorithm>

namespace sluice::health {
namespace {

constexpr Duration longest_first_spread = std::chrono::milliseconds{100};

} // namespace

TimePoint first_probe(const CheckSettings& settings, TimePoint now, Random& random) noexcept
{
    const Duration spread = std::min(settings.interval / 10, longest_first_spread);
    return now + Duration{static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(spread.count()) + 1))};
}

TimePoint next_probe(const CheckSettings& settings, TimePoint started, TimePoint now, Random& random) noexcept
{
    const Duration spread = settings.interval / 8;
    const Duration earliest = settings.interval - settings.interval / 16;
    const Duration jitter{static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(spread.count()) + 1))};
    return std::max(started + earliest + jitter, now);
}

TimePoint deadline(const CheckSettings& settings, TimePoint started) noexcept { return started + settings.timeout; }

bool timeout_counts(const CheckSettings& settings, TimePoint deadline, TimePoint now, bool own_drops) noexcept
{
    return !own_drops && now - deadline <= settings.timeout / 4;
}

} // namespace sluice::health
