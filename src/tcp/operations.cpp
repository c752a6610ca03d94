// Pending operations of a stream, and the copies between its buffers and the rings.
#include "tcp/core.hpp"
#include "tcp/received_access.hpp"

#include <boost/asio/error.hpp>

namespace sluice::tcp {
namespace {

namespace error = boost::asio::error;

constexpr std::size_t closed_window_limit = 32 * 1024;

/// Copies what is there; the caller knows that it is not nothing.
void copy_out(Connection& connection, ReadOperation& reader) noexcept
{
    for (std::size_t index = 0; index < reader.buffers.count && reader.transferred < connection.unread; ++index) {
        const MutableBytes to = reader.buffers.items[index];
        const std::size_t size = std::min<std::size_t>(to.size(), connection.unread - reader.transferred);
        connection.receive.read(reader.transferred, to.first(size));
        reader.transferred += size;
    }
    connection.receive.consume(reader.transferred);
    connection.unread -= static_cast<std::uint32_t>(reader.transferred);
    count_read(connection, reader.transferred);
}

/// The reader made room: buffers go back, and the peer learns of it when it is worth a segment (RFC 9293 §3.8.6.2.2).
void room_was_made(Connection& connection) noexcept
{
    Core& core = *connection.core;
    if (connection.unread == 0 && (connection.out_of_order == nullptr || connection.out_of_order->empty())) {
        connection.receive.release(core.buffers);
    }
    if (connection.state == State::closed || !connection.may_receive()) {
        return;
    }
    // While the peer may still send more than half a window, the next segment tells it in time (RFC 9293 §3.8.6.2.1
    // lets it send that much); a segment for nothing else would be one of eight when requests are small.
    if (connection.receive_window() > connection.rcv_limit / 2) {
        return;
    }
    const Sequence edge = connection.rcv_nxt + free_receive_space(connection);
    if (edge - connection.rcv_edge >= static_cast<std::int32_t>(window_update_threshold(connection))) {
        connection.ack_now = true;
        mark_dirty(connection);
    }
}

/// Bytes that may be written and not acknowledged; less while memory is short.
std::size_t send_limit(const Connection& connection) noexcept
{
    const std::size_t share = std::max(connection.core->buffers.share(), connection.send.capacity());
    const std::size_t limit = std::min<std::size_t>(connection.options->send_limit, share);
    // A peer with a closed window takes nothing: enough to go on with when it opens.
    return connection.snd_wnd == 0 ? std::min<std::size_t>(limit, closed_window_limit) : limit;
}

std::size_t copy_in(Connection& connection, WriteOperation& writer) noexcept
{
    Core& core = *connection.core;
    const std::size_t limit = send_limit(connection);
    std::size_t size = std::min(writer.buffers.size, limit - std::min<std::size_t>(limit, connection.unacknowledged));
    if (!connection.send.reserve(core.buffers, connection.unacknowledged + size, connection.unacknowledged)) {
        size = std::min(size, connection.send.capacity() - connection.unacknowledged);
    }
    for (std::size_t index = 0; index < writer.buffers.count && writer.transferred < size; ++index) {
        const Bytes from = writer.buffers.items[index];
        const Bytes part = from.first(std::min(from.size(), size - writer.transferred));
        connection.send.write(connection.unacknowledged, part);
        connection.unacknowledged += static_cast<std::uint32_t>(part.size());
        writer.transferred += part.size();
    }
    return writer.transferred;
}

void cancel_operation(void* owner, Operation& operation) noexcept
{
    auto& connection = *static_cast<Connection*>(owner);
    if (connection.reader == &operation) {
        connection.reader = nullptr;
    } else if (connection.waiter == &operation) {
        connection.waiter = nullptr;
    } else if (connection.writer == &operation) {
        connection.writer = nullptr;
    }
    operation.complete(error::operation_aborted);
}

} // namespace

void count_read(Connection& connection, std::size_t bytes) noexcept
{
    connection.rcv_progress += static_cast<std::uint32_t>(bytes);
    connection.not_read = false;
    const std::uint32_t limit = connection.rcv_limit;
    if (connection.rcv_progress >= 2 * std::uint64_t{limit} && !connection.core->buffers.under_pressure()) {
        connection.rcv_limit = std::min(2 * limit, std::max(limit, connection.options->receive_limit));
        connection.rcv_progress = 0;
    }
}

void wake_reader(Connection& connection) noexcept
{
    const bool ended = connection.fin_received || connection.state == State::closed;
    if (connection.unread == 0 && !ended) {
        return;
    }
    if (connection.waiter != nullptr && (ended || !connection.waits_for_end)) {
        std::exchange(connection.waiter, nullptr)->complete({});
    }
    ReadOperation* reader = std::exchange(connection.reader, nullptr);
    if (reader == nullptr) {
        return;
    }
    if (connection.unread != 0) {
        copy_out(connection, *reader);
        reader->complete({});
        room_was_made(connection);
        return;
    }
    reader->complete(connection.fin_received ? ErrorCode{error::eof} : to_error(connection.failure));
}

void wake_writer(Connection& connection) noexcept
{
    if (connection.writer == nullptr) {
        return;
    }
    WriteOperation& writer = *connection.writer;
    if (connection.state == State::closed || connection.fin_queued) {
        connection.writer = nullptr;
        writer.complete(connection.failure == Failure::none ? ErrorCode{error::broken_pipe}
                                                            : to_error(connection.failure));
        return;
    }
    // Not for every acknowledged segment: a writer is woken when a good part of what it wants, or of the buffer, is
    // free.
    const std::size_t limit = send_limit(connection);
    const std::size_t room = limit - std::min<std::size_t>(limit, connection.unacknowledged);
    if (room == 0 || room < std::min(writer.buffers.size, limit / 4)) {
        return;
    }
    if (copy_in(connection, writer) != 0) {
        connection.writer = nullptr;
        writer.complete({});
        mark_dirty(connection);
    } else if (connection.unacknowledged == 0) {
        connection.writer = nullptr; // No acknowledgment will come to try again.
        writer.complete(error::no_buffer_space);
    }
}

void complete_pending(Connection& connection, const ErrorCode& code) noexcept
{
    if (ReadOperation* reader = std::exchange(connection.reader, nullptr)) {
        reader->complete(code);
    }
    if (WaitOperation* waiter = std::exchange(connection.waiter, nullptr)) {
        waiter->complete(code);
    }
    if (WriteOperation* writer = std::exchange(connection.writer, nullptr)) {
        writer->complete(code);
    }
}

void Stream::start_read(ReadOperation& operation) noexcept
{
    if (connection_ == nullptr) {
        operation.complete(error::bad_descriptor);
    } else if (operation.buffers.size == 0) {
        operation.complete({});
    } else if (connection_->reader != nullptr || connection_->waiter != nullptr) {
        operation.complete(error::in_progress);
    } else {
        operation.attach(connection_, &cancel_operation);
        connection_->reader = &operation;
        wake_reader(*connection_);
    }
}

namespace {

/// Who waits for data is done with what it took before.
void taken_was_used(Connection& connection) noexcept
{
    if (std::exchange(connection.taken, std::uint16_t{0}) != 0 && connection.core != nullptr) {
        room_was_made(connection);
    }
}

void start_waiting(Connection* connection, WaitOperation& operation, bool for_end) noexcept
{
    if (connection == nullptr) {
        operation.complete(error::bad_descriptor);
    } else if (connection->reader != nullptr || connection->waiter != nullptr) {
        operation.complete(error::in_progress);
    } else {
        operation.attach(connection, &cancel_operation);
        connection->waiter = &operation;
        connection->waits_for_end = for_end;
        if (!for_end) {
            taken_was_used(*connection);
        }
        wake_reader(*connection);
    }
}

} // namespace

void Stream::start_wait_readable(WaitOperation& operation) noexcept { start_waiting(connection_, operation, false); }

void Stream::start_wait_end(WaitOperation& operation) noexcept { start_waiting(connection_, operation, true); }

void Stream::expect_data() noexcept
{
    if (connection_ != nullptr && connection_->waiter != nullptr && connection_->waits_for_end) {
        connection_->waits_for_end = false;
        taken_was_used(*connection_);
        wake_reader(*connection_);
    }
}

std::size_t Stream::take(Received& into) noexcept
{
    if (connection_ == nullptr || connection_->core == nullptr || connection_->unread == 0) {
        return 0;
    }
    Connection& connection = *connection_;
    BufferPool& pool = connection.core->buffers;
    const bool gaps = connection.out_of_order != nullptr && !connection.out_of_order->empty();
    std::size_t size = connection.unread;
    if (into.empty() && !gaps) {
        into.reset();
        ReceivedAccess::adopt(into, pool, connection.receive.take(size), size);
    } else {
        // What waits behind a gap has its place in the ring, so the ring stays.
        size = into.empty() ? ReceivedAccess::copy(into, pool, connection.receive, size)
                            : ReceivedAccess::append(into, connection.receive, size);
        connection.receive.consume(size);
    }
    connection.unread -= static_cast<std::uint32_t>(size);
    if (size != 0) {
        connection.taken = static_cast<std::uint16_t>(std::min<std::size_t>((into.size() + 63) / 64, 65535));
        count_read(connection, size);
        room_was_made(connection);
    }
    return size;
}

bool Stream::buffers_scarce() const noexcept
{
    return connection_ != nullptr && connection_->core != nullptr && connection_->core->buffers.under_pressure();
}

ErrorCode Stream::receive_error() const noexcept
{
    if (connection_ == nullptr) {
        return error::bad_descriptor;
    }
    if (connection_->fin_received) {
        return error::eof;
    }
    return connection_->state == State::closed ? to_error(connection_->failure) : ErrorCode{};
}

void Stream::start_write(WriteOperation& operation) noexcept
{
    if (connection_ == nullptr) {
        operation.complete(error::bad_descriptor);
    } else if (operation.buffers.size == 0) {
        operation.complete({});
    } else if (connection_->writer != nullptr) {
        operation.complete(error::in_progress);
    } else {
        operation.attach(connection_, &cancel_operation);
        connection_->writer = &operation;
        wake_writer(*connection_);
    }
}

wire::Endpoint Stream::local_endpoint() const noexcept
{
    return connection_ != nullptr ? connection_->local_endpoint() : wire::Endpoint{};
}

wire::Endpoint Stream::remote_endpoint() const noexcept
{
    return connection_ != nullptr ? connection_->remote_endpoint() : wire::Endpoint{};
}

std::size_t Stream::available() const noexcept { return connection_ != nullptr ? connection_->unread : 0; }

void Stream::shutdown_send() noexcept
{
    if (connection_ != nullptr && connection_->core != nullptr) {
        tcp::shutdown_send(*connection_);
    }
}

void Stream::close() noexcept
{
    if (Connection* connection = std::exchange(connection_, nullptr)) {
        close_handle(*connection);
    }
}

void Stream::abort() noexcept
{
    if (connection_ != nullptr && connection_->core != nullptr && connection_->state != State::closed) {
        complete_pending(*connection_, error::operation_aborted);
        abort_connection(*connection_, Failure::aborted);
    }
    close();
}

void Stream::cancel() noexcept
{
    if (connection_ != nullptr) {
        complete_pending(*connection_, error::operation_aborted);
    }
}

} // namespace sluice::tcp
