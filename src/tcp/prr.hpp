// Proportional rate reduction (RFC 9937, before it RFC 6937): in fast recovery the window follows what arrives, so that
// a halved window neither silences the sender for half a round trip nor lets it burst.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::tcp {

struct ProportionalRateReduction {
    std::uint32_t delivered = 0;      ///< prr_delivered: bytes in this recovery
    std::uint32_t out = 0;            ///< prr_out: bytes sent in it
    std::uint32_t recover_flight = 1; ///< RecoverFS: bytes in flight when it began
};

/// The congestion window after an acknowledgment that delivered `delivered` bytes, with `pipe` bytes still in flight.
/// `safe`: it advanced SND.UNA and showed no further loss; then slow start may rebuild the pipe (SSRB), otherwise what
/// leaves is what has arrived (CRB).
[[nodiscard]] constexpr std::uint32_t on_delivery(ProportionalRateReduction& prr, std::uint32_t delivered,
                                                  std::uint32_t pipe, std::uint32_t threshold,
                                                  std::uint32_t segment_size, bool safe) noexcept
{
    prr.delivered += delivered;
    const std::uint64_t owed =
        pipe > threshold ? (std::uint64_t{prr.delivered} * threshold + prr.recover_flight - 1) / prr.recover_flight
                         : std::uint64_t{prr.delivered};
    std::uint64_t count = owed > prr.out ? owed - prr.out : 0;
    if (pipe <= threshold) {
        count = std::max<std::uint64_t>(count, delivered) + (safe ? segment_size : 0U);
        count = std::min<std::uint64_t>(count, threshold - pipe);
    }
    if (prr.out == 0) {
        count = std::max<std::uint64_t>(count, segment_size); // The fast retransmission itself
    }
    return pipe + static_cast<std::uint32_t>(count);
}

} // namespace sluice::tcp
