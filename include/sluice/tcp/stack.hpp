// The TCP stack of one worker (RFC 9293). Owner thread of its loop only; N stacks may live in one thread.
//
// Nothing here reads a clock, draws randomness or reaches a port by itself: time is the loop's, secrets come with the
// options, packets leave through the Output.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/tcp/connection_info.hpp>
#include <sluice/tcp/options.hpp>
#include <sluice/tcp/output.hpp>
#include <sluice/tcp/stream.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/parse.hpp>

#include <functional>
#include <memory>

namespace sluice::tcp {

struct Core;

/// Everything that the stack holds; all zero (except the totals of `buffer_bytes_cached`) when nothing is open.
struct StackUsage {
    std::size_t connections = 0; ///< Control blocks, those whose stream is still held included
    std::size_t accepted = 0;    ///< Those among them that a peer opened
    std::size_t half_open = 0;
    std::size_t time_wait = 0;
    std::size_t buffer_bytes = 0; ///< Send and receive buffers in use
    std::size_t buffer_bytes_cached = 0;
    std::size_t connection_limit = 0;
    std::size_t half_open_limit = 0;
    std::size_t time_wait_limit = 0;
    std::size_t buffer_limit = 0;
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
    void input(packet::Packet&& packet, const wire::ParsedPacket& parsed) noexcept
    {
        input(std::move(packet), parsed, prepare(parsed));
    }
    /// The same for a burst, in passes over all of it: prepare() each, prefetch() each, then input() each. While one
    /// segment is worked on, the memory of the next ones is on its way.
    [[nodiscard]] std::uint32_t prepare(const wire::ParsedPacket& parsed) const noexcept;
    void prefetch(std::uint32_t prepared) const noexcept;
    void input(packet::Packet&& packet, const wire::ParsedPacket& parsed, std::uint32_t prepared) noexcept;

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

    /// How a slice of a walk over all connections is bounded, and what it picks.
    struct Slice {
        std::size_t limit = 256;  ///< Connections to look at
        std::size_t slots = 8192; ///< Slots of the table to look at; most may be empty
        bool detail = false;      ///< Fill ConnectionInfo::detail
        /// Which ones to show; empty: all.
        std::function<bool(const ConnectionEnds&)> wanted{};
    };
    /// Shows a slice of all connections from `cursor` (0 at first); returns the next cursor, 0 at the end. What changes
    /// in between may be missed or seen twice.
    std::size_t visit(std::size_t cursor, const Slice& slice,
                      const std::function<void(const ConnectionInfo&)>& visitor) const;

    [[nodiscard]] StackUsage usage() const noexcept;
    /// Less than a quarter of the buffer memory is left: windows do not grow any more.
    [[nodiscard]] bool buffers_scarce() const noexcept;
    /// Less than an eighth.
    [[nodiscard]] bool buffers_nearly_gone() const noexcept;

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
