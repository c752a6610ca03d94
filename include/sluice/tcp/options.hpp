// What may be chosen about the stack, a listener and a connection. Plain values; every limit has a number.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::tcp {

/// Of one connection. For accepted ones they come from the listener.
struct ConnectionOptions {
    /// Bytes that may wait for the reader: what is advertised starts at `receive_initial` and doubles while the reader
    /// keeps up.
    std::uint32_t receive_initial = 64 * 1024;
    std::uint32_t receive_limit = 1024 * 1024; ///< At most 1 GiB (RFC 7323 §2.2).
    std::uint32_t send_limit = 256 * 1024;     ///< Bytes written but not acknowledged yet; a writer waits beyond.
    /// Retransmissions of one segment before the connection is given up (RFC 9293 §3.8.3, R2): 15 take about 15
    /// minutes.
    std::uint8_t retransmissions = 15;
    std::uint8_t syn_retransmissions = 6; ///< Active open; 6 take about 127 s.
    Duration user_timeout{};              ///< Data unacknowledged that long ends the connection (RFC 5482); 0: off.
    Duration keepalive_idle{};            ///< Silence before the first keep-alive probe (RFC 1122 §4.2.3.6); 0: off.
    Duration keepalive_interval = std::chrono::seconds{15};
    std::uint8_t keepalive_probes = 4;
    Duration time_wait = std::chrono::seconds{30};
    /// After close(): how long the peer may go without acknowledging anything new, or take for its own FIN, until the
    /// connection is reset.
    Duration linger = std::chrono::seconds{60};

    bool operator==(const ConnectionOptions&) const = default;
};

struct ListenOptions {
    ConnectionOptions connection;
    /// SYN_RCVD records of this listener. From three quarters on, of this or of the stack's limit, a SYN gets a cookie
    /// (RFC 4987 §3.6) instead of a record; without cookies a SYN beyond is dropped and counted.
    std::uint32_t half_open_limit = 1024;
    bool syn_cookies = true;
    std::uint32_t accept_limit = 1024; ///< Established but not handed to the accept handler yet; the last ACK of the
                                       ///< handshake is dropped beyond.
    std::uint32_t connection_limit = 1'000'000; ///< Open connections of this listener.
    std::uint8_t syn_ack_retransmissions = 5;
};

enum class CongestionControl : std::uint8_t {
    cubic,   ///< RFC 9438
    newreno, ///< RFC 5681
};

/// Of one stack (one worker).
struct StackOptions {
    HashKey secret; ///< From random_hash_key(): sequence numbers (RFC 6528), timestamp offsets, table hashing.
    std::uint64_t random_seed = 1; ///< For choices that need no secrecy.
    std::size_t connection_limit = 65536;
    std::size_t half_open_limit = 16384;
    std::size_t time_wait_limit = 65536;             ///< Beyond, connections end without it.
    std::size_t buffer_limit = 256U * 1024U * 1024U; ///< Bytes of all connections' send and receive buffers.
    Duration rto_minimum = std::chrono::milliseconds{200};
    Duration rto_maximum = std::chrono::seconds{60};
    Duration rto_initial = std::chrono::seconds{1}; ///< RFC 6298 §2.1
    Duration delayed_ack = std::chrono::milliseconds{40};
    std::uint32_t challenge_acks_per_second = 1000; ///< All connections together (RFC 5961 §7).
    std::uint32_t resets_per_second = 1000;         ///< RST in answer to segments without a connection.
    CongestionControl congestion_control = CongestionControl::cubic;
    bool timestamps = true;
    bool sack = true;
    std::uint8_t hop_limit = 64;
};

} // namespace sluice::tcp
