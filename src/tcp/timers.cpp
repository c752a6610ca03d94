// Timers of a connection: one node on the wheel for all of them. Deadlines are values; pushing one back costs a store,
// and the node, when it fires too early for all of them, is armed again.
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

TimePoint earliest(const Connection& connection) noexcept
{
    return std::min(
        {connection.rto_at, connection.loss_at, connection.ack_at, connection.keepalive_at, connection.limit_at});
}

bool user_timeout_passed(const Connection& connection, TimePoint now) noexcept
{
    const Duration limit = connection.options->user_timeout;
    return limit.count() != 0 && now - connection.progress_at >= limit;
}

void give_up(Connection& connection) noexcept
{
    connection.core->count(Counter::tcp_aborts_on_timeout);
    abort_connection(connection, Failure::timed_out);
}

void probe_window(Connection& connection) noexcept
{
    Core& core = *connection.core;
    // Half a window or less that opened is used now, whatever silly window avoidance says (RFC 9293 §3.8.6.2.1,
    // override timeout).
    connection.probe_now = true;
    const Sequence before = connection.snd_nxt;
    output(connection);
    connection.probe_now = false;
    if (connection.state == State::closed || connection.snd_nxt != before) {
        return;
    }
    // As Linux does it: a segment just left of the window costs no window and must be answered (RFC 9293 §3.10.7.4).
    send_control(connection, wire::tcp_flag::ack, connection.snd_una - 1);
    core.count(Counter::tcp_window_probes);
    connection.backoff = static_cast<std::uint8_t>(std::min(connection.backoff + 1, 64));
    connection.rto_at = core.now() + current_timeout(connection);
}

void handshake_timeout(Connection& connection) noexcept
{
    Core& core = *connection.core;
    if (connection.attempts++ >= connection.options->syn_retransmissions) {
        core.count(Counter::tcp_attempt_fails);
        terminate(connection, Failure::timed_out);
        return;
    }
    ++connection.backoff;
    connection.timing = false;
    count_retransmission(connection, RetransmissionCause::handshake);
    if (const auto path = core.output.find_path(connection.local, connection.remote)) {
        connection.path.id = path->id;
    }
    send_syn(connection);
    connection.rto_at = core.now() + current_timeout(connection);
}

void retransmission_timer_fired(Connection& connection, TimePoint now) noexcept
{
    connection.rto_at = never;
    if (connection.state == State::syn_sent || connection.state == State::syn_received) {
        handshake_timeout(connection);
        return;
    }
    if (connection.attempts >= connection.options->retransmissions || user_timeout_passed(connection, now)) {
        give_up(connection);
        return;
    }
    ++connection.attempts;
    if (connection.probing) {
        probe_window(connection);
        return;
    }
    on_retransmission_timeout(connection);
    connection.backoff = static_cast<std::uint8_t>(std::min(connection.backoff + 1, 64));
    restart_retransmission_timer(connection);
    if (!output(connection)) {
        mark_dirty(connection);
    }
}

void keepalive_timer_fired(Connection& connection, TimePoint now) noexcept
{
    const ConnectionOptions& options = *connection.options;
    const TimePoint quiet_until = connection.heard_at + options.keepalive_idle;
    if (connection.in_flight() != 0 || connection.unacknowledged != 0) {
        connection.keepalive_at = now + options.keepalive_idle; // Retransmissions and probes already ask.
        return;
    }
    if (connection.keepalive_sent == 0 && quiet_until > now) {
        connection.keepalive_at = quiet_until;
        return;
    }
    if (connection.keepalive_sent >= options.keepalive_probes) {
        give_up(connection);
        return;
    }
    ++connection.keepalive_sent;
    connection.core->count(Counter::tcp_keepalives);
    send_control(connection, wire::tcp_flag::ack, connection.snd_una - 1);
    connection.keepalive_at = now + options.keepalive_interval;
}

} // namespace

Duration current_timeout(const Connection& connection) noexcept
{
    const StackOptions& options = connection.core->options;
    return back_off(connection.rtt.timeout(options.rto_initial, options.rto_minimum, options.rto_maximum),
                    connection.backoff, options.rto_maximum);
}

void schedule(Connection& connection) noexcept
{
    const TimePoint next = earliest(connection);
    if (next != never && (!connection.armed() || next < connection.deadline())) {
        connection.core->loop.timers().arm(connection, next);
    }
}

void restart_retransmission_timer(Connection& connection) noexcept
{
    connection.rto_at = connection.core->now() + current_timeout(connection);
    if (const Duration limit = connection.options->user_timeout; limit.count() != 0) {
        connection.rto_at =
            std::min(connection.rto_at, std::max(connection.progress_at + limit, connection.core->now()));
    }
    schedule(connection);
}

void start_persist_timer(Connection& connection) noexcept
{
    if (!connection.probing) {
        connection.probing = true;
        connection.backoff = 0;
        connection.attempts = 0;
        connection.rto_at = never;
        connection.progress_at = connection.core->now();
    }
    if (connection.rto_at == never) {
        connection.rto_at = connection.core->now() + current_timeout(connection);
    }
}

void on_connection_timer(TimerNode& node, TimePoint now) noexcept
{
    auto& connection = static_cast<Connection&>(node);
    if (connection.limit_at <= now) {
        // A slow peer that still acknowledges gets what was written for it; one that has stopped does not hold memory
        // for ever.
        connection.limit_at = std::max(connection.limit_at, connection.progress_at + connection.options->linger);
    }
    if (connection.limit_at <= now) {
        connection.core->count(Counter::tcp_aborts_on_linger);
        abort_connection(connection, Failure::timed_out);
        return;
    }
    if (connection.ack_at <= now) {
        connection.ack_at = never;
        connection.ack_now = true;
        connection.core->count(Counter::tcp_delayed_acks);
        mark_dirty(connection);
    }
    if (connection.loss_at <= now) {
        connection.loss_at = never;
        connection.reordering_timer ? on_reordering_timeout(connection) : send_tail_probe(connection);
    }
    if (connection.rto_at <= now) {
        retransmission_timer_fired(connection, now);
    }
    if (connection.state != State::closed && connection.keepalive_at <= now) {
        keepalive_timer_fired(connection, now);
    }
    if (connection.state != State::closed) {
        schedule(connection);
    }
}

} // namespace sluice::tcp
