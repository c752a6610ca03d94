// Loss recovery by acknowledgments: RACK with proportional rate reduction where the peer sends SACK (RFC 8985,
// RFC 9937), NewReno without it (RFC 6582), and the undoing of a reduction that had no loss (RFC 3522, RFC 3708).
#include "tcp/core.hpp"

#include <algorithm>

namespace sluice::tcp {
namespace {

CongestionContext context_of(const Connection& connection) noexcept
{
    return {connection.mss, std::chrono::microseconds{connection.rtt.smoothed_us}, connection.core->now()};
}

std::uint32_t window_of_reordering(const Connection& connection) noexcept
{
    return reordering_window(connection.rack, connection.recovery != Recovery::open,
                             connection.flight.sacked_segments(), connection.rtt.smoothed_us);
}

/// `delivered` by the acknowledgment that began it, with `in_flight` before that.
void enter_fast_recovery(Connection& connection, std::uint32_t delivered, std::uint32_t in_flight) noexcept
{
    Core& core = *connection.core;
    core.count(connection.sack_allowed ? Counter::tcp_sack_recovery : Counter::tcp_reno_recovery);
    connection.undo = {before_reduction(connection.congestion), {}, 0, 0, true};
    const std::uint32_t pipe = connection.in_flight() - connection.flight.sacked_bytes();
    connection.prr = {0, 0, std::max(pipe + delivered, 1U)};
    on_loss(connection.congestion, in_flight, connection.mss);
    connection.recovery = Recovery::fast;
    connection.cause = RetransmissionCause::acknowledgments;
    connection.recover = connection.snd_nxt;
    connection.tail_probe_out = false;
    connection.retransmit_now = true;
    if (!connection.reordering_timer) {
        connection.loss_at = never;
    }
    if (!connection.sack_allowed) {
        connection.congestion.window += Rack::duplicate_threshold * std::uint32_t{connection.mss};
    }
    restart_retransmission_timer(connection);
}

void leave_recovery(Connection& connection) noexcept
{
    if (connection.recovery == Recovery::fast) {
        // RFC 6582 §3.2 step 3: not more than what is in flight plus one segment, so that leaving makes no burst.
        const std::uint32_t most = std::max(connection.in_flight(), std::uint32_t{connection.mss}) + connection.mss;
        const std::uint32_t threshold = connection.congestion.threshold;
        connection.congestion.window = connection.sack_allowed ? threshold : std::min(threshold, most);
    }
    connection.recovery = Recovery::open;
    connection.duplicate_acks = 0;
    connection.retransmit_now = false;
    on_recovery_ended(connection.rack);
}

/// There was no loss. What is marked as such is only late; RACK will say so again if it is not.
void undo_recovery(Connection& connection) noexcept
{
    undo_reduction(connection.congestion, connection.undo.before);
    connection.undo.possible = false;
    connection.flight.unmark_lost();
    connection.recovery = Recovery::open;
    connection.duplicate_acks = 0;
    connection.retransmit_now = false;
}

/// RFC 2883 §4: the first block lies below the acknowledgment, or in the second block.
bool reports_duplicate(const Segment& segment) noexcept
{
    if (segment.sack_count == 0) {
        return false;
    }
    const SequenceRange& first = segment.sacks[0];
    if (first.begin >= first.end) {
        return false;
    }
    return first.end <= segment.acknowledgment ||
           (segment.sack_count > 1 && first.begin >= segment.sacks[1].begin && first.end <= segment.sacks[1].end);
}

void duplicate_reported(Connection& connection, const Segment& segment) noexcept
{
    const SequenceRange& block = segment.sacks[0];
    connection.core->count(Counter::tcp_dsack_received);
    // A network that duplicates is not one that reorders: only what was sent again says that it was not lost.
    Undo& undo = connection.undo;
    if (block.begin < undo.again.begin || block.end > undo.again.end) {
        return;
    }
    on_duplicate_reported(connection.rack, later(connection.snd_una, segment.acknowledgment), connection.snd_nxt);
    if (undo.possible && undo.retransmissions != 0 && --undo.retransmissions == 0) {
        connection.core->count(Counter::tcp_dsack_undo);
        undo_recovery(connection);
    }
}

/// Fast recovery without SACK: the window that was inflated by duplicates shrinks by what they announced, and the next
/// hole is right behind the acknowledgment (RFC 6582 §3.2 step 3).
void on_partial_acknowledgment(Connection& connection, std::uint32_t acknowledged) noexcept
{
    Congestion& congestion = connection.congestion;
    congestion.window -= std::min(acknowledged, congestion.window - connection.mss);
    if (acknowledged >= connection.mss) {
        congestion.window += connection.mss;
    }
    if (!connection.flight.empty()) {
        connection.flight.mark_lost(connection.flight.first());
    }
    connection.retransmit_now = true;
}

/// Marks what RACK takes for lost, and arms the reordering timer for what may still come. Returns the bytes.
std::uint32_t find_losses(Connection& connection) noexcept
{
    Core& core = *connection.core;
    const LossDetection found =
        detect_losses(connection.rack, connection.flight, window_of_reordering(connection), microseconds(core.now()));
    core.count(Counter::tcp_lost_retransmits, found.lost_retransmissions);
    connection.reordering_timer = found.wait != 0;
    if (connection.reordering_timer) {
        connection.loss_at = core.now() + std::chrono::microseconds{found.wait};
        schedule(connection);
    }
    return found.lost_bytes;
}

void grow(Connection& connection, const Delivery& delivery) noexcept
{
    std::uint32_t bytes = delivery.acknowledged;
    if (connection.recovery == Recovery::timeout) {
        // One acknowledgment may cover what left the network long ago (RFC 3465 §2.3): with SACK that is known exactly.
        bytes = connection.sack_allowed ? delivery.bytes : std::min<std::uint32_t>(bytes, connection.mss);
    }
    // Acknowledgments come in bursts, between which nothing was sent: each counts as the window stood when what it
    // acknowledges was sent.
    std::uint32_t in_flight = delivery.in_flight;
    if (connection.snd_una <= connection.window_full) {
        in_flight = std::max(in_flight, connection.congestion.window);
    } else {
        connection.window_full = connection.snd_una - 1; // Keeps up, or it would be ahead again after half the numbers.
    }
    if (bytes != 0) {
        on_acknowledged(connection.congestion, bytes, in_flight, context_of(connection));
    }
}

} // namespace

Microseconds microseconds(TimePoint time) noexcept
{
    return static_cast<Microseconds>(
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

std::uint32_t seconds(TimePoint time) noexcept
{
    return static_cast<std::uint32_t>(time.time_since_epoch() / std::chrono::seconds{1});
}

void note_handshake(Connection& connection, Duration round_trip) noexcept
{
    connection.rtt.sample(round_trip);
    note_round_trip(connection.rack, connection.rtt.smoothed_us, seconds(connection.core->now()));
}

std::uint32_t bytes_in_pipe(const Connection& connection) noexcept
{
    if (connection.recovery == Recovery::fast && !connection.sack_allowed) {
        return connection.in_flight(); // The window is inflated instead (RFC 6582 §3.2).
    }
    return connection.in_flight() - connection.flight.sacked_bytes() - connection.flight.lost_bytes();
}

Delivery take_delivery(Connection& connection, const Segment& segment) noexcept
{
    Core& core = *connection.core;
    const Microseconds now = microseconds(core.now());
    Delivery delivery;
    delivery.in_flight = connection.in_flight();
    const bool timestamp = connection.timestamps && segment.has_timestamps && segment.timestamp_echo != 0;
    delivery.original = timestamp && connection.undo.again.size() != 0 &&
                        static_cast<std::int32_t>(segment.timestamp_echo - connection.undo.timestamp) < 0;
    bool ambiguous = false;
    const auto delivered = [&](const SentSegment& record) {
        if (record.is(SentSegment::retransmitted)) {
            ambiguous = true;
        } else if (!ambiguous) {
            const std::uint32_t rtt = std::max<std::uint32_t>(now - record.sent_at, 1);
            note_round_trip(connection.rack, rtt, seconds(core.now()));
            delivery.rtt_us = delivery.rtt_us != 0 ? delivery.rtt_us : rtt;
        }
        if (on_delivered(connection.rack, record, now, delivery.original)) {
            core.count(Counter::tcp_sack_reordering);
        }
    };
    if (segment.acknowledgment > connection.snd_una) {
        delivery.acknowledged = static_cast<std::uint32_t>(segment.acknowledgment - connection.snd_una);
        delivery.bytes = connection.flight.acknowledge(segment.acknowledgment, delivered);
        // What a retransmission has uncovered arrived earlier, nobody knows when (Karn).
        delivery.rtt_us = ambiguous ? 0 : delivery.rtt_us;
        ambiguous = false;
    }
    if (!connection.sack_allowed || segment.sack_count == 0) {
        return delivery;
    }
    const bool duplicate = reports_duplicate(segment);
    // In the order of sequence numbers, so that what fills a hole late is told from what came in the same order.
    std::array<SequenceRange, 4> blocks = segment.sacks;
    std::sort(blocks.begin(), blocks.begin() + segment.sack_count,
              [](const SequenceRange& one, const SequenceRange& other) { return one.begin < other.begin; });
    for (std::uint8_t index = 0; index < segment.sack_count; ++index) {
        const SequenceRange& block = blocks[index];
        if (block.begin >= block.end || block.begin <= segment.acknowledgment || block.end > connection.snd_nxt) {
            continue;
        }
        const std::uint32_t bytes = connection.flight.sack(block, delivered);
        delivery.bytes += bytes;
        delivery.sacked = delivery.sacked || bytes != 0;
    }
    if (duplicate) {
        duplicate_reported(connection, segment);
    }
    return delivery;
}

void on_delivery(Connection& connection, const Delivery& delivery) noexcept
{
    const bool advanced = delivery.acknowledged != 0;
    if (advanced && delivery.original && connection.undo.possible && connection.recovery != Recovery::open) {
        // The original arrived, only late: the path reorders, or its delay has jumped.
        connection.core->count(Counter::tcp_full_undo);
        if (connection.recovery == Recovery::timeout) {
            connection.core->count(Counter::tcp_loss_undo);
        }
        connection.rack.reordering_seen = true;
        undo_recovery(connection);
    }
    const std::uint32_t lost = connection.sack_allowed ? find_losses(connection) : 0;
    if (connection.recovery != Recovery::open && connection.snd_una >= connection.recover) {
        leave_recovery(connection);
    }
    switch (connection.recovery) {
    case Recovery::open:
        connection.duplicate_acks = advanced ? std::uint8_t{0} : connection.duplicate_acks;
        if (connection.sack_allowed && connection.flight.lost_bytes() != 0) {
            enter_fast_recovery(connection, delivery.bytes, delivery.in_flight);
            break;
        }
        grow(connection, delivery);
        return;
    case Recovery::timeout:
        grow(connection, delivery);
        return;
    case Recovery::fast:
        break;
    }
    if (connection.sack_allowed) {
        connection.congestion.window =
            on_delivery(connection.prr, delivery.bytes, bytes_in_pipe(connection), connection.congestion.threshold,
                        connection.mss, advanced && lost == 0);
    } else if (advanced) {
        on_partial_acknowledgment(connection, delivery.acknowledged);
    }
}

void on_duplicate_acknowledgment(Connection& connection) noexcept
{
    connection.duplicate_acks = static_cast<std::uint8_t>(std::min(connection.duplicate_acks + 1, 255));
    if (connection.recovery == Recovery::fast) {
        connection.congestion.window =
            std::min(connection.congestion.window + connection.mss, congestion_window_maximum);
    } else if (connection.recovery == Recovery::open && connection.duplicate_acks >= Rack::duplicate_threshold &&
               connection.snd_una > connection.recover) {
        // RFC 6582 §3.2 step 2: duplicates at the end of the last recovery are echoes of its own retransmissions.
        connection.flight.mark_lost(connection.flight.first());
        enter_fast_recovery(connection, 0, connection.in_flight());
    }
    mark_dirty(connection);
}

void on_reordering_timeout(Connection& connection) noexcept
{
    connection.core->count(Counter::tcp_reordering_timeouts);
    connection.reordering_timer = false;
    if (!connection.synchronized() || find_losses(connection) == 0) {
        return;
    }
    if (connection.recovery == Recovery::open) {
        enter_fast_recovery(connection, 0, connection.in_flight());
    }
    if (connection.recovery == Recovery::fast) {
        connection.congestion.window = on_delivery(connection.prr, 0, bytes_in_pipe(connection),
                                                   connection.congestion.threshold, connection.mss, false);
    }
    mark_dirty(connection);
}

void count_retransmission(Connection& connection, RetransmissionCause cause) noexcept
{
    ++connection.retransmissions;
    connection.last_retransmission = cause;
    connection.last_retransmission_at = seconds(connection.core->now());
    connection.core->count(Counter::tcp_segments_retransmitted);
    if (cause == RetransmissionCause::handshake) {
        connection.core->count(Counter::tcp_syn_retransmits);
    }
}

void note_retransmission(Connection& connection, Flight::Position position) noexcept
{
    Core& core = *connection.core;
    const SentSegment& record = connection.flight[position];
    if (connection.recovery != Recovery::open) {
        Undo& undo = connection.undo;
        if (undo.again.size() == 0) {
            undo.again = {record.begin, record.end()};
            undo.timestamp = core.timestamp_clock() + connection.timestamp_offset;
        } else {
            undo.again = {earlier(undo.again.begin, record.begin), later(undo.again.end, record.end())};
        }
        ++undo.retransmissions;
        core.count(connection.recovery == Recovery::fast ? Counter::tcp_fast_retransmits
                                                         : Counter::tcp_slow_start_retransmits);
    }
    count_retransmission(connection, connection.cause);
    connection.flight.resent(position, microseconds(core.now()));
}

} // namespace sluice::tcp
