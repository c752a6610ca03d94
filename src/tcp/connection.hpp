// The control block of a connection, and the small records that stand for it before it exists (SYN_RCVD) and after it
// has ended (TIME_WAIT). Variable names are those of RFC 9293 §3.3.1.
#pragma once

#include "tcp/buffers.hpp"
#include "tcp/congestion.hpp"
#include "tcp/flight.hpp"
#include "tcp/prr.hpp"
#include "tcp/rack.hpp"
#include "tcp/ranges.hpp"
#include "tcp/rtt.hpp"
#include "tcp/segment.hpp"
#include "tcp/table.hpp"

#include <sluice/base/timer_wheel.hpp>
#include <sluice/tcp/options.hpp>
#include <sluice/tcp/stack.hpp>

#include <memory>

namespace sluice::tcp {

struct Listener;

/// Why a connection ended: what its stream reports.
enum class Failure : std::uint8_t {
    none,
    reset,
    refused,
    timed_out,
    aborted,
    host_unreachable,
    network_unreachable,
    no_buffer_space
};

[[nodiscard]] ErrorCode to_error(Failure failure) noexcept;

/// What would show that a recovery began without a loss: the acknowledgment of the original (RFC 3522), or a D-SACK for
/// every retransmission (RFC 3708).
struct Undo {
    BeforeReduction before;
    SequenceRange again;               ///< Spans what was sent again in this recovery; empty before the first
    std::uint32_t timestamp = 0;       ///< TSval of the first retransmission
    std::uint16_t retransmissions = 0; ///< Not reported as duplicates yet
    bool possible = false;
};

struct Connection final : TableEntry, TimerNode {
    Connection(Core& owner, std::shared_ptr<const ConnectionOptions> chosen) noexcept;

    // --- receiving
    Sequence rcv_nxt;
    Sequence rcv_edge;         ///< Right edge of the window as advertised; never moves left.
    Sequence acknowledged;     ///< Last acknowledgment that we sent.
    Sequence rcv_fin;          ///< Where the peer's FIN stands, once `fin_known`.
    SequenceRange duplicate{}; ///< To be reported as D-SACK (RFC 2883); empty when begin == end.
    std::uint32_t unread = 0;  ///< In-order bytes in `receive`, before rcv_nxt.
    std::uint32_t rcv_limit = 0;
    std::uint32_t rcv_progress = 0; ///< Bytes read since rcv_limit last grew.
    std::uint16_t rcv_mss = 536; ///< Largest segment seen: what "two full-sized segments" means (RFC 9293 §3.8.6.3).
    std::uint8_t rcv_scale = 0;
    std::uint8_t snd_scale = 0;
    ByteRing receive;
    std::unique_ptr<RangeSet> out_of_order;

    // --- sending
    Sequence iss;
    Sequence snd_una;
    Sequence snd_nxt; ///< One past the highest sequence number sent.
    Sequence snd_wl1;
    std::uint32_t snd_wnd = 0;
    std::uint32_t snd_wnd_maximum = 0;
    std::uint32_t unacknowledged = 0; ///< Bytes in `send`; byte 0 is snd_una.
    ByteRing send;
    std::uint16_t peer_mss = 536;
    std::uint16_t mss = 536; ///< Payload of a full-sized segment: path and peer, less the usual options.

    // --- loss recovery and congestion
    Flight flight; ///< What [snd_una, snd_nxt) consists of, once synchronized
    Rack rack;
    Congestion congestion;
    ProportionalRateReduction prr;
    Undo undo;
    Sequence recover;     ///< Recovery ends when this is acknowledged.
    Sequence window_full; ///< SND.NXT when the congestion window last kept something back
    std::uint32_t retransmissions = 0;
    Sequence tail_probe_end; ///< SND.NXT when the tail loss probe left, while `tail_probe_out`.
    std::uint8_t duplicate_acks = 0;
    Recovery recovery = Recovery::open;
    RetransmissionCause cause = RetransmissionCause::none; ///< Why the next segment to be sent again would be
    RetransmissionCause last_retransmission = RetransmissionCause::none;
    std::uint32_t last_retransmission_at = 0; ///< Seconds; see seconds()

    // --- round trip
    RttEstimator rtt;
    Sequence timed_end; ///< The next sample of the round trip is taken when this is delivered: one per round trip.
    std::uint8_t backoff = 0;  ///< Consecutive timeouts (or unanswered window probes).
    std::uint8_t attempts = 0; ///< Timeouts or probes since the peer last answered: when to give up.
    std::uint8_t keepalive_sent = 0;
    std::uint32_t timestamp_offset = 0;
    std::uint32_t ts_recent = 0;
    TimePoint ts_recent_at{};

    // --- timers: deadlines are values, the node is armed for the earliest or before
    TimePoint rto_at = never;  ///< Retransmission, or window probe while `probing`.
    TimePoint loss_at = never; ///< Reordering timer, while `reordering_timer`, or tail loss probe (RFC 8985 §6, §7)
    TimePoint ack_at = never;
    TimePoint keepalive_at = never;
    TimePoint limit_at = never; ///< Linger after close().
    TimePoint progress_at{};    ///< Last time that the peer acknowledged something new, or sending began.
    TimePoint heard_at{};       ///< Last acceptable segment.
    TimePoint challenged_at{};
    TimePoint sent_at{};

    // --- what it is
    State state = State::closed;
    Failure failure = Failure::none;
    bool active_open : 1 = false;
    bool has_handle : 1 = false;
    bool sack_allowed : 1 = false;
    bool timestamps : 1 = false;
    bool scaling : 1 = false; ///< The peer offered window scaling in its SYN.
    bool ack_now : 1 = false;
    bool fin_queued : 1 = false;   ///< shutdown_send() or close(): FIN follows the last byte.
    bool fin_known : 1 = false;    ///< rcv_fin is valid.
    bool fin_received : 1 = false; ///< Everything up to the peer's FIN arrived.
    bool timing : 1 = false;       ///< The SYN was sent once: its answer is a round-trip sample.
    bool probing : 1 = false;
    bool reordering_timer : 1 = false;
    bool retransmit_now : 1 = false;   ///< The next segment goes out whatever the congestion window says.
    bool sent_any : 1 = false;         ///< Data left since the tail loss probe was scheduled last.
    bool tail_probe_out : 1 = false;   ///< A tail loss probe is not answered yet.
    bool tail_probe_again : 1 = false; ///< It repeated the last segment instead of sending a new one.
    bool probe_now : 1 = false;        ///< The persist timer overrides sender SWS avoidance.
    bool dirty : 1 = false;
    bool queued_to_accept : 1 = false;
    bool dead : 1 = false; ///< On the list of blocks to free.
    bool in_table : 1 = false;
    bool waits_for_end : 1 = false; ///< Data does not complete `waiter`.
    bool not_read : 1 = false;      ///< Nothing was since pressure.cpp looked.

    /// What the reader took and, as far as we know, still holds: units of 64 bytes, rounded up, 4 MiB at most.
    std::uint16_t taken = 0;
    [[nodiscard]] std::uint32_t taken_bytes() const noexcept { return std::uint32_t{taken} * 64; }

    Path path;
    std::shared_ptr<const ConnectionOptions> options;
    Listener* from = nullptr; ///< Who accepted it, while that listener counts it.
    ReadOperation* reader = nullptr;
    WaitOperation* waiter = nullptr;
    WriteOperation* writer = nullptr;
    Operation* connecting = nullptr;
    Connection** connect_result = nullptr; ///< Where the connect operation finds the connection.
    Connection* next_dirty = nullptr;      ///< Also links the list of the dead.
    Connection* next_accept = nullptr;
    Connection* all_next = nullptr;
    Connection* all_previous = nullptr;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    TimePoint opened_at{};

    [[nodiscard]] bool synchronized() const noexcept { return state >= State::established && state <= State::last_ack; }
    [[nodiscard]] bool may_receive() const noexcept
    {
        return state == State::established || state == State::fin_wait_1 || state == State::fin_wait_2;
    }
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return static_cast<std::uint32_t>(snd_nxt - snd_una); }
    [[nodiscard]] Sequence data_end() const noexcept { return snd_una + unacknowledged; }
    /// Our FIN was sent (and perhaps acknowledged).
    [[nodiscard]] bool fin_sent() const noexcept { return fin_queued && snd_nxt > data_end(); }
    [[nodiscard]] Sequence read_edge() const noexcept { return rcv_nxt - unread - (fin_received ? 1U : 0U); }
    [[nodiscard]] std::uint32_t receive_window() const noexcept
    {
        return static_cast<std::uint32_t>(rcv_edge - rcv_nxt);
    }
};
static_assert(sizeof(Connection) <= 640);

/// SYN_RCVD of a passive open: the SYN's options, until the handshake's last ACK (RFC 4987 §3.3 calls it a SYN cache).
struct HalfOpen final : TableEntry, TimerNode {
    HalfOpen(Core& owner, Callback callback) noexcept : TableEntry{EntryKind::half_open, &owner}, TimerNode{callback} {}

    static constexpr std::uint8_t has_timestamps = 1;
    static constexpr std::uint8_t has_sack = 2;
    static constexpr std::uint8_t has_window_scale = 4;

    Sequence irs;
    Sequence iss;
    std::uint32_t ts_recent = 0;
    std::uint16_t mss = 0;
    std::uint16_t window = 0; ///< As our SYN-ACK announces it
};
static_assert(sizeof(HalfOpen) <= 96);

struct TimeWait final : TableEntry, TimerNode {
    TimeWait(Core& owner, Callback callback) noexcept : TableEntry{EntryKind::time_wait, &owner}, TimerNode{callback} {}

    static constexpr std::uint8_t has_timestamps = 1;

    Sequence rcv_nxt;
    Sequence snd_nxt;
    std::uint32_t ts_recent = 0;
    std::uint32_t timestamp_offset = 0;
};
static_assert(sizeof(TimeWait) <= 96);

} // namespace sluice::tcp
