// The receive-side scaling of ports without a NIC: a symmetric hash of addresses and ports.
#pragma once

#include <sluice/base/bytes.hpp>

#include <cstdint>

namespace sluice::port {

/// Equal for both directions of a flow. Fragments and whatever is neither TCP nor UDP hash by addresses alone; frames
/// that are not IP hash to 0, as NICs do.
[[nodiscard]] std::uint32_t symmetric_flow_hash(Bytes frame) noexcept;

} // namespace sluice::port
