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

/// From here on handshakes are kept by their clients.
bool crowded(std::size_t half_open, std::size_t limit) noexcept { return half_open >= limit - limit / 4; }

std::uint32_t timestamp_of(const HalfOpen& record) noexcept
{
    return record.core->timestamp_clock() + timestamp_offset(*record.core, record);
}

void send_syn_ack(const HalfOpen& record, const Listener& listener, std::uint32_t timestamp) noexcept
{
    Core& core = *record.core;
    const std::optional<Path> path = core.output.find_path(record.local, record.remote);
    if (!path) {
        return;
    }
    OptionWriter options;
    options.mss(announced_mss(record.local, *path));
    if ((record.flags & HalfOpen::has_sack) != 0) {
        options.sack_permitted();
    }
    if ((record.flags & HalfOpen::has_timestamps) != 0) {
        options.timestamps(timestamp, record.ts_recent);
    }
    if ((record.flags & HalfOpen::has_window_scale) != 0) {
        options.window_scale(window_scale_of(listener.options));
    }
    // The window is unscaled in a SYN-ACK too.
    transmit(core,
             {record, *path, record.iss, record.irs + 1, wire::tcp_flag::syn | wire::tcp_flag::ack, record.window},
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
    core.count(Counter::tcp_syn_retransmits);
    send_syn_ack(record, *listener, timestamp_of(record));
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
        options.timestamps(timestamp_of(record), record.ts_recent);
    }
    core.count(Counter::tcp_challenge_acks);
    transmit(core, {record, *path, record.iss + 1, record.irs + 1, wire::tcp_flag::ack, 0}, options, {});
}

/// What the record says becomes a connection, not in the table yet. nullptr when a limit forbids it.
Connection* make_connection(const HalfOpen& record, const Listener& listener, const Segment& segment) noexcept
{
    Core& core = *record.core;
    const std::optional<Path> path =
        core.buffers.nearly_full() ? std::nullopt : core.output.find_path(record.local, record.remote);
    Connection* made = path ? create_connection(core, listener.connection_options) : nullptr;
    if (made == nullptr) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
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
    connection.rcv_edge = connection.rcv_nxt + record.window;
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
    return made;
}

/// The handshake is done; `connection` is in the table.
void begin_accepted(Listener& listener, Connection& connection, const Segment& segment) noexcept
{
    connection.in_table = true;
    connection.from = &listener;
    ++listener.connections;
    ++connection.core->accepted;
    begin_established(connection);
    connection.core->count(Counter::tcp_passive_opens);
    queue_to_accept(listener, connection);
    process_acceptable(connection, segment);
}

/// The record becomes a connection, unless a limit forbids it.
void promote(HalfOpen& record, Listener& listener, const Segment& segment) noexcept
{
    Core& core = *record.core;
    Connection* const connection = make_connection(record, listener, segment);
    if (connection == nullptr) {
        return;
    }
    if (record.count == 0) {
        // The record has no room for when the SYN-ACK left, but its timer tells.
        note_handshake(*connection, core.now() + first_syn_ack_timeout - record.deadline());
    }
    core.table.replace(record, *connection);
    --listener.half_open;
    --core.half_open;
    delete &record;
    begin_accepted(listener, *connection, segment);
}

bool accept_queue_full(const Listener& listener) noexcept
{
    return listener.waiting >= listener.options.accept_limit ||
           listener.connections >= listener.options.connection_limit;
}

/// What a SYN says, and how much we are going to let in at first.
void note_syn(HalfOpen& record, const Listener& listener, const TableEntry& ends, const Segment& segment) noexcept
{
    const StackOptions& options = record.core->options;
    record.local = ends.local;
    record.remote = ends.remote;
    record.local_port = ends.local_port;
    record.remote_port = ends.remote_port;
    record.irs = segment.sequence;
    record.mss = segment.mss != 0 ? segment.mss : (ends.local.is_v4() ? default_mss_v4 : default_mss_v6);
    record.flags |= segment.sack_permitted && options.sack ? HalfOpen::has_sack : std::uint8_t{0};
    record.flags |= segment.has_timestamps && options.timestamps ? HalfOpen::has_timestamps : std::uint8_t{0};
    record.flags |= segment.has_window_scale ? HalfOpen::has_window_scale : std::uint8_t{0};
    record.window_scale = segment.window_scale;
    record.ts_recent = segment.timestamp_value;
    record.window = static_cast<std::uint16_t>(
        std::min<std::size_t>(initial_window_of(listener.options), record.core->buffers.share()));
}

/// Answers a SYN and keeps nothing of it.
void send_cookie(Core& core, const Listener& listener, const TableEntry& ends, const Segment& segment) noexcept
{
    HalfOpen record{core, &on_half_open_timer};
    note_syn(record, listener, ends, segment);
    record.iss = core.cookies.make(ends, record.irs, record.mss, core.now());
    SynCookies::Options options;
    if ((record.flags & HalfOpen::has_timestamps) == 0) {
        // Nothing would tell us later what was agreed on.
        record.flags = 0;
    } else {
        options.sack = (record.flags & HalfOpen::has_sack) != 0;
        if ((record.flags & HalfOpen::has_window_scale) != 0) {
            options.window_scale = record.window_scale;
        }
    }
    core.count(Counter::tcp_syn_cookies_sent);
    send_syn_ack(record, listener, SynCookies::timestamp(timestamp_of(record), options));
}

/// A segment that may be the third of a handshake that we did not keep. It may carry data, or be data whose
/// acknowledgment was lost on the way. False when it is none.
bool cookie_returns(Core& core, Listener& listener, const TableEntry& ends, const Segment& segment) noexcept
{
    HalfOpen record{core, &on_half_open_timer};
    note_syn(record, listener, ends, segment);
    record.irs = segment.sequence - 1;
    record.iss = segment.acknowledgment - 1;
    record.flags = 0;
    const std::optional<std::uint16_t> mss = core.cookies.check(ends, record.irs, record.iss, core.now());
    if (!mss) {
        core.count(Counter::tcp_syn_cookies_failed);
        return false;
    }
    record.mss = *mss;
    if (segment.has_timestamps && core.options.timestamps) {
        const SynCookies::Options options = SynCookies::options(segment.timestamp_echo);
        record.flags = HalfOpen::has_timestamps;
        record.flags |= options.sack ? HalfOpen::has_sack : std::uint8_t{0};
        record.flags |= options.window_scale ? HalfOpen::has_window_scale : std::uint8_t{0};
        record.window_scale = options.window_scale.value_or(0);
    }
    core.count(Counter::tcp_syn_cookies_received);
    if (accept_queue_full(listener)) {
        core.count(Counter::tcp_listen_overflows);
        core.counters.drop(DropReason::tcp_memory);
        return true;
    }
    Connection* const connection = make_connection(record, listener, segment);
    if (connection == nullptr) {
        return true;
    }
    if (!core.table.insert(*connection)) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
        terminate(*connection, Failure::no_buffer_space);
        return true;
    }
    begin_accepted(listener, *connection, segment);
    return true;
}

} // namespace

void begin_established(Connection& connection) noexcept
{
    set_segment_size(connection);
    connection.state = State::established;
    connection.congestion.window = initial_window(connection.mss);
    connection.congestion.algorithm = connection.core->options.congestion_control;
    connection.recover = connection.window_full = connection.iss;
    connection.rack.fack = connection.timed_end = connection.snd_una;
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
    if (closed) {
        handler = nullptr;
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
        if (!segment.has(wire::tcp_flag::syn) && cookie_returns(core, listener, ends, segment)) {
            return;
        }
        core.counters.drop(DropReason::tcp_no_connection);
        answer_with_reset(core, ends, segment);
        return;
    }
    if (!segment.has(wire::tcp_flag::syn) || segment.has(wire::tcp_flag::fin)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    if (core.buffers.nearly_full()) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
        return;
    }
    // A SYN that takes the place of a TIME_WAIT record needs a number beyond the old ones: a cookie has no choice.
    const bool may_give_cookie = listener.options.syn_cookies && minimum_iss == nullptr && !accept_queue_full(listener);
    if (may_give_cookie && (crowded(listener.half_open, listener.options.half_open_limit) ||
                            crowded(core.half_open, core.options.half_open_limit))) {
        send_cookie(core, listener, ends, segment);
        return;
    }
    const bool full = listener.half_open >= listener.options.half_open_limit ||
                      core.half_open >= core.options.half_open_limit ||
                      listener.connections >= listener.options.connection_limit;
    auto* record = full ? nullptr : new (std::nothrow) HalfOpen{core, &on_half_open_timer};
    if (record != nullptr) {
        note_syn(*record, listener, ends, segment);
    }
    if (record == nullptr || !core.table.insert(*record)) {
        core.count(Counter::tcp_listen_drops);
        core.counters.drop(DropReason::tcp_memory);
        delete record;
        return;
    }
    ++listener.half_open;
    ++core.half_open;
    record->iss = initial_sequence(core, ends);
    if (minimum_iss != nullptr && record->iss <= *minimum_iss) {
        record->iss = *minimum_iss + 65536; // RFC 6191 §2: beyond anything of the old incarnation.
    }
    send_syn_ack(*record, listener, timestamp_of(*record));
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
            core.count(Counter::tcp_embryonic_resets);
            drop_half_open(record);
        }
        return;
    }
    if (segment.has(wire::tcp_flag::syn)) {
        if (!segment.has(wire::tcp_flag::ack) && segment.sequence == record.irs) {
            core.count(Counter::tcp_segments_retransmitted);
            core.count(Counter::tcp_syn_retransmits);
            send_syn_ack(record, *listener, timestamp_of(record));
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
    if (accept_queue_full(*listener)) {
        core.count(Counter::tcp_listen_overflows);
        core.counters.drop(DropReason::tcp_memory);
        return;
    }
    promote(record, *listener, segment);
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
