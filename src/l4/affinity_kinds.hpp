// The uses of the affinity table.
#pragma once

#include <cstdint>

namespace sluice::l4::affinity_kind {

inline constexpr std::uint32_t persistence = 0; ///< A client network, of a service
inline constexpr std::uint32_t locality = 1;    ///< A destination, of a pool with lblc
inline constexpr std::uint32_t replicas = 8;    ///< Members that a destination of lblcr has at most
inline constexpr std::uint32_t first_replica = 2;
inline constexpr std::uint32_t replicas_changed = first_replica + replicas;

} // namespace sluice::l4::affinity_kind
