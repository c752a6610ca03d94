// Inside of a stack: what its parts share, and what each part offers to the others. One header, so that the reading
// order is the life of a segment: input → (listen | connect | acknowledge | receive) → output → transmit.
#pragma once

#include "tcp/connection.hpp"
#include "tcp/syn_cookie.hpp"

#include <sluice/base/random.hpp>
#include <sluice/telemetry/counters.hpp>

#include <unordered_map>

namespace sluice::tcp {

using telemetry::Counter;
using telemetry::DropReason;

/// An allowance per second, refilled as time passes.
struct RateLimit {
    std::uint32_t per_second = 0;
    std::uint32_t left = 0;
    TimePoint since{};

    [[nodiscard]] bool allow(TimePoint now) noexcept;
};

struct Listener : Task {
    Listener(Core& owner, const wire::Endpoint& at, const ListenOptions& chosen, Stack::AcceptHandler accept);

    void hand_over(bool run);

    Core* core;
    wire::Endpoint local;
    ListenOptions options;
    std::shared_ptr<const ConnectionOptions> connection_options;
    Stack::AcceptHandler handler;
    std::uint32_t half_open = 0;
    std::uint32_t waiting = 0;     ///< In the accept queue
    std::uint32_t connections = 0; ///< Accepted and not freed, those waiting included
    Connection* first = nullptr;   ///< Accept queue, oldest first
    Connection* last = nullptr;
    bool posted = false;
    bool closed = false;
};

/// Where the look for those that hold buffers and do not move has got to.
struct BufferRelief {
    Connection* hand = nullptr; ///< The next to be looked at; nullptr: from the beginning.
    TimePoint looked_at{};
    TimePoint judged_at{}; ///< When marks of unread bytes were judged last, and set anew.
    bool judge_readers = false;
};

struct Core {
    Core(Loop& loop, Output& output, PortAllocator& ports, telemetry::CoreCounters& counters,
         const StackOptions& options);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    Loop& loop;
    Output& output;
    PortAllocator& ports;
    telemetry::CoreCounters& counters;
    StackOptions options;
    Random random;
    HashKey sequence_key;
    HashKey timestamp_key;
    SynCookies cookies;
    ConnectionTable table;
    BufferPool buffers;
    std::unordered_map<wire::Endpoint, Listener*> listeners;
    std::size_t closed_listeners = 0;                         ///< Not in the map any more, kept for their connections.
    std::shared_ptr<const ConnectionOptions> connect_options; ///< Of the last active open: usually the next one's too.
    RateLimit challenges;
    RateLimit resets;
    BufferRelief relief;
    Connection* all = nullptr;
    Connection* dirty_first = nullptr;
    Connection* dirty_last = nullptr;
    Connection* dead = nullptr;
    std::size_t connections = 0;
    std::size_t accepted = 0;
    std::size_t half_open = 0;
    std::size_t time_wait = 0;

    [[nodiscard]] TimePoint now() const noexcept { return loop.now(); }
    void count(Counter counter, std::uint64_t amount = 1) noexcept { counters.count(counter, amount); }
    /// RFC 7323 §5.4: milliseconds.
    [[nodiscard]] std::uint32_t timestamp_clock() const noexcept
    {
        return static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch()).count());
    }
    [[nodiscard]] Listener* find_listener(const wire::Endpoint& local) noexcept;
};

// --- transmit.cpp: packets

/// What goes into one segment, besides the bytes.
struct Outgoing {
    const TableEntry& ends;
    Path path;
    Sequence sequence;
    Sequence acknowledgment;
    std::uint8_t flags;
    std::uint16_t window;
};
/// False when no packet buffer was left.
bool transmit(Core& core, const Outgoing& segment, const OptionWriter& options, std::array<Bytes, 2> payload) noexcept;
/// RST as RFC 9293 §3.10.7.1 forms it, in answer to `segment` between the given ends; never in answer to a RST.
void answer_with_reset(Core& core, const TableEntry& ends, const Segment& segment) noexcept;
[[nodiscard]] std::size_t headers_size(const wire::IpAddress& address) noexcept; ///< IP and TCP without options.
/// What to announce as MSS (RFC 9293 §3.7.1, RFC 6691).
[[nodiscard]] std::uint16_t announced_mss(const wire::IpAddress& address, Path path) noexcept;

// --- lifecycle.cpp: control blocks from birth to memory given back

[[nodiscard]] Connection* create_connection(Core& core, std::shared_ptr<const ConnectionOptions> options) noexcept;
/// MSS, windows and congestion window, once the path and the peer's options are known.
void set_segment_size(Connection& connection) noexcept;
/// RFC 6528: clock and keyed hash.
[[nodiscard]] Sequence initial_sequence(const Core& core, const TableEntry& ends) noexcept;
[[nodiscard]] std::uint32_t timestamp_offset(const Core& core, const TableEntry& ends) noexcept;
/// Out of the table and the timers; pending operations complete with `failure`. Unread data stays readable when there
/// is none.
void terminate(Connection& connection, Failure failure) noexcept;
/// RST to the peer (when there is one to tell), then terminate().
void abort_connection(Connection& connection, Failure failure) noexcept;
/// The handle is gone: an orderly close in the background.
void close_handle(Connection& connection) noexcept;
/// Queues our FIN and moves on in the state machine.
void shutdown_send(Connection& connection) noexcept;
/// Queues a block to be freed, unless something still refers to it.
void retire(Connection& connection) noexcept;
void free_dead(Core& core) noexcept;
/// Frees a listener that is closed and that no connection counts on any more.
void free_if_unused(Listener& listener) noexcept;
/// FIN both ways is done: a small record takes over.
void enter_time_wait(Connection& connection) noexcept;

/// pressure.cpp: while buffers are scarce, resets a few that hold some and do not move.
void relieve_buffers(Core& core) noexcept;

// --- input.cpp, acknowledge.cpp, receive.cpp: what a segment does to a connection

void segment_arrives(Connection& connection, const Segment& segment) noexcept;
void syn_sent_segment_arrives(Connection& connection, const Segment& segment) noexcept;
/// The rest of RFC 9293 §3.10.7.4 after the checks of sequence number, RST and SYN.
void process_acceptable(Connection& connection, const Segment& segment) noexcept;
/// False when the segment must not be looked at any further.
[[nodiscard]] bool process_acknowledgment(Connection& connection, const Segment& segment) noexcept;
void process_payload(Connection& connection, const Segment& segment) noexcept;
void challenge(Connection& connection) noexcept;

// --- half_open.cpp, time_wait.cpp, connect.cpp, icmp.cpp

/// A segment for a listener, without a connection. `minimum_iss`: RFC 6191 reuse of a TIME_WAIT record.
void listener_segment_arrives(Core& core, Listener& listener, const TableEntry& ends, const Segment& segment,
                              const Sequence* minimum_iss) noexcept;
/// Puts an established connection on its listener's queue; the accept handler runs on the loop.
void queue_to_accept(Listener& listener, Connection& connection) noexcept;
void half_open_segment_arrives(HalfOpen& record, const Segment& segment) noexcept;
void drop_half_open(HalfOpen& record) noexcept;
void time_wait_segment_arrives(TimeWait& record, const Segment& segment) noexcept;
void drop_time_wait(TimeWait& record) noexcept;
/// What both kinds of open do once the handshake is done.
void begin_established(Connection& connection) noexcept;
void established(Connection& connection) noexcept; ///< Active open done: completes the connect operation.
void start_connect(Core& core, const wire::Endpoint& local, const wire::Endpoint& remote,
                   const ConnectionOptions& options, Operation& operation, Connection*& result) noexcept;
bool icmp_error_arrives(Core& core, const wire::IcmpError& error) noexcept;

// --- output.cpp

/// Queues the connection for the next flush.
void mark_dirty(Connection& connection) noexcept;
/// Sends whatever may be sent now. False when packet buffers ran out.
bool output(Connection& connection) noexcept;
/// A segment without data, at once.
bool send_control(Connection& connection, std::uint8_t flags, Sequence sequence) noexcept;
bool send_ack(Connection& connection) noexcept;
bool send_syn(Connection& connection) noexcept;
/// The window field to send now; moves rcv_edge.
[[nodiscard]] std::uint16_t advertise_window(Connection& connection) noexcept;
[[nodiscard]] std::uint32_t free_receive_space(const Connection& connection) noexcept;
[[nodiscard]] std::uint32_t window_update_threshold(const Connection& connection) noexcept;

// --- recovery.cpp, timeout.cpp

/// What one acknowledgment told about the flight.
struct Delivery {
    std::uint32_t bytes = 0;        ///< Newly delivered, cumulatively or selectively
    std::uint32_t acknowledged = 0; ///< How far SND.UNA advanced
    std::uint32_t in_flight = 0;    ///< Outstanding before it
    std::uint32_t rtt_us = 0;       ///< Of the first segment that was delivered and sent only once; 0: none
    bool sacked = false;            ///< A SACK block said something new.
    bool original = false;          ///< It answers what was sent before the first retransmission (RFC 3522).
};
/// Applies the ACK field and the SACK blocks to the flight. SND.UNA is still the old one.
[[nodiscard]] Delivery take_delivery(Connection& connection, const Segment& segment) noexcept;
/// What follows from it for recovery and the congestion window. SND.UNA is the new one.
void on_delivery(Connection& connection, const Delivery& delivery) noexcept;
/// Without SACK: an acknowledgment that repeats the last one (RFC 5681 §2).
void on_duplicate_acknowledgment(Connection& connection) noexcept;
/// The reordering timer: what was only late has not come (RFC 8985 §6.2, step 5).
void on_reordering_timeout(Connection& connection) noexcept;
/// Bytes taken to be in the network.
[[nodiscard]] std::uint32_t bytes_in_pipe(const Connection& connection) noexcept;
/// A segment of `record` was sent again.
void note_retransmission(Connection& connection, Flight::Position position) noexcept;
/// The part of that which a SYN has too.
void count_retransmission(Connection& connection, RetransmissionCause cause) noexcept;
/// The first round trip, of the SYN or the SYN-ACK.
void note_handshake(Connection& connection, Duration round_trip) noexcept;
[[nodiscard]] Microseconds microseconds(TimePoint time) noexcept; ///< As flight.hpp counts them
[[nodiscard]] std::uint32_t seconds(TimePoint time) noexcept;     ///< As rack.hpp counts them

void on_retransmission_timeout(Connection& connection) noexcept;
/// A router could not pass `mtu` or more; 0 when it did not say. Smaller segments, and what is in flight again.
void reduce_path_mtu(Connection& connection, std::uint32_t mtu) noexcept;

// tail_probe.cpp: RFC 8985 §7. When the last segments of a burst, or their only acknowledgment, are lost, nothing comes
// back that could start fast recovery. After about two round trips the last segment is sent again, so that the answer
// tells what is missing.

/// After new data was sent, or an acknowledgment left some unacknowledged.
void schedule_tail_probe(Connection& connection) noexcept;
void send_tail_probe(Connection& connection) noexcept;
/// An acceptable acknowledgment, before it is applied: was the probe answered, and had it repaired a loss?
void note_tail_probe_answer(Connection& connection, const Segment& segment) noexcept;
/// output.cpp: the segment of a probe: new data if there is any, else the last segment again; in recovery the one that
/// has been gone longest. False without a packet buffer.
[[nodiscard]] bool send_probe_segment(Connection& connection) noexcept;

// --- timers.cpp

/// Arms the wheel for the earliest deadline, unless it is armed for that or before.
void schedule(Connection& connection) noexcept;
void on_connection_timer(TimerNode& node, TimePoint now) noexcept;
void restart_retransmission_timer(Connection& connection) noexcept;
/// Nothing is in flight and what is queued cannot go: probe after a timeout (RFC 9293 §3.8.6.1).
void start_persist_timer(Connection& connection) noexcept;
[[nodiscard]] Duration current_timeout(const Connection& connection) noexcept;

// --- operations.cpp: pending operations of the handle

/// The window grows with a reader that keeps up.
void count_read(Connection& connection, std::size_t bytes) noexcept;
void wake_reader(Connection& connection) noexcept;
void wake_writer(Connection& connection) noexcept;
void complete_pending(Connection& connection, const ErrorCode& error) noexcept;

struct StreamAccess {
    [[nodiscard]] static Stream make(Loop& loop, Connection& connection) noexcept { return Stream{loop, connection}; }
};

} // namespace sluice::tcp
