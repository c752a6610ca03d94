// What a look at a connection shows, and the walk over all of them in slices that no turn notices.
#include "tcp/core.hpp"

#include <algorithm>

namespace sluice::tcp {
namespace {

std::optional<Duration> left(TimePoint deadline, TimePoint now) noexcept
{
    return deadline == never ? std::nullopt : std::optional{deadline - now};
}

Duration since(TimePoint event, const Connection& connection) noexcept
{
    return connection.core->now() - std::max(event, connection.opened_at);
}

ConnectionTimers timers_of(const Connection& connection) noexcept
{
    const TimePoint now = connection.core->now();
    ConnectionTimers timers;
    (connection.probing ? timers.window_probe : timers.retransmission) = left(connection.rto_at, now);
    (connection.reordering_timer ? timers.reordering : timers.tail_loss_probe) = left(connection.loss_at, now);
    timers.delayed_ack = left(connection.ack_at, now);
    timers.keepalive = left(connection.keepalive_at, now);
    timers.linger = left(connection.limit_at, now);
    return timers;
}

void describe_recovery(const Connection& connection, ConnectionDetail& detail) noexcept
{
    const TimePoint now = connection.core->now();
    detail.recovery = connection.recovery;
    if (connection.recovery != Recovery::open && connection.recover > connection.snd_una) {
        detail.recovery_left = static_cast<std::uint32_t>(connection.recover - connection.snd_una);
    }
    detail.in_pipe = bytes_in_pipe(connection);
    detail.sacked = connection.flight.sacked_bytes();
    detail.sacked_segments = static_cast<std::uint16_t>(connection.flight.sacked_segments());
    detail.lost = connection.flight.lost_bytes();
    detail.segments_in_flight = connection.flight.size();
    detail.duplicate_acks = connection.duplicate_acks;
    detail.prr_delivered = connection.prr.delivered;
    detail.prr_out = connection.prr.out;
    detail.prr_recover_flight = connection.recovery == Recovery::fast ? connection.prr.recover_flight : 0;
    detail.undo_possible = connection.undo.possible;
    detail.reordering_seen = connection.rack.reordering_seen;
    detail.reordering_window =
        std::chrono::microseconds{reordering_window(connection.rack, connection.recovery != Recovery::open,
                                                    connection.flight.sacked_segments(), connection.rtt.smoothed_us)};
    detail.tail_probe_out = connection.tail_probe_out;
    detail.last_retransmission = connection.last_retransmission;
    if (connection.last_retransmission != RetransmissionCause::none) {
        detail.since_retransmission = std::chrono::seconds{seconds(now) - connection.last_retransmission_at};
    }
}

void describe_congestion(const Connection& connection, ConnectionDetail& detail) noexcept
{
    const Congestion& congestion = connection.congestion;
    detail.congestion_control = congestion.algorithm;
    detail.slow_start = congestion.slow_start();
    detail.cubic_maximum = congestion.cubic.maximum;
    detail.cubic_k = std::chrono::duration_cast<Duration>(std::chrono::duration<double>{congestion.cubic.k});
    detail.cubic_estimate = congestion.cubic.estimate;
    if (congestion.cubic.epoch != TimePoint{}) {
        detail.cubic_epoch = connection.core->now() - congestion.cubic.epoch;
    }
}

ConnectionDetail detail_of(const Connection& connection) noexcept
{
    ConnectionDetail detail;
    detail.rtt_variation = std::chrono::microseconds{connection.rtt.variation_us};
    detail.minimum_rtt = std::chrono::microseconds{connection.rack.min_rtt};
    detail.backoff = connection.backoff;
    detail.attempts = connection.attempts;
    detail.keepalives_waiting = connection.keepalive_sent;
    detail.send_window_maximum = connection.snd_wnd_maximum;
    detail.send_scale = connection.snd_scale;
    detail.receive_scale = connection.rcv_scale;
    detail.receive_limit = connection.rcv_limit;
    detail.out_of_order_ranges =
        connection.out_of_order != nullptr ? static_cast<std::uint16_t>(connection.out_of_order->size()) : 0;
    detail.peer_segment_size = connection.peer_mss;
    detail.largest_segment_seen = connection.rcv_mss;
    detail.path_mtu = connection.path.mtu;
    detail.sack = connection.sack_allowed;
    detail.timestamps = connection.timestamps;
    detail.window_scaling = connection.scaling || connection.snd_scale != 0 || connection.rcv_scale != 0;
    detail.reader_waits = connection.reader != nullptr || connection.waiter != nullptr;
    detail.writer_waits = connection.writer != nullptr;
    detail.fin_sent = connection.fin_sent();
    detail.fin_received = connection.fin_received;
    describe_recovery(connection, detail);
    describe_congestion(connection, detail);
    detail.timers = timers_of(connection);
    detail.since_received = since(connection.heard_at, connection);
    detail.since_sent = since(connection.sent_at, connection);
    detail.since_progress = since(connection.progress_at, connection);
    return detail;
}

ConnectionEnds ends_of(const TableEntry& entry) noexcept
{
    ConnectionEnds ends{entry.local_endpoint(), entry.remote_endpoint(), State::closed, false};
    switch (entry.kind) {
    case EntryKind::half_open:
        ends.state = State::syn_received;
        break;
    case EntryKind::time_wait:
        ends.state = State::time_wait;
        break;
    case EntryKind::connection:
        ends.state = static_cast<const Connection&>(entry).state;
        ends.active_open = static_cast<const Connection&>(entry).active_open;
        break;
    }
    return ends;
}

ConnectionInfo describe(const TableEntry& entry, const ConnectionEnds& ends, bool with_detail) noexcept
{
    ConnectionInfo info;
    static_cast<ConnectionEnds&>(info) = ends;
    if (entry.kind != EntryKind::connection) {
        return info;
    }
    const auto& connection = static_cast<const Connection&>(entry);
    info.smoothed_rtt = std::chrono::microseconds{connection.rtt.smoothed_us};
    info.retransmission_timeout = current_timeout(connection);
    info.age = connection.core->now() - connection.opened_at;
    info.congestion_window = connection.congestion.window;
    info.slow_start_threshold = connection.congestion.threshold;
    info.in_flight = connection.in_flight();
    info.send_queue = connection.unacknowledged;
    info.receive_queue = connection.unread;
    info.send_window = connection.snd_wnd;
    info.receive_window = connection.receive_window();
    info.out_of_order = connection.out_of_order != nullptr ? connection.out_of_order->bytes() : 0;
    info.segment_size = connection.mss;
    info.retransmissions = connection.retransmissions;
    info.bytes_sent = connection.bytes_sent;
    info.bytes_received = connection.bytes_received;
    if (with_detail) {
        info.detail = detail_of(connection);
    }
    return info;
}

} // namespace

std::string_view to_string(State state) noexcept
{
    constexpr std::array<std::string_view, state_count> names{"CLOSED",     "SYN_SENT",   "SYN_RECEIVED", "ESTABLISHED",
                                                              "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT",   "CLOSING",
                                                              "LAST_ACK",   "TIME_WAIT"};
    return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(Recovery recovery) noexcept
{
    constexpr std::array<std::string_view, 3> names{"open", "fast", "timeout"};
    return names[static_cast<std::size_t>(recovery)];
}

std::string_view to_string(RetransmissionCause cause) noexcept
{
    constexpr std::array<std::string_view, 6> names{"none",    "handshake",       "acknowledgments",
                                                    "timeout", "tail_loss_probe", "path_mtu"};
    return names[static_cast<std::size_t>(cause)];
}

std::size_t Stack::visit(std::size_t cursor, const Slice& slice,
                         const std::function<void(const ConnectionInfo&)>& visitor) const
{
    const ConnectionTable& table = core_->table;
    const std::size_t end = table.slots() - cursor < slice.slots ? table.slots() : cursor + slice.slots;
    for (std::size_t left_to_see = slice.limit; cursor < end && left_to_see != 0; ++cursor) {
        const TableEntry* entry = table.at(cursor);
        if (entry == nullptr) {
            continue;
        }
        --left_to_see;
        const ConnectionEnds ends = ends_of(*entry);
        if (!slice.wanted || slice.wanted(ends)) {
            visitor(describe(*entry, ends, slice.detail));
        }
    }
    return cursor < table.slots() ? cursor : 0;
}

} // namespace sluice::tcp
