// Maglev's consistent hashing (Eisenbud et al., NSDI 2016, §3.4), with weighted shares. Control thread.
#pragma once

#include <sluice/wire/address.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::l4 {

/// Where a server likes to sit: (offset + j * skip) mod table size for j = 0, 1, ...
struct MaglevPreference {
    std::uint32_t offset = 0; ///< Less than the table size
    std::uint32_t skip = 1;   ///< 1 up to table size - 1
    std::uint32_t weight = 1; ///< 0 takes no slot
};

inline constexpr std::uint32_t maglev_default_size = 65537;

[[nodiscard]] bool is_prime(std::uint32_t value) noexcept;

/// The preference of a server by its identity: the same on every node.
[[nodiscard]] MaglevPreference maglev_preference(const wire::Endpoint& server, std::uint32_t weight,
                                                 std::uint32_t table_size) noexcept;

/// The index of a preference for each slot; empty when all weights are 0. `table_size` must be prime. Servers take
/// their turns in proportion to their weights, the earlier one first where two are due at once: pass them in an order
/// that does not depend on the configuration's. Equal weights give slots that differ by at most one.
[[nodiscard]] std::vector<std::uint16_t> maglev_table(std::span<const MaglevPreference> servers,
                                                      std::uint32_t table_size);

} // namespace sluice::l4
