#include "weighted_order.hpp"

#include <algorithm>
#include <numeric>

namespace sluice::l4 {
namespace {

/// Divides by the common divisor, and once more when the round would be too long; nobody falls to 0.
std::vector<std::uint32_t> reduced(std::span<const std::uint32_t> weights)
{
    std::vector<std::uint32_t> result{weights.begin(), weights.end()};
    std::uint32_t divisor = 0;
    std::uint64_t total = 0;
    for (const std::uint32_t weight : weights) {
        divisor = std::gcd(divisor, weight);
        total += weight;
    }
    if (divisor == 0) {
        return {};
    }
    total /= divisor;
    for (std::uint32_t& weight : result) {
        if (weight > 0) {
            weight /= divisor;
            if (total > maximum_order) {
                const std::uint64_t scaled = std::uint64_t{weight} * (maximum_order - weights.size()) / total;
                weight = static_cast<std::uint32_t>(std::max<std::uint64_t>(scaled, 1));
            }
        }
    }
    return result;
}

} // namespace

std::vector<std::uint16_t> weighted_order(std::span<const std::uint32_t> weights)
{
    const std::vector<std::uint32_t> shares = reduced(weights);
    std::vector<std::uint16_t> by_weight;
    for (std::size_t index = 0; index < shares.size(); ++index) {
        if (shares[index] > 0) {
            by_weight.push_back(static_cast<std::uint16_t>(index));
        }
    }
    std::stable_sort(by_weight.begin(), by_weight.end(),
                     [&](std::uint16_t left, std::uint16_t right) { return shares[left] > shares[right]; });

    std::vector<std::uint16_t> order;
    std::vector<std::uint16_t> reached; // Servers at or above the threshold, in the pool's order
    std::size_t next = 0;
    for (std::uint32_t threshold = by_weight.empty() ? 0 : shares[by_weight.front()]; threshold > 0; --threshold) {
        for (; next < by_weight.size() && shares[by_weight[next]] >= threshold; ++next) {
            reached.insert(std::lower_bound(reached.begin(), reached.end(), by_weight[next]), by_weight[next]);
        }
        order.insert(order.end(), reached.begin(), reached.end());
    }
    return order;
}

} // namespace sluice::l4
