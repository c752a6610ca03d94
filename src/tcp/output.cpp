// Sending: what may leave now, the windows, acknowledgments (RFC 9293 §3.8.6, RFC 5681 §3, RFC 8985 §6).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

constexpr std::size_t most_options = 40;

/// At most `room` bytes of them, timestamps in any case.
OptionWriter usual_options(Connection& connection, std::size_t room) noexcept
{
    OptionWriter options;
    if (connection.timestamps) {
        options.timestamps(connection.core->timestamp_clock() + connection.timestamp_offset, connection.ts_recent);
    }
    constexpr std::size_t sack_header = 4;
    constexpr std::size_t block_size = 8;
    if (!connection.sack_allowed || room < options.size() + sack_header + block_size) {
        return options;
    }
    const std::size_t blocks_maximum = (room - options.size() - sack_header) / block_size;
    // RFC 2883 §4: a D-SACK block comes first, then the ranges that changed last.
    std::array<SequenceRange, 4> blocks{};
    std::size_t count = 0;
    if (connection.duplicate.begin != connection.duplicate.end) {
        blocks[count++] = connection.duplicate;
    }
    if (connection.out_of_order != nullptr) {
        count += connection.out_of_order->recent(std::span{blocks}.subspan(count));
    }
    if (connection.fin_known && !connection.fin_received) {
        // A FIN that waits behind a gap belongs to the segment that brought it, which is lost to its sender otherwise.
        for (SequenceRange& block : blocks) {
            block.end += block.end == connection.rcv_fin && block.size() != 0 ? 1U : 0U;
        }
    }
    options.sack({blocks.data(), std::min(count, blocks_maximum)});
    return options;
}

void acknowledgment_left(Connection& connection) noexcept
{
    if (connection.duplicate.size() != 0) {
        connection.core->count(Counter::tcp_dsack_sent);
    }
    connection.acknowledged = connection.rcv_nxt;
    connection.ack_now = false;
    connection.ack_at = never;
    connection.duplicate = {};
}

/// Sends one segment from `from`, with as much of `size` bytes as fits, and FIN when it follows and `with_fin`. What is
/// sent again keeps its size, so SACK blocks give way to it. Returns the sequence numbers used, 0 when no packet buffer
/// was left.
std::uint32_t send_data(Connection& connection, Sequence from, std::uint32_t size, bool with_fin) noexcept
{
    Core& core = *connection.core;
    const std::uint32_t room =
        std::min<std::uint32_t>(connection.peer_mss, announced_mss(connection.local, connection.path));
    const bool again = from < connection.snd_nxt;
    const OptionWriter options = usual_options(connection, again ? room - std::min(size, room) : most_options);
    size = std::min<std::uint32_t>(size, room - static_cast<std::uint32_t>(options.size()));
    const auto offset = static_cast<std::uint32_t>(from - connection.snd_una);
    const bool last = from + size == connection.data_end();
    const bool fin = with_fin && last;

    std::uint8_t flags = wire::tcp_flag::ack;
    flags |= fin ? wire::tcp_flag::fin : std::uint8_t{0};
    flags |= last && size != 0 ? wire::tcp_flag::psh : std::uint8_t{0};
    const Outgoing segment{connection, connection.path, from, connection.rcv_nxt, flags, advertise_window(connection)};
    const auto payload = size != 0 ? connection.send.view(offset, size) : std::array<Bytes, 2>{};
    if (!transmit(core, segment, options, payload)) {
        return 0;
    }
    // An acknowledgment without room for its D-SACK block is still owed.
    const bool reported = options.size() > (connection.timestamps ? timestamps_option_size : 0);
    if (connection.duplicate.size() == 0 || reported) {
        acknowledgment_left(connection);
    }
    connection.sent_at = core.now();
    connection.bytes_sent += size;
    return size + (fin ? 1U : 0U);
}

struct NewData {
    std::uint32_t size = 0;
    bool fin = false;
    bool any = false;
};

/// New data that the peer's window and silly window avoidance allow (RFC 9293 §3.8.6.2.1; there is no Nagle delay).
NewData new_data(const Connection& connection) noexcept
{
    NewData result;
    if (connection.state == State::fin_wait_2 || !connection.synchronized() || connection.fin_sent()) {
        return result;
    }
    const auto waiting = static_cast<std::uint32_t>(connection.data_end() - connection.snd_nxt);
    const std::int32_t usable = (connection.snd_una + connection.snd_wnd) - connection.snd_nxt;
    if (usable <= 0) {
        return result;
    }
    const auto window = static_cast<std::uint32_t>(usable);
    result.size = std::min({waiting, window, std::uint32_t{connection.mss}});
    result.fin = connection.fin_queued && result.size == waiting && window > waiting;
    const bool whole = result.size == waiting || result.size == connection.mss;
    const bool worthwhile = whole || result.size >= connection.snd_wnd_maximum / 2 || connection.probe_now;
    result.any = worthwhile && (result.size != 0 || result.fin);
    return result;
}

/// Sends a segment again; in pieces, when it has become too large for its path.
bool send_again(Connection& connection, Flight::Position position) noexcept
{
    const SentSegment record = connection.flight[position];
    const bool with_fin = connection.fin_sent() && record.end() > connection.data_end();
    std::uint32_t left = record.length - (with_fin ? 1U : 0U);
    Sequence from = record.begin;
    while (from < record.end()) {
        const std::uint32_t used = send_data(connection, from, left, with_fin);
        if (used == 0) {
            return false;
        }
        from += used;
        left -= std::min(left, used);
    }
    note_retransmission(connection, position);
    connection.retransmit_now = false;
    connection.sent_any = true;
    connection.prr.out += record.length;
    if (record.begin == connection.snd_una) {
        restart_retransmission_timer(connection); // What it watches over has just left.
    }
    return true;
}

bool send_new_data(Connection& connection, const NewData& data) noexcept
{
    Core& core = *connection.core;
    const Sequence from = connection.snd_nxt;
    const bool was_idle = connection.in_flight() == 0;
    const std::uint32_t used = send_data(connection, from, data.size, data.fin);
    if (used == 0) {
        return false;
    }
    connection.snd_nxt = from + used;
    connection.flight.push(from, static_cast<std::uint16_t>(used), microseconds(core.now()));
    connection.prr.out += used;
    connection.probe_now = false;
    connection.sent_any = true;
    if (was_idle) {
        connection.progress_at = core.now();
    }
    return true;
}

/// Everything that the congestion window and the peer's window allow. False when packet buffers ran out.
bool send_allowed(Connection& connection) noexcept
{
    Core& core = *connection.core;
    if (connection.in_flight() == 0 && connection.recovery == Recovery::open && connection.sent_at != TimePoint{} &&
        core.now() - connection.sent_at > current_timeout(connection)) {
        on_idle(connection.congestion, connection.mss);
    }
    std::uint32_t pipe = bytes_in_pipe(connection);
    // RFC 3042: the first two duplicate acknowledgments each let one new segment out. With SACK the pipe shows it
    // already.
    const std::uint32_t limited_transmit = connection.recovery == Recovery::open && !connection.sack_allowed
                                               ? std::min<std::uint32_t>(connection.duplicate_acks, 2) * connection.mss
                                               : 0U;
    const std::uint32_t window = connection.congestion.window + limited_transmit;
    for (;;) {
        if (connection.flight.lost_bytes() != 0) {
            const Flight::Position position = connection.flight.first_lost();
            const SentSegment& lost = connection.flight[position];
            const std::uint32_t size = lost.length;
            const bool within_peer_window =
                lost.begin == connection.snd_una || lost.end() <= connection.snd_una + connection.snd_wnd;
            if (!within_peer_window || (pipe + size > window && pipe != 0 && !connection.retransmit_now)) {
                return true;
            }
            if (!send_again(connection, position)) {
                return false;
            }
            pipe += size;
            continue;
        }
        const NewData data = new_data(connection);
        if (data.any && pipe + data.size > window && pipe != 0) {
            connection.window_full = connection.snd_nxt;
            return true;
        }
        if (!data.any || !connection.flight.reserve(core.buffers)) {
            return true;
        }
        const Sequence before = connection.snd_nxt;
        if (!send_new_data(connection, data)) {
            return false;
        }
        pipe += static_cast<std::uint32_t>(connection.snd_nxt - before);
    }
}

/// After sending: which timer watches over what is left.
void watch(Connection& connection) noexcept
{
    if (connection.in_flight() != 0) {
        if (connection.probing) {
            connection.probing = false;
            connection.backoff = 0;
            connection.rto_at = never;
        }
        if (connection.rto_at == never) {
            restart_retransmission_timer(connection);
        }
        if (connection.sent_any) {
            connection.sent_any = false;
            schedule_tail_probe(connection);
        }
        return;
    }
    const bool waiting =
        connection.unacknowledged != 0 || (connection.fin_queued && connection.state != State::fin_wait_2);
    if (waiting) {
        start_persist_timer(connection);
    } else {
        connection.probing = false;
        connection.rto_at = never;
    }
}

} // namespace

bool send_probe_segment(Connection& connection) noexcept
{
    if (connection.recovery == Recovery::fast) {
        return send_again(connection, connection.flight.oldest());
    }
    if (const NewData data = new_data(connection); data.any && connection.flight.reserve(connection.core->buffers)) {
        return send_new_data(connection, data);
    }
    return send_again(connection, connection.flight.last());
}

void mark_dirty(Connection& connection) noexcept
{
    if (connection.dirty || connection.dead) {
        return;
    }
    Core& core = *connection.core;
    connection.dirty = true;
    connection.next_dirty = nullptr;
    (core.dirty_last != nullptr ? core.dirty_last->next_dirty : core.dirty_first) = &connection;
    core.dirty_last = &connection;
}

bool output(Connection& connection) noexcept
{
    if (!connection.synchronized()) {
        return true;
    }
    bool complete = send_allowed(connection);
    if (connection.ack_now) {
        complete = send_ack(connection) && complete;
    }
    watch(connection);
    schedule(connection);
    return complete;
}

std::uint32_t free_receive_space(const Connection& connection) noexcept
{
    const auto limit =
        static_cast<std::uint32_t>(std::min<std::size_t>(connection.rcv_limit, connection.core->buffers.share()));
    const std::uint32_t used = connection.unread + connection.taken_bytes();
    return limit > used ? limit - used : 0;
}

std::uint32_t window_update_threshold(const Connection& connection) noexcept
{
    return std::min(2 * std::uint32_t{std::max<std::uint16_t>(connection.rcv_mss, 512)}, connection.rcv_limit / 2);
}

std::uint16_t advertise_window(Connection& connection) noexcept
{
    // The edge moves right in worthwhile steps only (RFC 9293 §3.8.6.2.2) and never left. What is left of an old
    // promise is rounded up to the window scale, or the rounding would take back up to a unit of it (RFC 7323 §2.4).
    const std::uint32_t unit = 1U << connection.rcv_scale;
    const bool was_closed = connection.rcv_edge == connection.acknowledged;
    const Sequence wanted = connection.rcv_nxt + (free_receive_space(connection) & ~(unit - 1));
    if (wanted - connection.rcv_edge >= static_cast<std::int32_t>(window_update_threshold(connection))) {
        connection.rcv_edge = wanted;
    }
    std::uint32_t window = connection.receive_window();
    window = std::min((window + unit - 1) >> connection.rcv_scale, 65535U);
    const Sequence edge = connection.rcv_nxt + (window << connection.rcv_scale);
    const std::uint32_t promised = static_cast<std::uint32_t>(edge - connection.read_edge());
    if (edge > connection.rcv_edge) {
        if (promised <= connection.options->receive_limit + connection.options->receive_limit / 4) {
            connection.rcv_edge = edge;
        } else {
            --window; // A peer that dribbles single bytes may not creep past the limit by rounding.
        }
    }
    if (was_closed != (window == 0) && connection.synchronized() && !connection.fin_received) {
        connection.core->count(was_closed ? Counter::tcp_zero_windows_reopened : Counter::tcp_zero_windows);
    }
    return static_cast<std::uint16_t>(window);
}

bool send_control(Connection& connection, std::uint8_t flags, Sequence sequence) noexcept
{
    const bool acknowledges = (flags & wire::tcp_flag::rst) == 0;
    const std::uint16_t window = acknowledges ? advertise_window(connection) : std::uint16_t{0};
    const OptionWriter options = acknowledges ? usual_options(connection, most_options) : OptionWriter{};
    const Outgoing segment{connection, connection.path, sequence, connection.rcv_nxt, flags, window};
    if (!transmit(*connection.core, segment, options, {})) {
        return false;
    }
    if (acknowledges) {
        acknowledgment_left(connection);
    }
    return true;
}

bool send_ack(Connection& connection) noexcept
{
    return send_control(connection, wire::tcp_flag::ack, connection.snd_nxt);
}

bool send_syn(Connection& connection) noexcept
{
    Core& core = *connection.core;
    const bool answer = connection.state == State::syn_received;
    OptionWriter options;
    options.mss(announced_mss(connection.local, connection.path));
    if (!answer || connection.sack_allowed) {
        if (core.options.sack) {
            options.sack_permitted();
        }
    }
    if (connection.timestamps) {
        options.timestamps(core.timestamp_clock() + connection.timestamp_offset, answer ? connection.ts_recent : 0);
    }
    if (!answer || connection.scaling) {
        options.window_scale(connection.rcv_scale);
    }
    // The window of a SYN is never scaled (RFC 7323 §2.2).
    const auto window = static_cast<std::uint16_t>(std::min(connection.rcv_limit, 65535U));
    const auto flags = static_cast<std::uint8_t>(wire::tcp_flag::syn | (answer ? wire::tcp_flag::ack : 0));
    return transmit(
        core, {connection, connection.path, connection.iss, answer ? connection.rcv_nxt : Sequence{0}, flags, window},
        options, {});
}

} // namespace sluice::tcp
