// Loss recovery: NewReno (RFC 6582) without SACK, the conservative SACK algorithm (RFC 6675) with it, and the
// retransmission timeout (RFC 5681 §3.1, RFC 6298 §5) over the same three marks:
//
//     snd_una ........ high_rxt ........ lost_edge ........ snd_nxt
//     │ retransmitted  │ lost, to be     │ in flight        │
//     │ in this        │ retransmitted   │                  │
//     │ recovery       │                 │                  │      less what the peer has SACKed
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

constexpr std::uint8_t duplicate_threshold = 3;

/// Bytes of [begin, end) that are not SACKed.
std::uint32_t not_sacked(const Connection& connection, Sequence begin, Sequence end) noexcept
{
    if (end <= begin) {
        return 0;
    }
    auto bytes = static_cast<std::uint32_t>(end - begin);
    if (connection.sacked != nullptr) {
        for (const SequenceRange& range : connection.sacked->ranges()) {
            const Sequence from = later(range.begin, begin);
            const Sequence to = earlier(range.end, end);
            if (from < to) {
                bytes -= static_cast<std::uint32_t>(to - from);
            }
        }
    }
    return bytes;
}

/// RFC 6675 §4, IsLost: three SACKed ranges, or more than two segments' worth of SACKed bytes, lie above. The property
/// is inherited by everything below, so one edge says it all.
void update_lost_edge(Connection& connection) noexcept
{
    if (connection.sacked == nullptr) {
        return;
    }
    const RangeSet& sacked = *connection.sacked;
    std::uint32_t above = 0;
    for (std::size_t index = sacked.size(); index-- > 0;) {
        above += sacked[index].size();
        const bool lost = sacked.size() - index >= duplicate_threshold ||
                          above > (duplicate_threshold - 1) * std::uint32_t{connection.mss};
        if (lost) {
            connection.lost_edge = later(connection.lost_edge, sacked[index].begin);
            return;
        }
    }
}

/// The first hole at or after `from`, before `limit`.
SequenceRange hole(const Connection& connection, Sequence from, Sequence limit) noexcept
{
    if (connection.sacked != nullptr) {
        for (const SequenceRange& range : connection.sacked->ranges()) {
            if (range.end <= from) {
                continue;
            }
            if (range.begin > from) {
                limit = earlier(limit, range.begin);
                break;
            }
            from = range.end;
        }
    }
    return from < limit ? SequenceRange{from, limit} : SequenceRange{};
}

void enter_fast_recovery(Connection& connection) noexcept
{
    connection.core->count(Counter::tcp_fast_retransmits);
    on_loss(connection.congestion, connection.in_flight(), connection.mss);
    connection.recovery = Recovery::fast;
    connection.tail_probe_at = never;
    connection.recover = connection.snd_nxt;
    connection.high_rxt = connection.snd_una;
    connection.lost_edge = connection.snd_una;
    update_lost_edge(connection);
    if (connection.lost_edge == connection.snd_una) {
        connection.lost_edge = earlier(connection.snd_una + connection.mss, connection.snd_nxt);
    }
    if (!connection.sack_allowed) {
        connection.congestion.window += duplicate_threshold * std::uint32_t{connection.mss};
    }
    connection.retransmit_now = true;
    connection.rescued = false;
    connection.timing = false;
    restart_retransmission_timer(connection);
}

void leave_recovery(Connection& connection) noexcept
{
    if (connection.recovery == Recovery::fast) {
        const std::uint32_t in_flight = connection.in_flight();
        // RFC 6582 §3.2 step 3: not more than what is in flight plus one segment, so that leaving makes no burst.
        const std::uint32_t most = std::max(in_flight, std::uint32_t{connection.mss}) + connection.mss;
        connection.congestion.window =
            connection.sack_allowed ? connection.congestion.threshold : std::min(connection.congestion.threshold, most);
    }
    connection.recovery = Recovery::open;
    connection.duplicate_acks = 0;
    connection.retransmit_now = false;
}

void on_partial_acknowledgment(Connection& connection, std::uint32_t acknowledged) noexcept
{
    if (connection.sack_allowed) {
        update_lost_edge(connection);
        return;
    }
    Congestion& congestion = connection.congestion;
    congestion.window -= std::min(acknowledged, congestion.window - connection.mss);
    if (acknowledged >= connection.mss) {
        congestion.window += connection.mss;
    }
    connection.high_rxt = connection.snd_una;
    connection.lost_edge = earlier(connection.snd_una + connection.mss, connection.snd_nxt);
    connection.retransmit_now = true;
}

std::uint16_t smallest_path_mtu(const Connection& connection) noexcept
{
    return connection.local.is_v4() ? std::uint16_t{576} : std::uint16_t{1280}; // RFC 8900 §3.2 and RFC 8200 §5
}

/// RFC 4821 §7.7, reduced to its core: full-sized segments that vanish again and again may be too large for a path
/// whose ICMP messages are filtered.
void suspect_black_hole(Connection& connection) noexcept
{
    constexpr std::uint8_t suspicious = 3;
    const std::uint16_t floor = smallest_path_mtu(connection);
    if (connection.attempts != suspicious || connection.path.mtu <= floor ||
        connection.mss + headers_size(connection.local) <= floor) {
        return;
    }
    connection.path.mtu = floor;
    set_segment_size(connection);
    connection.core->count(Counter::tcp_path_mtu_reduced);
}

} // namespace

std::uint32_t bytes_in_pipe(const Connection& connection) noexcept
{
    if (connection.recovery == Recovery::open) {
        return not_sacked(connection, connection.snd_una, connection.snd_nxt);
    }
    if (connection.recovery == Recovery::fast && !connection.sack_allowed) {
        return connection.in_flight(); // The window is inflated instead (RFC 6582 §3.2).
    }
    return not_sacked(connection, connection.snd_una, connection.high_rxt) +
           not_sacked(connection, connection.lost_edge, connection.snd_nxt);
}

Retransmission next_retransmission(const Connection& connection, bool nothing_new) noexcept
{
    if (connection.recovery == Recovery::open) {
        return {};
    }
    const Sequence from = later(connection.high_rxt, connection.snd_una);
    if (const SequenceRange lost = hole(connection, from, earlier(connection.lost_edge, connection.snd_nxt));
        lost.size() != 0) {
        return {lost};
    }
    if (!nothing_new || connection.recovery != Recovery::fast || connection.sacked == nullptr ||
        connection.sacked->empty()) {
        return {};
    }
    const Sequence highest = (*connection.sacked)[connection.sacked->size() - 1].end;
    if (const SequenceRange likely = hole(connection, from, highest); likely.size() != 0) {
        return {likely};
    }
    if (!connection.rescued && highest < connection.recover && from < connection.recover) {
        return {{later(highest, connection.recover - std::uint32_t{connection.mss}), connection.recover}, true};
    }
    return {};
}

bool note_sacked(Connection& connection, const Segment& segment) noexcept
{
    bool news = false;
    for (std::uint8_t index = 0; index < segment.sack_count; ++index) {
        const SequenceRange& block = segment.sacks[index];
        // Also leaves out D-SACK blocks, which lie below the cumulative acknowledgment or in what is SACKed already.
        if (block.begin >= block.end || block.begin <= segment.acknowledgment || block.begin < connection.snd_una ||
            block.end > connection.snd_nxt) {
            continue;
        }
        if (connection.sacked == nullptr) {
            connection.sacked.reset(new (std::nothrow) RangeSet);
            if (connection.sacked == nullptr) {
                return news;
            }
        }
        bool refused = false;
        news = connection.sacked->add(block, refused) != 0 || news;
    }
    return news;
}

void on_new_acknowledgment(Connection& connection, std::uint32_t acknowledged, std::uint32_t in_flight) noexcept
{
    if (connection.sacked != nullptr) {
        connection.sacked->drop_before(connection.snd_una);
        if (connection.sacked->empty()) {
            connection.sacked.reset();
        }
    }
    connection.high_rxt = later(connection.high_rxt, connection.snd_una);
    connection.lost_edge = later(connection.lost_edge, connection.snd_una);
    switch (connection.recovery) {
    case Recovery::open:
        connection.duplicate_acks = 0;
        on_acknowledged(connection.congestion, acknowledged, in_flight, connection.mss);
        break;
    case Recovery::fast:
        if (connection.snd_una >= connection.recover) {
            leave_recovery(connection);
        } else {
            on_partial_acknowledgment(connection, acknowledged);
        }
        break;
    case Recovery::timeout:
        on_acknowledged(connection.congestion, std::min<std::uint32_t>(acknowledged, connection.mss), in_flight,
                        connection.mss);
        if (connection.snd_una >= connection.recover) {
            leave_recovery(connection);
        }
        break;
    }
}

void on_duplicate_acknowledgment(Connection& connection) noexcept
{
    connection.duplicate_acks = static_cast<std::uint8_t>(std::min(connection.duplicate_acks + 1, 255));
    if (connection.recovery == Recovery::open) {
        connection.lost_edge = connection.snd_una;
        update_lost_edge(connection);
        const bool tail_lost = tail_probe_sacked(connection);
        if (connection.duplicate_acks >= duplicate_threshold || connection.lost_edge > connection.snd_una ||
            tail_lost) {
            enter_fast_recovery(connection);
        }
        if (tail_lost) {
            // The probe left two round trips after everything before it.
            connection.lost_edge =
                later(connection.lost_edge, (*connection.sacked)[connection.sacked->size() - 1].begin);
            connection.tail_probe_out = false;
        }
    } else if (connection.recovery == Recovery::fast) {
        if (connection.sack_allowed) {
            update_lost_edge(connection);
        } else {
            connection.congestion.window =
                std::min(connection.congestion.window + connection.mss, congestion_window_maximum);
        }
    }
    mark_dirty(connection);
}

void on_retransmission_timeout(Connection& connection) noexcept
{
    Core& core = *connection.core;
    core.count(Counter::tcp_timeouts);
    const bool first = connection.backoff == 0;
    suspect_black_hole(connection);
    on_timeout(connection.congestion, connection.in_flight(), connection.mss, first);
    // RFC 2018 §8: a receiver may take back what it SACKed. It has done so when the first missing byte is SACKed, and
    // after a second timeout we no longer rely on it either.
    if (connection.sacked != nullptr && !connection.sacked->empty()) {
        const bool reneged = (*connection.sacked)[0].begin <= connection.snd_una;
        if (reneged) {
            core.count(Counter::tcp_sack_reneged);
        }
        if (reneged || !first) {
            connection.sacked.reset();
        }
    }
    connection.recovery = Recovery::timeout;
    connection.tail_probe_at = never;
    connection.tail_probe_out = false;
    connection.recover = connection.snd_nxt;
    connection.lost_edge = connection.snd_nxt;
    connection.high_rxt = connection.snd_una;
    connection.duplicate_acks = 0;
    connection.timing = false;
    connection.retransmit_now = true;
    if (const auto path = core.output.find_path(connection.local, connection.remote)) {
        connection.path.id = path->id;
    }
}

void reduce_path_mtu(Connection& connection, std::uint32_t mtu) noexcept
{
    const std::uint16_t floor = smallest_path_mtu(connection);
    mtu = std::max<std::uint32_t>(mtu, floor); // Smaller is a lie, or a link that fragments for itself (RFC 8201 §4).
    if (mtu >= connection.path.mtu) {
        return;
    }
    connection.path.mtu = static_cast<std::uint16_t>(mtu);
    if (!connection.synchronized()) {
        return;
    }
    connection.core->count(Counter::tcp_path_mtu_reduced);
    set_segment_size(connection);
    // Lost, but not by congestion: everything again in the new size, in the same window (RFC 1191 §6.5).
    connection.recovery = Recovery::timeout;
    connection.recover = connection.snd_nxt;
    connection.lost_edge = connection.snd_nxt;
    connection.high_rxt = connection.snd_una;
    connection.timing = false;
    connection.retransmit_now = true;
    mark_dirty(connection);
}

} // namespace sluice::tcp
