// What a look at one connection shows. Plain values, copied on the stack's thread.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/tcp/options.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::tcp {

enum class State : std::uint8_t {
    closed,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
};
inline constexpr std::size_t state_count = 10;

/// "SYN_SENT", "ESTABLISHED", ... as RFC 9293 writes them.
[[nodiscard]] std::string_view to_string(State state) noexcept;

/// Loss recovery (RFC 8985, RFC 6582, RFC 5681 §3.1).
enum class Recovery : std::uint8_t { open, fast, timeout };
[[nodiscard]] std::string_view to_string(Recovery recovery) noexcept;

/// Why a segment was sent again.
enum class RetransmissionCause : std::uint8_t {
    none,
    handshake,       ///< A SYN without an answer
    acknowledgments, ///< SACK, duplicates, or the reordering timer: later segments arrived
    timeout,
    tail_loss_probe,
    path_mtu,
};
[[nodiscard]] std::string_view to_string(RetransmissionCause cause) noexcept;

/// What a filter may ask before anything is copied.
struct ConnectionEnds {
    wire::Endpoint local;
    wire::Endpoint remote;
    State state = State::closed;
    bool active_open = false; ///< We connected.
};

/// Deadlines of a connection's timers, from now on; nothing while one is not armed. One that is due shows 0 or less.
struct ConnectionTimers {
    std::optional<Duration> retransmission;  ///< Of the handshake too
    std::optional<Duration> window_probe;    ///< The persist timer
    std::optional<Duration> reordering;      ///< RFC 8985 §6.2
    std::optional<Duration> tail_loss_probe; ///< RFC 8985 §7
    std::optional<Duration> delayed_ack;
    std::optional<Duration> keepalive;
    std::optional<Duration> linger; ///< After close(): when a silent peer is given up
};

/// The rest of what TCP knows of one connection.
struct ConnectionDetail {
    // Round trip
    Duration rtt_variation{};
    Duration minimum_rtt{};              ///< Of about the last five minutes; 0: no sample
    std::uint8_t backoff = 0;            ///< Consecutive timeouts or unanswered window probes
    std::uint8_t attempts = 0;           ///< The same since the peer last answered
    std::uint8_t keepalives_waiting = 0; ///< Keep-alive probes without an answer

    // Windows and queues
    std::uint32_t send_window_maximum = 0;
    std::uint8_t send_scale = 0;
    std::uint8_t receive_scale = 0;
    std::uint32_t receive_limit = 0; ///< Bytes that may wait for the reader at present
    std::uint16_t out_of_order_ranges = 0;
    std::uint16_t peer_segment_size = 0;    ///< Announced by the peer
    std::uint16_t largest_segment_seen = 0; ///< From the peer
    std::uint16_t path_mtu = 0;
    bool sack = false;
    bool timestamps = false;
    bool window_scaling = false;
    bool reader_waits = false; ///< The application waits for data
    bool writer_waits = false; ///< The application waits for room
    bool fin_sent = false;
    bool fin_received = false;

    // Recovery
    Recovery recovery = Recovery::open;
    std::uint32_t recovery_left = 0; ///< Bytes to be acknowledged until it ends
    std::uint32_t in_pipe = 0;       ///< In flight, less SACKed, less lost (RFC 6675 §4)
    std::uint32_t sacked = 0;        ///< Bytes
    std::uint16_t sacked_segments = 0;
    std::uint32_t lost = 0; ///< Bytes, not sent again yet
    std::uint16_t segments_in_flight = 0;
    std::uint8_t duplicate_acks = 0;
    std::uint32_t prr_delivered = 0;
    std::uint32_t prr_out = 0;
    std::uint32_t prr_recover_flight = 0;
    bool undo_possible = false;
    bool reordering_seen = false;
    Duration reordering_window{};
    bool tail_probe_out = false;
    RetransmissionCause last_retransmission = RetransmissionCause::none;
    std::optional<Duration> since_retransmission; ///< Whole seconds

    // Congestion control
    CongestionControl congestion_control = CongestionControl::cubic;
    bool slow_start = false;
    std::uint32_t cubic_maximum = 0; ///< W_max, bytes; 0 before the first loss
    Duration cubic_k{};              ///< K
    Duration cubic_epoch{};          ///< Since congestion avoidance began; 0: it has not
    double cubic_estimate = 0;       ///< W_est, segments

    ConnectionTimers timers;
    Duration since_received{}; ///< Since the last acceptable segment
    Duration since_sent{};     ///< Since data was sent
    Duration since_progress{}; ///< Since the peer acknowledged something new, or sending began
};

/// Half-open and TIME_WAIT records fill only the ends.
struct ConnectionInfo : ConnectionEnds {
    Duration smoothed_rtt{};
    Duration retransmission_timeout{};
    Duration age{};
    std::uint32_t congestion_window = 0;    ///< Bytes
    std::uint32_t slow_start_threshold = 0; ///< Bytes
    std::uint32_t in_flight = 0;            ///< Bytes sent and not acknowledged
    std::uint32_t send_queue = 0;           ///< Bytes written and not acknowledged
    std::uint32_t receive_queue = 0;        ///< Bytes not read yet
    std::uint32_t send_window = 0;          ///< What the peer offers
    std::uint32_t receive_window = 0;       ///< What we offer
    std::uint32_t out_of_order = 0;         ///< Bytes
    std::uint16_t segment_size = 0;
    std::uint32_t retransmissions = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::optional<ConnectionDetail> detail; ///< When it was asked for
};

} // namespace sluice::tcp
