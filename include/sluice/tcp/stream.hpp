// One TCP connection as an Asio stream (AsyncReadStream, AsyncWriteStream). A handle of two pointers; movable; owner
// thread of the loop only.
//
// Every operation completes through the loop, never inside the call that starts it. One read-side and one write-side
// operation may be pending at a time; a second one completes at once with asio::error::in_progress. Errors: eof (the
// peer has ended its data), connection_reset, timed_out (no acknowledgment for too long, or keep-alive unanswered),
// host_unreachable and the like (from ICMP), no_buffer_space, operation_aborted (cancelled or closed here),
// bad_descriptor (no connection).
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/tcp/operation.hpp>
#include <sluice/tcp/received.hpp>
#include <sluice/wire/address.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>

#include <array>
#include <cstdint>

namespace sluice::tcp {

struct Connection;

/// The first buffers of a sequence: an operation on "some" bytes needs no more.
template <class Buffer>
struct BufferList {
    static constexpr std::size_t capacity = 8;

    template <class Sequence>
    explicit BufferList(const Sequence& sequence)
    {
        for (auto it = boost::asio::buffer_sequence_begin(sequence);
             it != boost::asio::buffer_sequence_end(sequence) && count < capacity; ++it) {
            const auto one = boost::asio::buffer_sequence_begin(*it);
            if (one->size() != 0) {
                using Pointer = typename Buffer::pointer;
                items[count++] = Buffer{static_cast<Pointer>(one->data()), one->size()};
                size += one->size();
            }
        }
    }

    std::array<Buffer, capacity> items{};
    std::size_t count = 0;
    std::size_t size = 0; ///< Bytes
};

class ReadOperation : public Operation {
public:
    BufferList<MutableBytes> buffers;
    std::size_t transferred = 0;

protected:
    template <class Sequence>
    ReadOperation(Loop& loop, Function function, const Sequence& sequence)
        : Operation{loop, function}, buffers{sequence}
    {
    }
    ~ReadOperation() = default;
    [[nodiscard]] std::tuple<ErrorCode, std::size_t> result() noexcept { return {error_, transferred}; }
};

class WriteOperation : public Operation {
public:
    BufferList<Bytes> buffers;
    std::size_t transferred = 0;

protected:
    template <class Sequence>
    WriteOperation(Loop& loop, Function function, const Sequence& sequence)
        : Operation{loop, function}, buffers{sequence}
    {
    }
    ~WriteOperation() = default;
    [[nodiscard]] std::tuple<ErrorCode, std::size_t> result() noexcept { return {error_, transferred}; }
};

class Stream {
public:
    using executor_type = Executor;
    using lowest_layer_type = Stream;

    /// No connection: operations complete with bad_descriptor.
    explicit Stream(Executor executor) noexcept : loop_{&executor.context()} {}
    Stream(Stream&& other) noexcept : loop_{other.loop_}, connection_{std::exchange(other.connection_, nullptr)} {}
    Stream& operator=(Stream&& other) noexcept
    {
        if (this != &other) {
            close();
            loop_ = other.loop_;
            connection_ = std::exchange(other.connection_, nullptr);
        }
        return *this;
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    /// As close().
    ~Stream() { close(); }

    [[nodiscard]] Executor get_executor() const noexcept { return Executor{*loop_}; }
    [[nodiscard]] Stream& lowest_layer() noexcept { return *this; }
    [[nodiscard]] const Stream& lowest_layer() const noexcept { return *this; }

    /// False after close(), abort() and a move. True does not say that the peer is still there.
    [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
    /// Default values without a connection; known until the handle is closed, also after the connection has ended.
    [[nodiscard]] wire::Endpoint local_endpoint() const noexcept;
    [[nodiscard]] wire::Endpoint remote_endpoint() const noexcept;
    /// Bytes that a read would return at once.
    [[nodiscard]] std::size_t available() const noexcept;

    /// Completes with (error, bytes): at least one byte, or an error and 0. An empty buffer completes at once.
    template <class MutableBufferSequence, class Token>
    auto async_read_some(const MutableBufferSequence& buffers, Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode, std::size_t)>(
            [this](auto handler, const auto& sequence) {
                auto* operation =
                    HandlerOperation<ReadOperation, decltype(handler)>::create(*loop_, std::move(handler), sequence);
                start_read(*operation);
                operation->connect_slot();
            },
            token, buffers);
    }

    /// Completes with (error, bytes): at least one byte is in the send buffer then, not yet at the peer. Bytes count as
    /// sent in order; the buffers may be reused after completion.
    template <class ConstBufferSequence, class Token>
    auto async_write_some(const ConstBufferSequence& buffers, Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode, std::size_t)>(
            [this](auto handler, const auto& sequence) {
                auto* operation =
                    HandlerOperation<WriteOperation, decltype(handler)>::create(*loop_, std::move(handler), sequence);
                start_write(*operation);
                operation->connect_slot();
            },
            token, buffers);
    }

    /// Completes with (error) when a read would complete at once: data, end of data, or an error that the read will
    /// report. So an idle connection waits without holding a buffer.
    template <class Token>
    auto async_wait_readable(Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode)>(
            [this](auto handler) {
                auto* operation =
                    HandlerOperation<WaitOperation, decltype(handler)>::create(*loop_, std::move(handler));
                start_wait_readable(*operation);
                operation->connect_slot();
            },
            token);
    }

    /// As async_wait_readable(), but data alone does not complete it: for who has unread data at hand and wants to know
    /// when the peer is gone.
    template <class Token>
    auto async_wait_end(Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode)>(
            [this](auto handler) {
                auto* operation =
                    HandlerOperation<WaitOperation, decltype(handler)>::create(*loop_, std::move(handler));
                start_wait_end(*operation);
                operation->connect_slot();
            },
            token);
    }
    /// A pending async_wait_end() completes with data too from now on. Without one nothing happens.
    void expect_data() noexcept;
    /// Takes what a read would return, without copying it. What was taken goes on closing the peer's window until the
    /// reader waits for data again (async_wait_readable, expect_data) or takes more: it is done with it then. Bytes go
    /// behind those that `into` has, then by copy and only as many as fit into its block. Returns how many; 0 also when
    /// memory is short. No read may be pending.
    std::size_t take(Received& into) noexcept;
    /// As Stack::buffers_scarce(), of this stream's stack.
    [[nodiscard]] bool buffers_scarce() const noexcept;
    /// What a read reports once all data is read; no error while the peer may still send.
    [[nodiscard]] ErrorCode receive_error() const noexcept;

    /// Half-close: the peer reads eof after what was written so far. Reading goes on. Writes fail with broken_pipe from
    /// now on.
    void shutdown_send() noexcept;
    /// Ends pending operations with operation_aborted and gives the connection back: what was written is still
    /// delivered, then FIN. With unread data the peer gets RST instead (RFC 2525 §2.17), so that it learns that its
    /// data was lost.
    void close() noexcept;
    /// RST at once; what was not sent is lost.
    void abort() noexcept;
    /// Ends pending operations with operation_aborted; the connection stays as it is.
    void cancel() noexcept;

private:
    friend struct StreamAccess;
    Stream(Loop& loop, Connection& connection) noexcept : loop_{&loop}, connection_{&connection} {}

    void start_read(ReadOperation& operation) noexcept;
    void start_write(WriteOperation& operation) noexcept;
    void start_wait_readable(WaitOperation& operation) noexcept;
    void start_wait_end(WaitOperation& operation) noexcept;

    Loop* loop_;
    Connection* connection_ = nullptr;
};

} // namespace sluice::tcp
