// The ACK field: what the peer has, what it offers, what that sets free (RFC 9293 §3.10.7.4, fifth check; RFC 5681 §2).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

void measure(Connection& connection, const Segment& segment) noexcept
{
    Core& core = *connection.core;
    if (connection.timing && segment.acknowledgment >= connection.timed_end) {
        connection.timing = false;
        connection.rtt.sample(core.now() - connection.timed_at);
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
bool advance(Connection& connection, const Segment& segment) noexcept
{
    Core& core = *connection.core;
    const std::uint32_t in_flight = connection.in_flight();
    const auto acknowledged = static_cast<std::uint32_t>(segment.acknowledgment - connection.snd_una);
    const std::uint32_t bytes = std::min(acknowledged, connection.unacknowledged);
    const bool fin = connection.fin_sent() && segment.acknowledgment > connection.data_end();
    measure(connection, segment);
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
    on_new_acknowledgment(connection, acknowledged, in_flight);
    if (connection.in_flight() == 0) {
        connection.rto_at = never;
        connection.tail_probe_at = never;
        connection.tail_probe_out = false;
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
    const bool sack_news = connection.sack_allowed && segment.sack_count != 0 && note_sacked(connection, segment);
    note_tail_probe_answer(connection, segment);
    const bool advances = segment.acknowledgment > connection.snd_una;
    if (advances && !advance(connection, segment)) {
        return false;
    }
    const bool window_changed = update_window(connection, segment, advances);
    if (advances && connection.recovery == Recovery::open && tail_probe_sacked(connection)) {
        on_duplicate_acknowledgment(connection);
    }
    if (advances || segment.acknowledgment != connection.snd_una || connection.in_flight() == 0) {
        return true;
    }
    const bool repeats = segment.length() == 0 && !window_changed; // RFC 5681 §2
    if (connection.sack_allowed ? sack_news : repeats) {           // RFC 6675 §2
        on_duplicate_acknowledgment(connection);
    }
    return true;
}

} // namespace sluice::tcp
