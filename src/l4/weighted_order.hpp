// LVS's weighted round robin, written out once for all picks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::l4 {

/// The longest order that is written out; heavier weights are scaled down to fit.
inline constexpr std::size_t maximum_order = std::size_t{1} << 20U;

/// Indices of `weights` in the order in which LVS's wrr picks them, one whole round: the threshold falls from the
/// greatest weight by their common divisor, and each server whose weight reaches it is picked. Weights 4, 3, 2 give
/// 0 0 1 0 1 2 0 1 2. Empty when all weights are 0.
[[nodiscard]] std::vector<std::uint16_t> weighted_order(std::span<const std::uint32_t> weights);

} // namespace sluice::l4
