#include <sluice/l4/admission.hpp>

#include <algorithm>

namespace sluice::l4 {

using telemetry::DropReason;

namespace {

__extension__ using Number = unsigned __int128;

Number number_of(const wire::IpAddress& address) noexcept { return Number{address.high()} << 64U | address.low(); }

/// A network as numbers, both ends included.
struct Range {
    Number first;
    Number last;
    bool allow;
};

Range range_of(const AccessList::Rule& rule) noexcept
{
    const unsigned bits = rule.network.address.is_v4() ? 32U - rule.network.length : 128U - rule.network.length;
    const Number hosts = bits >= 128 ? ~Number{0} : (Number{1} << bits) - 1;
    const Number first = number_of(rule.network.network());
    return {first, first | hosts, rule.allow};
}

constexpr Duration at_once = std::chrono::seconds{1};

} // namespace

std::vector<AccessList::Boundary> AccessList::boundaries(std::span<const Rule> rules, bool v4, bool otherwise)
{
    std::vector<Range> ranges;
    for (const Rule& rule : rules) {
        if (rule.network.address.is_v4() == v4) {
            ranges.push_back(range_of(rule));
        }
    }
    // Networks lie within each other or apart: an outer one begins first, or at the same place and ends later.
    std::stable_sort(ranges.begin(), ranges.end(), [](const Range& left, const Range& right) {
        return left.first != right.first ? left.first < right.first : left.last > right.last;
    });
    std::vector<Boundary> result;
    const auto from = [&](Number begin, bool allow) {
        const Boundary boundary{static_cast<std::uint64_t>(begin >> 64U), static_cast<std::uint64_t>(begin), allow};
        if (!result.empty() && result.back().high == boundary.high && result.back().low == boundary.low) {
            result.back() = boundary;
        } else if (result.empty() || result.back().allow != allow) {
            result.push_back(boundary);
        }
    };
    from(0, otherwise);
    std::vector<Range> open;
    const auto close_before = [&](Number begin) {
        while (!open.empty() && open.back().last < begin) {
            const Number next = open.back().last + 1;
            open.pop_back();
            from(next, open.empty() ? otherwise : open.back().allow);
        }
    };
    for (const Range& range : ranges) {
        close_before(range.first);
        open.push_back(range);
        from(range.first, range.allow);
    }
    while (!open.empty() && open.back().last != ~Number{0}) {
        close_before(open.back().last + 1);
    }
    return result;
}

AccessList::AccessList(std::span<const Rule> rules, bool otherwise)
    : v4_{boundaries(rules, true, otherwise)}, v6_{boundaries(rules, false, otherwise)}
{
}

bool AccessList::allows(const wire::IpAddress& address) const noexcept
{
    const std::vector<Boundary>& list = address.is_v4() ? v4_ : v6_;
    const std::uint64_t high = address.high();
    const std::uint64_t low = address.low();
    const auto after = std::upper_bound(list.begin(), list.end(), true, [&](bool, const Boundary& boundary) {
        return boundary.high != high ? boundary.high > high : boundary.low > low;
    });
    return std::prev(after)->allow; // The first boundary is 0.
}

FlowRates::FlowRates(const HashKey& secret, std::uint16_t forwarders)
    : secret_{secret}, forwarders_{forwarders}, sources_(2 * row_size), services_(service_places)
{
}

Duration FlowRates::interval(std::uint32_t per_second) const noexcept
{
    return Duration{std::chrono::seconds{1}} * forwarders_ / per_second;
}

bool FlowRates::source_is_over(ServiceId service, const wire::IpAddress& source, Duration interval, TimePoint now,
                               bool count) noexcept
{
    const std::uint64_t low = source.is_v4() ? source.low() : 0;
    const std::uint64_t hash = siphash13_words(secret_, source.high(), low, service.value);
    TimePoint& first = sources_[hash % row_size];
    TimePoint& second = sources_[row_size + (hash >> 32U) % row_size];
    const TimePoint made_up = std::max(std::min(first, second), now);
    if (made_up - now > at_once - std::min(interval, at_once)) {
        return true;
    }
    if (count) {
        // Only what is lower is raised: a source pays for what others took in one row at most.
        first = std::max(first, made_up + interval);
        second = std::max(second, made_up + interval);
    }
    return false;
}

std::optional<DropReason> FlowRates::judge(ServiceId service, const Admission& admission, const wire::IpAddress& source,
                                           TimePoint now, bool count) noexcept
{
    if (admission.clients != nullptr && !admission.clients->allows(source)) {
        return DropReason::client_denied;
    }
    if (admission.new_flows_per_source != 0 &&
        source_is_over(service, source, interval(admission.new_flows_per_source), now, count)) {
        return DropReason::source_rate_exceeded;
    }
    if (admission.new_flows != 0) {
        TimePoint& made_up = services_[service.value % service_places];
        const Duration each = interval(admission.new_flows);
        if (made_up > now + at_once - std::min(each, at_once)) {
            return DropReason::service_rate_exceeded;
        }
        if (count) {
            made_up = std::max(made_up, now) + each;
        }
    }
    return {};
}

} // namespace sluice::l4
