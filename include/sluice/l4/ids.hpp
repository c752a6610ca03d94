// Stable names of things that flows remember. Control gives them out; a name is not used again for anything else, so a
// flow that outlives a reload never means another service.
#pragma once

#include <cstdint>

namespace sluice::l4 {

/// A small number (tables are indexed with it), counted up from 1 by control; 0 is no service.
struct ServiceId {
    std::uint32_t value = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return value != 0; }
    bool operator==(const ServiceId&) const = default;
};

/// The same for pools.
struct PoolId {
    std::uint32_t value = 0;
    bool operator==(const PoolId&) const = default;
};

/// A place in the ServerRegistry and its generation; 0 is nobody.
struct ServerId {
    std::uint32_t value = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return value != 0; }
    bool operator==(const ServerId&) const = default;
};

} // namespace sluice::l4
