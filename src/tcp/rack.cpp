#include "tcp/rack.hpp"

#include <algorithm>

namespace sluice::tcp {

void note_round_trip(Rack& rack, std::uint32_t rtt, std::uint32_t now_seconds) noexcept
{
    constexpr std::uint32_t lifetime_seconds = 300;
    rtt = std::max(rtt, 1U);
    if (rack.min_rtt == 0 || rtt <= rack.min_rtt || now_seconds - rack.min_rtt_since > lifetime_seconds) {
        rack.min_rtt = rtt;
        rack.min_rtt_since = now_seconds;
    }
}

bool on_delivered(Rack& rack, const SentSegment& segment, Microseconds now, bool answers_original) noexcept
{
    const bool retransmitted = segment.is(SentSegment::retransmitted);
    const std::uint32_t rtt = now - segment.sent_at;
    // An answer within less than the shortest round trip is to an earlier transmission.
    if (!retransmitted || (!answers_original && std::max(rtt, 1U) >= rack.min_rtt)) {
        rack.rtt = rtt;
        if (!rack.valid || sent_after(segment.sent_at, segment.end(), rack.xmit_ts, rack.end_seq)) {
            rack.xmit_ts = segment.sent_at;
            rack.end_seq = segment.end();
            rack.valid = true;
        }
    }
    if (segment.end() > rack.fack) {
        rack.fack = segment.end();
        return false;
    }
    if (segment.end() < rack.fack && !retransmitted && !rack.reordering_seen) {
        rack.reordering_seen = true;
        return true;
    }
    return false;
}

void on_duplicate_reported(Rack& rack, Sequence snd_una, Sequence snd_nxt) noexcept
{
    if (rack.dsack_round_set && snd_una < rack.dsack_round) {
        return;
    }
    rack.dsack_round_set = true;
    rack.dsack_round = snd_nxt;
    rack.reo_wnd_mult = static_cast<std::uint8_t>(std::min(rack.reo_wnd_mult + 1, int{Rack::most_multiples}));
    rack.reo_wnd_persist = Rack::persistence;
}

void on_recovery_ended(Rack& rack) noexcept
{
    rack.reo_wnd_persist = static_cast<std::uint8_t>(std::max(rack.reo_wnd_persist - 1, 0));
    if (rack.reo_wnd_persist == 0) {
        rack.reo_wnd_mult = 1;
    }
}

std::uint32_t reordering_window(const Rack& rack, bool in_recovery, std::uint32_t sacked,
                                std::uint32_t smoothed_rtt) noexcept
{
    if (!rack.reordering_seen && (in_recovery || sacked >= Rack::duplicate_threshold)) {
        return 0;
    }
    // At least a microsecond for each multiple: within a machine a quarter of the round trip may round to nothing, and
    // then no D-SACK could ever widen it.
    const std::uint64_t quarter = std::max<std::uint64_t>(rack.min_rtt / 4, 1);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(rack.reo_wnd_mult * quarter, smoothed_rtt));
}

LossDetection detect_losses(const Rack& rack, Flight& flight, std::uint32_t window, Microseconds now) noexcept
{
    LossDetection found;
    if (!rack.valid) {
        return found;
    }
    flight.each_on_its_way([&](Flight::Position position, const SentSegment& segment) {
        if (static_cast<std::int32_t>(segment.sent_at - rack.xmit_ts) > 0) {
            return false; // So was everything that follows.
        }
        if (!sent_after(rack.xmit_ts, rack.end_seq, segment.sent_at, segment.end())) {
            return true;
        }
        const bool again = segment.is(SentSegment::retransmitted);
        // Not in the instant in which it was sent again: it may stand beside its acknowledged follower there.
        const std::uint64_t due = std::max<std::uint64_t>(std::uint64_t{rack.rtt} + window, again ? 1 : 0);
        const std::uint32_t gone = now - segment.sent_at;
        if (gone >= due) {
            found.lost_bytes += segment.length;
            found.lost_retransmissions += again ? 1U : 0U;
            flight.mark_lost(position);
            return true;
        }
        found.wait = std::max(found.wait, static_cast<std::uint32_t>(due - gone));
        return true;
    });
    return found;
}

void mark_losses_on_timeout(const Rack& rack, Flight& flight, std::uint32_t window, Microseconds now) noexcept
{
    if (flight.empty()) {
        return;
    }
    flight.mark_lost(flight.first());
    const std::uint64_t due = rack.rtt != 0 ? std::uint64_t{rack.rtt} + window : 0;
    flight.each_on_its_way([&](Flight::Position position, const SentSegment& segment) {
        if (now - segment.sent_at < due) {
            return false;
        }
        flight.mark_lost(position);
        return true;
    });
}

} // namespace sluice::tcp
