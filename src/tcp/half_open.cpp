// Passive open: listeners, half-open records, the accept queue (RFC 9293 §3.10.7.2; RFC 4987 §3.3).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;

constexpr Duration first_syn_ack_timeout = 1s;
constexpr std::uint16_t default_mss_v4 = 536; ///< RFC 9293 §3.7.1: what a SYN without the option means.
constexpr std::uint16_t default_mss_v6 = 1220;
constexpr std::size_t accepts_per_turn = 64;

std::uint8_t window_scale_of(const ListenOptions& options) noexcept
{
    std::uint8_t scale = 0;
    while ((options.connection.receive_limit >> scale) > 65535 && scale < 14) {
        ++scale;
    }
    return scale;
}

std::uint32_t initial_window_of(const ListenOptions& options) noexcept
{
    return std::min({options.connection.receive_initial, options.connection.receive_limit, 65535U});
}

bool send_syn_ack(HalfOpen& record) noexcept
{
    Core& core = *record.core;
    const std::optional<Path> path = core.output.find_path(record.local, record.remote);
    const Listener* listener = core.find_listener(record.local_endpoint());
    if (!path || listener == nullptr) {
        return false;
    }
    OptionWriter options;
    options.mss(announced_mss(record.local, *path));
    if ((record.flags & HalfOpen::has_sack) != 0) {
        options.sack_permitted();
    }
    if ((record.flags & HalfOpen::has_timestamps) != 0) {
        options.timestamps(core.timestamp_clock() + timestamp_offset(core, record), record.ts_recent);
    }
    if ((record.flags & HalfOpen::has_window_scale) != 0) {
        options.window_scale(window_scale_of(listener->options));
    }
    const auto window = static_cast<std::uint16_t>(initial_window_of(listener->options)); // Unscaled in a SYN-ACK too.
    return transmit(core,
                    {record, *path, record.iss, record.irs + 1, wire::tcp_flag::syn | wire::tcp_flag::ack, window},
                    options, {});
}

void on_half_open_timer(TimerNode& node, TimePoint now) noexcept
{
    auto& record = static_cast<HalfOpen&>(node);
    Core& core = *record.core;
    const Listener* listener = core.find_listener(record.local_endpoint());
    if (listener == nullptr || record.count >= listener->options.syn_ack_retransmissions) {
        core.count(Counter::tcp_half_open_expired);
        core.count(Counter::tcp_attempt_fails);
        drop_half_open(record);
        return;
    }
    ++record.count;
    core.count(Counter::tcp_segments_retransmitted);
    send_syn_ack(record);
    core.loop.timers().arm(record, now + back_off(first_syn_ack_timeout, record.count, core.options.rto_maximum));
}

void acknowledge_half_open(HalfOpen& record) noexcept
{
    Core& core = *record.core;
    if (!core.challenges.allow(core.now())) {
        core.count(Counter::tcp_challenge_acks_skipped);
        return;
    }
    const std::optional<Path> path = core.output.find_path(record.local, record.remote);
    if (!path) {
        return;
    }
    OptionWriter options;
    if ((record.flags & HalfOpen::has_timestamps) != 0) {
        options.timestamps(core.timestamp_clock() + timestamp_offset(core, record), record.ts_recent);
    }
    core.count(Counter::tcp_challenge_acks);
    transmit(core, {record, *path, record.iss + 1, record.irs + 1, wire::tcp_flag::ack, 0}, options, {});
}

/// The record becomes a connection. nullptr when a limit forbids it.
Connection* promote(HalfOpen& record, Listener& listener, const Segment& segment) noexcept
{
    Core& core = *record.core;
    const std::optional<Path> path = core.output.find_path(record.local, record.remote);
    Connection* made = path ? create_connection(core, listener.connection_options) : nullptr;
    if (made == nullptr) {
        core.count(Counter::tcp_listen_drops);
        return nullptr;
    }
    Connection& connection = *made;
    connection.local = record.local;
    connection.remote = record.remote;
    connection.local_port = record.local_port;
    connection.remote_port = record.remote_port;
    connection.path = *path;
    connection.iss = record.iss;
    connection.snd_una = connection.snd_nxt = record.iss + 1;
    connection.rcv_nxt = connection.acknowledged = record.irs + 1;
    connection.rcv_edge = connection.rcv_nxt + initial_window_of(listener.options);
    connection.peer_mss = record.mss;
    connection.sack_allowed = (record.flags & HalfOpen::has_sack) != 0;
    connection.timestamps = (record.flags & HalfOpen::has_timestamps) != 0;
    connection.timestamp_offset = timestamp_offset(core, record);
    connection.ts_recent = record.ts_recent;
    connection.ts_recent_at = core.now();
    connection.snd_scale = record.window_scale;
    if ((record.flags & HalfOpen::has_window_scale) == 0) {
        connection.rcv_scale = 0;
    }
    connection.snd_wnd = connection.snd_wnd_maximum = std::uint32_t{segment.window} << connection.snd_scale;
    connection.snd_wl1 = segment.sequence;
    if (record.count == 0) {
        // The record has no room for when the SYN-ACK left, but its timer tells.
        connection.rtt.sample(core.now() + first_syn_ack_timeout - record.deadline());
    }
    core.table.replace(record, connection);
    connection.in_table = true;
    --listener.half_open;
    --core.half_open;
    delete &record;

    connection.from = &listener;
    ++listener.connections;
    ++core.accepted;
    begin_established(connection);
    core.count(Counter::tcp_passive_opens);
    return made;
}

} // namespace

void begin_established(Connection& connection) noexcept
{
    set_segment_size(connection);
    connection.state = State::established;
    connection.congestion.window = initial_window(connection.mss);
    connection.high_rxt = connection.lost_edge = connection.recover = connection.snd_una;
    connection.backoff = 0;
    connection.attempts = 0;
    if (connection.options->keepalive_idle.count() != 0) {
        connection.keepalive_at = connection.core->now() + connection.options->keepalive_idle;
        schedule(connection);
    }
}

Listener::Listener(Core& owner, const wire::Endpoint& at, const ListenOptions& chosen, Stack::AcceptHandler accept)
    : Task{[](Task* task, bool run) { static_cast<Listener*>(task)->hand_over(run); }}, core{&owner}, local{at},
      options{chosen},
      connection_options{std::make_shared<const ConnectionOptions>(chosen.connection)}, handler{std::move(accept)}
{
}

void Listener::hand_over(bool run)
{
    if (core == nullptr) {
        delete this; // The stack ended while this was queued.
        return;
    }
    std::size_t count = 0;
    while (run && first != nullptr && count < accepts_per_turn) {
        Connection& connection = *first;
        first = connection.next_accept;
        if (first == nullptr) {
            last = nullptr;
        }
        --waiting;
        ++count;
        connection.queued_to_accept = false;
        connection.has_handle = true;
        Stream stream = StreamAccess::make(core->loop, connection);
        if (!closed && connection.failure == Failure::none) {
            handler(std::move(stream));
        }
    }
    posted = false;
    if (run && first != nullptr) {
        posted = true;
        core->loop.post(*this);
        return;
    }
    free_if_unused(*this);
}

void free_if_unused(Listener& listener) noexcept
{
    if (listener.closed && !listener.posted && listener.connections == 0) {
        --listener.core->closed_listeners;
        delete &listener;
    }
}

void queue_to_accept(Listener& listener, Connection& connection) noexcept
{
    connection.queued_to_accept = true;
    connection.next_accept = nullptr;
    (listener.last != nullptr ? listener.last->next_accept : listener.first) = &connection;
    listener.last = &connection;
    ++listener.waiting;
    if (!listener.posted) {
        listener.posted = true;
        connection.core->loop.post(listener);
    }
}

void listener_segment_arrives(Core& core, Listener& listener, const TableEntry& ends, const Segment& segment,
                              const Sequence* minimum_iss) noexcept
{
    if (segment.has(wire::tcp_flag::rst)) {
        core.counters.drop(DropReason::tcp_no_connection);
        return;
    }
    if (segment.has(wire::tcp_flag::ack)) {
        core.counters.drop(DropReason::tcp_no_connection);
        answer_with_reset(core, ends, segment);
        return;
    }
    if (!segment.has(wire::tcp_flag::syn) || segment.has(wire::tcp_flag::fin)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    const bool full = listener.half_open >= listener.options.half_open_limit ||
                      core.half_open >= core.options.half_open_limit ||
                      listener.connections >= listener.options.connection_limit;
    auto* record = full ? nullptr : new (std::nothrow) HalfOpen{core, &on_half_open_timer};
    if (record == nullptr) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
        return;
    }
    record->local = ends.local;
    record->remote = ends.remote;
    record->local_port = ends.local_port;
    record->remote_port = ends.remote_port;
    if (!core.table.insert(*record)) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
        delete record;
        return;
    }
    ++listener.half_open;
    ++core.half_open;
    record->irs = segment.sequence;
    record->iss = initial_sequence(core, ends);
    if (minimum_iss != nullptr && record->iss <= *minimum_iss) {
        record->iss = *minimum_iss + 65536; // RFC 6191 §2: beyond anything of the old incarnation.
    }
    record->mss = segment.mss != 0 ? segment.mss : (ends.local.is_v4() ? default_mss_v4 : default_mss_v6);
    record->flags |= segment.sack_permitted && core.options.sack ? HalfOpen::has_sack : std::uint8_t{0};
    record->flags |= segment.has_timestamps && core.options.timestamps ? HalfOpen::has_timestamps : std::uint8_t{0};
    record->flags |= segment.has_window_scale ? HalfOpen::has_window_scale : std::uint8_t{0};
    record->window_scale = segment.window_scale;
    record->ts_recent = segment.timestamp_value;
    send_syn_ack(*record);
    core.loop.timers().arm(*record, core.now() + first_syn_ack_timeout);
}

void half_open_segment_arrives(HalfOpen& record, const Segment& segment) noexcept
{
    Core& core = *record.core;
    Listener* listener = core.find_listener(record.local_endpoint());
    const Sequence expected = record.irs + 1;
    if (listener == nullptr) {
        return;
    }
    if (segment.has(wire::tcp_flag::rst)) {
        if (segment.sequence == expected) {
            core.count(Counter::tcp_attempt_fails);
            drop_half_open(record);
        }
        return;
    }
    if (segment.has(wire::tcp_flag::syn)) {
        if (!segment.has(wire::tcp_flag::ack) && segment.sequence == record.irs) {
            core.count(Counter::tcp_segments_retransmitted);
            send_syn_ack(record);
        } else {
            acknowledge_half_open(record);
        }
        return;
    }
    if (!segment.has(wire::tcp_flag::ack)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    const bool stale = (record.flags & HalfOpen::has_timestamps) != 0 && segment.has_timestamps &&
                       static_cast<std::int32_t>(segment.timestamp_value - record.ts_recent) < 0;
    if (stale || segment.sequence < expected || segment.sequence > expected + initial_window_of(listener->options)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        acknowledge_half_open(record);
        return;
    }
    if (segment.acknowledgment != record.iss + 1) {
        core.counters.drop(DropReason::tcp_unacceptable);
        answer_with_reset(core, record, segment);
        return;
    }
    if (listener->waiting >= listener->options.accept_limit ||
        listener->connections >= listener->options.connection_limit) {
        core.count(Counter::tcp_listen_overflows);
        core.counters.drop(DropReason::tcp_memory);
        return;
    }
    if (Connection* connection = promote(record, *listener, segment)) {
        queue_to_accept(*listener, *connection);
        process_acceptable(*connection, segment);
    }
}

void drop_half_open(HalfOpen& record) noexcept
{
    Core& core = *record.core;
    core.table.erase(record);
    if (Listener* listener = core.find_listener(record.local_endpoint())) {
        --listener->half_open;
    }
    --core.half_open;
    delete &record;
}

} // namespace sluice::tcp
