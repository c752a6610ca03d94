// The TCP stack of one worker (RFC 9293). Owner thread of its loop only; N stacks may live in one thread.
//
// Nothing here reads a clock, draws randomness or reaches a port by itself: time is the loop's, secrets come with the
// options, packets leave through the Output.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/tcp/options.hpp>
#include <sluice/tcp/output.hpp>
#include <sluice/tcp/stream.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/parse.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace sluice::tcp {

struct Core;

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

/// "SYN_SENT", "ESTABLISHED", ... as RFC 9293 writes them.
[[nodiscard]] std::string_view to_string(State state) noexcept;

/// What a look at one connection shows. Half-open and TIME_WAIT records fill only the first block.
struct ConnectionInfo {
    wire::Endpoint local;
    wire::Endpoint remote;
    State state = State::closed;
    bool active_open = false; ///< We connected.

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
};

/// Everything that the stack holds; all zero (except the totals of `buffer_bytes_cached`) when nothing is open.
struct StackUsage {
    std::size_t connections = 0; ///< Control blocks, those whose stream is still held included
    std::size_t accepted = 0;    ///< Those among them that a peer opened
    std::size_t half_open = 0;
    std::size_t time_wait = 0;
    std::size_t buffer_bytes = 0; ///< Send and receive buffers in use
    std::size_t buffer_bytes_cached = 0;
};

class Stack {
public:
    using AcceptHandler = std::function<void(Stream)>;

    /// All references must outlive the stack.
    Stack(Loop& loop, Output& output, PortAllocator& ports, telemetry::CoreCounters& counters,
          const StackOptions& options);
    /// Pending operations complete with operation_aborted; peers learn nothing (call abort_all() first for that).
    /// Streams may outlive the stack; their loop must not.
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    /// One received TCP segment, checksums verified, reassembled, for an address of ours. `parsed` counts its offsets
    /// from the first byte of `packet`. Handlers that it makes ready run later.
    void input(packet::Packet&& packet, const wire::ParsedPacket& parsed) noexcept;

    /// Whether this segment, which is no SYN, is of a connection of ours: half-open, in TIME_WAIT, or begun with a
    /// cookie too.
    [[nodiscard]] bool knows(Bytes packet, const wire::ParsedPacket& parsed) const noexcept;

    /// An ICMP error about a TCP segment of ours (RFC 5927: checked against the sequence numbers in flight). True when
    /// it matched a connection.
    bool icmp_error(const wire::IcmpError& error) noexcept;

    /// Sends what is due: data that became ready and acknowledgments, once per turn.
    void flush() noexcept;
    /// True when flush() could not finish for lack of packet buffers: call it again soon.
    [[nodiscard]] bool has_pending_output() const noexcept;

    /// Accepts connections to exactly this endpoint. False when somebody listens there. `handler` runs on the loop.
    [[nodiscard]] bool listen(const wire::Endpoint& local, const ListenOptions& options, AcceptHandler handler);
    /// Takes no more connections. Half-open ones and those not handed over yet are dropped; accepted ones live on. The
    /// handler is destroyed before this returns, or, when it is running, after that.
    void unlisten(const wire::Endpoint& local) noexcept;

    /// Opens a connection; completes with (error, stream). `local.port` 0 takes one from the allocator. Errors:
    /// connection_refused, timed_out, network_unreachable (no route), host_unreachable, address_in_use,
    /// no_buffer_space, operation_aborted. A deadline is the caller's (cancel).
    template <class Token>
    auto async_connect(const wire::Endpoint& local, const wire::Endpoint& remote, const ConnectionOptions& options,
                       Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode, Stream)>(
            [this](auto handler, const wire::Endpoint& from, const wire::Endpoint& to,
                   const ConnectionOptions& chosen) {
                auto* operation =
                    HandlerOperation<ConnectOperation, decltype(handler)>::create(loop_, std::move(handler));
                start_connect(from, to, chosen, *operation);
                operation->connect_slot();
            },
            token, local, remote, options);
    }

    /// Resets every connection of the local address, half-open and TIME_WAIT records too, for an address that is given
    /// away: the RSTs leave before this returns. Returns how many there were.
    std::size_t abort_address(const wire::IpAddress& local) noexcept;
    std::size_t abort_all() noexcept;

    /// Shows up to `limit` connections from `cursor` (0 at first); returns the next cursor, 0 at the end. What changes
    /// in between may be missed or seen twice.
    std::size_t visit(std::size_t cursor, std::size_t limit,
                      const std::function<void(const ConnectionInfo&)>& visitor) const;

    [[nodiscard]] StackUsage usage() const noexcept;

private:
    class ConnectOperation;

    void start_connect(const wire::Endpoint& local, const wire::Endpoint& remote, const ConnectionOptions& options,
                       ConnectOperation& operation) noexcept;

    Loop& loop_;
    std::unique_ptr<Core> core_;
};

/// Completes with (error, stream).
class Stack::ConnectOperation : public Operation {
public:
    Connection* connection = nullptr;

protected:
    using Operation::Operation;
    ~ConnectOperation() = default;
    [[nodiscard]] std::tuple<ErrorCode, Stream> result() noexcept;
};

} // namespace sluice::tcp
