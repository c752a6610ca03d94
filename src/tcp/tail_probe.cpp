// The tail loss probe (RFC 8985 §7).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

/// What a receiver may wait with the acknowledgment of a single segment (RFC 8985 §7.2, TLP.max_ack_delay).
constexpr Duration other_delayed_ack = std::chrono::milliseconds{200};
/// A probe sooner than this finds acknowledgments still on their way through the peer's scheduler.
constexpr Duration shortest = std::chrono::milliseconds{2};

bool eligible(const Connection& connection) noexcept
{
    return connection.sack_allowed && connection.recovery == Recovery::open && !connection.probing &&
           connection.in_flight() != 0 && connection.backoff == 0 &&
           (connection.sacked == nullptr || connection.sacked->empty());
}

} // namespace

void schedule_tail_probe(Connection& connection) noexcept
{
    connection.tail_probe_at = never;
    if (!eligible(connection) || connection.tail_probe_out || connection.rtt.smoothed_us == 0) {
        return;
    }
    Duration wait = std::max<Duration>(2 * std::chrono::microseconds{connection.rtt.smoothed_us}, shortest);
    if (connection.in_flight() <= connection.mss) {
        wait += other_delayed_ack;
    }
    const TimePoint at = connection.core->now() + wait;
    if (at < connection.rto_at) { // Otherwise the timeout does the same.
        connection.tail_probe_at = at;
    }
}

void send_tail_probe(Connection& connection) noexcept
{
    connection.tail_probe_at = never;
    if (!connection.synchronized() || !eligible(connection)) {
        return;
    }
    const Sequence before = connection.snd_nxt;
    if (!send_probe_segment(connection)) {
        return;
    }
    connection.core->count(Counter::tcp_loss_probes);
    connection.tail_probe_out = true;
    connection.tail_probe_again = connection.snd_nxt == before;
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
        on_loss(connection.congestion, connection.in_flight(), connection.mss);
        connection.congestion.window = connection.congestion.threshold;
    }
    connection.tail_probe_out = false;
}

bool tail_probe_sacked(const Connection& connection) noexcept
{
    return connection.tail_probe_out && connection.sacked != nullptr && !connection.sacked->empty() &&
           (*connection.sacked)[connection.sacked->size() - 1].end >= connection.tail_probe_end;
}

} // namespace sluice::tcp
