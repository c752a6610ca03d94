// The ACK field: what the peer has, what it offers, what that sets free (RFC 9293 §3.10.7.4, fifth check; RFC 5681 §2).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

/// One sample in a round trip, of a segment that was sent once (RFC 6298 §3, §4).
void measure(Connection& connection, const Segment& segment, const Delivery& delivery) noexcept
{
    Core& core = *connection.core;
    if (delivery.rtt_us != 0 && connection.rack.fack >= connection.timed_end) {
        connection.timed_end = connection.snd_nxt;
        connection.rtt.sample(std::chrono::microseconds{delivery.rtt_us});
        return;
    }
    // After a timeout only timestamps can tell which transmission is being acknowledged (RFC 7323 §4); one sample,
    // since the back-off ends here. When the acknowledgment of the original was lost, its repetition echoes the
    // original's time: such a sample may be as long as all the back-off was, so it counts as no more than two timeouts.
    if (connection.backoff != 0 && connection.timestamps && segment.has_timestamps && segment.timestamp_echo != 0) {
        const std::uint32_t elapsed = core.timestamp_clock() + connection.timestamp_offset - segment.timestamp_echo;
        const StackOptions& options = core.options;
        const Duration most = 2 * connection.rtt.timeout(options.rto_initial, options.rto_minimum, options.rto_maximum);
        if (elapsed < 0x7fffffffU) {
            connection.rtt.sample(std::min<Duration>(std::chrono::milliseconds{std::max(elapsed, 1U)}, most));
        }
    }
}

/// The state after everything sent, our FIN included, is acknowledged. False when the connection is gone.
bool fin_acknowledged(Connection& connection) noexcept
{
    switch (connection.state) {
    case State::fin_wait_1:
        connection.state = State::fin_wait_2;
        return true;
    case State::closing:
        enter_time_wait(connection);
        return false;
    case State::last_ack:
        terminate(connection, Failure::none);
        return false;
    default:
        return true;
    }
}

/// Returns false when the connection is gone.
bool advance(Connection& connection, const Segment& segment, const Delivery& delivery) noexcept
{
    Core& core = *connection.core;
    const std::uint32_t bytes = std::min(delivery.acknowledged, connection.unacknowledged);
    const bool fin = connection.fin_sent() && segment.acknowledgment > connection.data_end();
    if (bytes != 0) {
        connection.send.consume(bytes);
        connection.unacknowledged -= bytes;
        if (connection.unacknowledged == 0) {
            connection.send.release(core.buffers);
        }
    }
    connection.snd_una = segment.acknowledgment;
    connection.backoff = 0;
    connection.attempts = 0;
    connection.progress_at = core.now();
    on_delivery(connection, delivery);
    if (connection.in_flight() == 0) {
        connection.rto_at = never;
        connection.loss_at = never;
        connection.reordering_timer = false;
        connection.tail_probe_out = false;
        connection.rack.valid = false;
        connection.flight.release(core.buffers);
    } else {
        restart_retransmission_timer(connection);
        schedule_tail_probe(connection);
    }
    if (fin && !fin_acknowledged(connection)) {
        return false;
    }
    wake_writer(connection);
    mark_dirty(connection);
    return true;
}

/// Returns whether the offered window changed. Besides RFC 9293's order of sequence numbers, an acknowledgment that
/// advances always brings its window: on a retransmitted segment (an old sequence number) the old window would
/// otherwise be counted from the new SND.UNA and reach beyond what was offered. Among equals the larger one is the
/// later: edges do not retreat.
bool update_window(Connection& connection, const Segment& segment, bool advances) noexcept
{
    const std::uint32_t window = std::uint32_t{segment.window} << connection.snd_scale;
    const bool newer = advances || connection.snd_wl1 < segment.sequence ||
                       (connection.snd_wl1 == segment.sequence && window > connection.snd_wnd);
    if (segment.acknowledgment < connection.snd_una || !newer) {
        return false;
    }
    const bool changed = window != connection.snd_wnd;
    connection.snd_wnd = window;
    connection.snd_wnd_maximum = std::max(connection.snd_wnd_maximum, window);
    connection.snd_wl1 = segment.sequence;
    if (changed) {
        mark_dirty(connection);
    }
    return changed;
}

} // namespace

bool process_acknowledgment(Connection& connection, const Segment& segment) noexcept
{
    // RFC 5961 §5: not ahead of what was sent, nor further behind than any window the peer ever offered.
    if (segment.acknowledgment > connection.snd_nxt ||
        segment.acknowledgment < connection.snd_una - connection.snd_wnd_maximum) {
        connection.core->counters.drop(DropReason::tcp_unacceptable);
        challenge(connection);
        return false;
    }
    const Delivery delivery = take_delivery(connection, segment);
    note_tail_probe_answer(connection, segment);
    const bool advances = delivery.acknowledged != 0;
    if (advances || delivery.sacked) {
        measure(connection, segment, delivery);
    }
    if (advances && !advance(connection, segment, delivery)) {
        return false;
    }
    const bool window_changed = update_window(connection, segment, advances);
    if (advances || segment.acknowledgment != connection.snd_una || connection.in_flight() == 0) {
        return true;
    }
    if (delivery.sacked) {
        on_delivery(connection, delivery);
        schedule_tail_probe(connection);
        mark_dirty(connection);
    } else if (!connection.sack_allowed && segment.length() == 0 && !window_changed) { // RFC 5681 §2
        on_duplicate_acknowledgment(connection);
    }
    return true;
}

} // namespace sluice::tcp
