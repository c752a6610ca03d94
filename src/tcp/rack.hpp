// RACK: loss found by time (RFC 8985 §6). A segment is lost when one that was sent later has arrived and there has been
// time for it to arrive too, give or take the reordering of the path. That finds lost retransmissions as well, which
// counting duplicates never does. Names are those of the RFC, times in microseconds.
#pragma once

#include "tcp/flight.hpp"

namespace sluice::tcp {

struct Rack {
    static constexpr std::uint8_t duplicate_threshold = 3;
    static constexpr std::uint8_t persistence = 16; ///< Recoveries that a widened window lasts for
    static constexpr std::uint8_t most_multiples = 255;

    Microseconds xmit_ts = 0; ///< Of the segment sent last among those delivered; with `end_seq`, while `valid`.
    Sequence end_seq;
    std::uint32_t rtt = 0;
    std::uint32_t min_rtt = 0;       ///< 0: none yet
    std::uint32_t min_rtt_since = 0; ///< Seconds
    Sequence fack;                   ///< Highest sequence number delivered
    Sequence dsack_round;            ///< One widening per round trip, while `dsack_round_set`.
    std::uint8_t reo_wnd_mult = 1;
    std::uint8_t reo_wnd_persist = 0;
    bool valid : 1 = false;
    bool reordering_seen : 1 = false;
    bool dsack_round_set : 1 = false;
};

/// RACK_sent_after: the order of transmission; the sequence number decides between segments of one instant.
[[nodiscard]] constexpr bool sent_after(Microseconds one, Sequence one_end, Microseconds other,
                                        Sequence other_end) noexcept
{
    const auto distance = static_cast<std::int32_t>(one - other);
    return distance > 0 || (distance == 0 && one_end > other_end);
}

/// A round-trip time that belongs to one transmission for certain: the minimum of the last five minutes.
void note_round_trip(Rack& rack, std::uint32_t rtt, std::uint32_t now_seconds) noexcept;

/// Steps 2 and 3: `segment` was delivered just now. `answers_original`: the acknowledgment's timestamp is older than
/// the retransmission. True when the segment shows that the path reorders.
bool on_delivered(Rack& rack, const SentSegment& segment, Microseconds now, bool answers_original) noexcept;

/// Step 4, a D-SACK: a retransmission was needless. Widens the reordering window, once per round trip.
void on_duplicate_reported(Rack& rack, Sequence snd_una, Sequence snd_nxt) noexcept;
/// Step 4, the end of a recovery: a widened window is given up after sixteen without another D-SACK.
void on_recovery_ended(Rack& rack) noexcept;

/// The reordering window. `sacked`: how many segments above the first gap have arrived.
[[nodiscard]] std::uint32_t reordering_window(const Rack& rack, bool in_recovery, std::uint32_t sacked,
                                              std::uint32_t smoothed_rtt) noexcept;

struct LossDetection {
    std::uint32_t lost_bytes = 0;           ///< Newly marked
    std::uint32_t lost_retransmissions = 0; ///< Segments among them that had been sent again
    std::uint32_t wait = 0;                 ///< When not 0: look again after so long
};
/// Step 5: marks what is lost by now.
LossDetection detect_losses(const Rack& rack, Flight& flight, std::uint32_t window, Microseconds now) noexcept;

/// What a retransmission timeout takes for lost (RFC 8985 §8): the first segment, and all that has been gone longer
/// than a round trip and the reordering window.
void mark_losses_on_timeout(const Rack& rack, Flight& flight, std::uint32_t window, Microseconds now) noexcept;

} // namespace sluice::tcp
