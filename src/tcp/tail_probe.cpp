// The tail loss probe (RFC 8985 §7). What its answer shows to be lost is found by RACK, like everything else.
//
// Beyond the RFC, a fast recovery that falls silent is probed too: when the last thing sent was a retransmission and
// that is lost, nothing sent later can tell. What has been gone longest is sent again then, once; the window was
// reduced before.
#include "tcp/core.hpp"

#include <utility>

namespace sluice::tcp {
namespace {

/// What a receiver may wait with the acknowledgment of a single segment (RFC 8985 §7.2, TLP.max_ack_delay).
constexpr Duration other_delayed_ack = std::chrono::milliseconds{200};
/// A probe sooner than this finds acknowledgments still on their way through the peer's scheduler.
constexpr Duration shortest = std::chrono::milliseconds{2};

bool eligible(const Connection& connection) noexcept
{
    if (!connection.sack_allowed || connection.probing || connection.in_flight() == 0 || connection.backoff != 0) {
        return false;
    }
    return connection.recovery == Recovery::fast
               ? connection.flight.lost_bytes() == 0 && bytes_in_pipe(connection) != 0
               : connection.recovery == Recovery::open && connection.flight.sacked_segments() == 0;
}

} // namespace

void schedule_tail_probe(Connection& connection) noexcept
{
    if (connection.reordering_timer) {
        return; // It is the earlier one, and ends with a probe if nothing is lost.
    }
    connection.loss_at = never;
    if (!eligible(connection) || connection.tail_probe_out || connection.rtt.smoothed_us == 0) {
        return;
    }
    Duration wait = std::max<Duration>(2 * std::chrono::microseconds{connection.rtt.smoothed_us}, shortest);
    if (connection.in_flight() <= connection.mss && connection.recovery == Recovery::open) {
        wait += other_delayed_ack;
    }
    const TimePoint at = connection.core->now() + wait;
    if (at < connection.rto_at) { // Otherwise the timeout does the same.
        connection.loss_at = at;
    }
}

void send_tail_probe(Connection& connection) noexcept
{
    if (!connection.synchronized() || !eligible(connection)) {
        return;
    }
    const Sequence before = connection.snd_nxt;
    const bool in_recovery = connection.recovery == Recovery::fast;
    const RetransmissionCause before_probe = std::exchange(connection.cause, RetransmissionCause::tail_loss_probe);
    const bool sent = send_probe_segment(connection);
    connection.cause = before_probe;
    if (!sent) {
        return;
    }
    connection.core->count(Counter::tcp_loss_probes);
    connection.tail_probe_out = true;
    connection.tail_probe_again = connection.snd_nxt == before && !in_recovery;
    connection.tail_probe_end = connection.snd_nxt;
    restart_retransmission_timer(connection);
}

void note_tail_probe_answer(Connection& connection, const Segment& segment) noexcept
{
    if (!connection.tail_probe_out || segment.acknowledgment < connection.tail_probe_end) {
        return;
    }
    // The receiver had it already: only acknowledgments were lost (RFC 2883: a block below the acknowledgment).
    const bool had_it = segment.sack_count != 0 && segment.sacks[0].end <= segment.acknowledgment;
    if (connection.tail_probe_again && !had_it) {
        if (segment.acknowledgment == connection.tail_probe_end) {
            // The acknowledgment may be the original's; what comes next will tell.
            if (segment.acknowledgment == connection.snd_nxt) {
                connection.tail_probe_out = false;
            }
            return;
        }
        // The probe itself filled the hole: a loss that congestion control would otherwise never hear of.
        connection.core->count(Counter::tcp_loss_probe_recoveries);
        on_loss(connection.congestion, connection.in_flight(), connection.mss);
    }
    connection.tail_probe_out = false;
}

} // namespace sluice::tcp
