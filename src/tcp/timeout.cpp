// Loss recovery by the retransmission timer (RFC 6298 §5, RFC 8985 §8, RFC 5681 §3.1), and segments that were too large
// for their path (RFC 1191, RFC 8201, RFC 4821).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

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
    connection.flight.cut(connection.core->buffers, connection.mss);
    connection.core->count(Counter::tcp_path_mtu_reduced);
}

void mark_losses(Connection& connection, bool first) noexcept
{
    Flight& flight = connection.flight;
    // RFC 2018 §8: a receiver may take back what it SACKed. It has done so when the first missing byte is SACKed, and
    // after a second timeout we no longer rely on it either.
    if (flight.sacked_segments() != 0) {
        const bool reneged = flight[flight.first()].is(SentSegment::sacked);
        if (reneged) {
            connection.core->count(Counter::tcp_sack_reneged);
        }
        if (reneged || !first) {
            flight.forget_sacked();
        }
    }
    if (!connection.sack_allowed) {
        flight.mark_all_lost();
        return;
    }
    const std::uint32_t window = reordering_window(connection.rack, connection.recovery != Recovery::open,
                                                   flight.sacked_segments(), connection.rtt.smoothed_us);
    mark_losses_on_timeout(connection.rack, flight, window, microseconds(connection.core->now()));
}

void begin_timeout_recovery(Connection& connection, RetransmissionCause cause) noexcept
{
    connection.recovery = Recovery::timeout;
    connection.cause = cause;
    connection.recover = connection.snd_nxt;
    connection.loss_at = never;
    connection.reordering_timer = false;
    connection.tail_probe_out = false;
    connection.duplicate_acks = 0;
    connection.retransmit_now = true;
}

} // namespace

void on_retransmission_timeout(Connection& connection) noexcept
{
    Core& core = *connection.core;
    core.count(Counter::tcp_timeouts);
    const bool first = connection.backoff == 0;
    if (first && connection.recovery != Recovery::open) {
        core.count(connection.recovery == Recovery::timeout ? Counter::tcp_loss_failures
                   : connection.sack_allowed                ? Counter::tcp_sack_failures
                                                            : Counter::tcp_reno_failures);
    }
    suspect_black_hole(connection);
    if (connection.recovery == Recovery::fast) {
        connection.congestion.window = connection.congestion.threshold; // Of which there was only what PRR let out.
    }
    if (first) {
        connection.undo = {before_reduction(connection.congestion), {}, 0, 0, true};
    }
    mark_losses(connection, first);
    on_timeout(connection.congestion, connection.in_flight(), connection.mss, first);
    begin_timeout_recovery(connection, RetransmissionCause::timeout);
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
    connection.flight.mark_all_lost();
    connection.flight.cut(connection.core->buffers, connection.mss);
    connection.undo.possible = false;
    begin_timeout_recovery(connection, RetransmissionCause::path_mtu);
    mark_dirty(connection);
}

} // namespace sluice::tcp
