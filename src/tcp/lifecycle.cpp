// Control blocks: from their birth to the memory given back. A block is freed when the protocol is done with it and no
// stream, queue or list refers to it, and only at the end of a flush: nobody up the call chain is left with a dangling
// reference.
#include "tcp/core.hpp"

#include <boost/asio/error.hpp>

namespace sluice::tcp {
namespace {

constexpr std::uint16_t smallest_peer_mss = 64; ///< A peer that announces less (or 0) gets segments of this size.

void release_send_side(Connection& connection) noexcept
{
    connection.send.release(connection.core->buffers);
    connection.unacknowledged = 0;
    connection.flight.release(connection.core->buffers);
    connection.out_of_order.reset();
    connection.recovery = Recovery::open;
}

void stop_timers(Connection& connection) noexcept
{
    connection.core->loop.timers().cancel(connection);
    connection.rto_at = connection.loss_at = connection.ack_at = connection.keepalive_at = connection.limit_at = never;
}

/// RST where the peer expects the next byte; inside its window even when that has shrunk.
void send_reset(Connection& connection) noexcept
{
    const Sequence edge = connection.snd_una + connection.snd_wnd;
    const Sequence sequence = edge < connection.snd_nxt ? later(edge, connection.snd_una) : connection.snd_nxt;
    if (send_control(connection, wire::tcp_flag::rst | wire::tcp_flag::ack, sequence)) {
        connection.core->count(Counter::tcp_resets_sent);
    }
}

} // namespace

ErrorCode to_error(Failure failure) noexcept
{
    namespace error = boost::asio::error;
    switch (failure) {
    case Failure::none:
        return error::eof;
    case Failure::reset:
        return error::connection_reset;
    case Failure::refused:
        return error::connection_refused;
    case Failure::timed_out:
        return error::timed_out;
    case Failure::aborted:
        return error::operation_aborted;
    case Failure::host_unreachable:
        return error::host_unreachable;
    case Failure::network_unreachable:
        return error::network_unreachable;
    case Failure::no_buffer_space:
        return error::no_buffer_space;
    }
    return error::connection_aborted;
}

Connection::Connection(Core& owner, std::shared_ptr<const ConnectionOptions> chosen) noexcept
    : TableEntry{EntryKind::connection, &owner}, TimerNode{&on_connection_timer}, options{std::move(chosen)}
{
}

Connection* create_connection(Core& core, std::shared_ptr<const ConnectionOptions> options) noexcept
{
    if (core.connections >= core.options.connection_limit) {
        return nullptr;
    }
    auto* connection = new (std::nothrow) Connection{core, std::move(options)};
    if (connection == nullptr) {
        return nullptr;
    }
    connection->all_next = core.all;
    if (core.all != nullptr) {
        core.all->all_previous = connection;
    }
    core.all = connection;
    ++core.connections;
    connection->opened_at = connection->heard_at = connection->progress_at = core.now();
    connection->challenged_at = core.now() - std::chrono::hours{1};
    const auto share = static_cast<std::uint32_t>(std::min<std::size_t>(core.buffers.share(), 1U << 30U));
    connection->rcv_limit = std::min({connection->options->receive_initial, connection->options->receive_limit, share});
    while ((connection->options->receive_limit >> connection->rcv_scale) > 65535 && connection->rcv_scale < 14) {
        ++connection->rcv_scale;
    }
    return connection;
}

void set_segment_size(Connection& connection) noexcept
{
    connection.peer_mss = std::max(connection.peer_mss, smallest_peer_mss);
    const std::uint16_t whole = std::min(connection.peer_mss, announced_mss(connection.local, connection.path));
    connection.mss = static_cast<std::uint16_t>(whole - (connection.timestamps ? timestamps_option_size : 0));
}

Sequence initial_sequence(const Core& core, const TableEntry& ends) noexcept
{
    const std::uint64_t ports = std::uint64_t{ends.local_port} << 16U | ends.remote_port;
    const std::uint64_t hash = siphash13_words(core.sequence_key, ends.local.high(), ends.local.low(),
                                               ends.remote.high(), ends.remote.low(), ports);
    const auto clock = static_cast<std::uint64_t>(core.now().time_since_epoch() / std::chrono::microseconds{4});
    return Sequence{static_cast<std::uint32_t>(clock + hash)};
}

std::uint32_t timestamp_offset(const Core& core, const TableEntry& ends) noexcept
{
    return static_cast<std::uint32_t>(siphash13_words(core.timestamp_key, ends.local.high(), ends.local.low(),
                                                      ends.remote.high(), ends.remote.low()));
}

void retire(Connection& connection) noexcept
{
    if (connection.dead || connection.dirty || connection.queued_to_accept || connection.has_handle ||
        connection.in_table) {
        return;
    }
    connection.dead = true;
    connection.next_dirty = connection.core->dead;
    connection.core->dead = &connection;
}

void terminate(Connection& connection, Failure failure) noexcept
{
    Core& core = *connection.core;
    if (connection.in_table) {
        core.table.erase(connection);
        connection.in_table = false;
    }
    stop_timers(connection);
    connection.state = State::closed;
    if (connection.failure == Failure::none) {
        connection.failure = failure;
    }
    release_send_side(connection);
    if (connection.unread == 0 || (!connection.has_handle && !connection.queued_to_accept)) {
        connection.receive.release(core.buffers);
        connection.unread = 0;
    }
    if (Operation* connecting = std::exchange(connection.connecting, nullptr)) {
        connecting->complete(to_error(failure));
    }
    wake_reader(connection);
    wake_writer(connection);
    retire(connection);
}

void abort_connection(Connection& connection, Failure failure) noexcept
{
    if (connection.synchronized() || connection.state == State::syn_received) {
        send_reset(connection);
    }
    terminate(connection, failure);
}

void shutdown_send(Connection& connection) noexcept
{
    if (connection.fin_queued || (connection.state != State::established && connection.state != State::close_wait)) {
        return;
    }
    connection.fin_queued = true;
    connection.state = connection.state == State::established ? State::fin_wait_1 : State::last_ack;
    wake_writer(connection);
    mark_dirty(connection);
}

void close_handle(Connection& connection) noexcept
{
    complete_pending(connection, boost::asio::error::operation_aborted);
    connection.has_handle = false;
    if (connection.core == nullptr) {
        delete &connection;
        return;
    }
    Core& core = *connection.core;
    if (connection.state == State::closed) {
        connection.receive.release(core.buffers);
        connection.unread = 0;
        retire(connection);
        return;
    }
    if (connection.unread != 0) {
        core.count(Counter::tcp_aborts_on_close);
        abort_connection(connection, Failure::aborted);
        return;
    }
    shutdown_send(connection);
    connection.keepalive_at = never;
    connection.limit_at = core.now() + connection.options->linger;
    schedule(connection);
}

void enter_time_wait(Connection& connection) noexcept
{
    Core& core = *connection.core;
    core.count(Counter::tcp_time_wait);
    TimeWait* record = nullptr;
    if (core.time_wait < core.options.time_wait_limit) {
        record = new (std::nothrow)
            TimeWait{core, [](TimerNode& node, TimePoint) noexcept { drop_time_wait(static_cast<TimeWait&>(node)); }};
    }
    if (record == nullptr) {
        core.count(Counter::tcp_time_wait_overflows);
        terminate(connection, Failure::none);
        return;
    }
    record->local = connection.local;
    record->remote = connection.remote;
    record->local_port = connection.local_port;
    record->remote_port = connection.remote_port;
    record->rcv_nxt = connection.rcv_nxt;
    record->snd_nxt = connection.snd_nxt;
    record->ts_recent = connection.ts_recent;
    record->timestamp_offset = connection.timestamp_offset;
    record->flags = connection.timestamps ? TimeWait::has_timestamps : 0;
    record->count = static_cast<std::uint8_t>(std::clamp<std::int64_t>(
        std::chrono::ceil<std::chrono::seconds>(connection.options->time_wait).count(), 1, 255));
    core.table.replace(connection, *record);
    connection.in_table = false;
    ++core.time_wait;
    core.loop.timers().arm(*record, core.now() + connection.options->time_wait);
    terminate(connection, Failure::none);
}

void free_dead(Core& core) noexcept
{
    while (Connection* connection = core.dead) {
        core.dead = connection->next_dirty;
        if (core.relief.hand == connection) {
            core.relief.hand = connection->all_next;
        }
        (connection->all_previous != nullptr ? connection->all_previous->all_next : core.all) = connection->all_next;
        if (connection->all_next != nullptr) {
            connection->all_next->all_previous = connection->all_previous;
        }
        --core.connections;
        if (connection->from != nullptr) {
            --core.accepted;
            --connection->from->connections;
            free_if_unused(*connection->from);
        }
        delete connection;
    }
}

} // namespace sluice::tcp
