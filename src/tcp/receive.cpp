// The payload and the FIN of an acceptable segment: reassembly, acknowledgment policy (RFC 9293 §3.10.7.4, seventh and
// eighth check; §3.8.6.3; RFC 5681 §4.2).
#include "tcp/core.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::tcp {
namespace {

/// Bytes of the ring that hold something, gaps included, counted from the reader's position.
std::size_t extent(const Connection& connection) noexcept
{
    if (connection.out_of_order == nullptr || connection.out_of_order->empty()) {
        return connection.unread;
    }
    const RangeSet& kept = *connection.out_of_order;
    // What a reader has just taken may reach beyond all that was kept.
    return static_cast<std::size_t>(later(kept[kept.size() - 1].end, connection.rcv_nxt) - connection.read_edge());
}

bool store(Connection& connection, std::size_t offset, Bytes data) noexcept
{
    Core& core = *connection.core;
    const std::size_t needed = offset + data.size();
    // Also what was announced before memory became short is not worth everybody else's: the peer sends it again.
    const bool allowed = needed <= std::max(core.buffers.share(), connection.receive.capacity());
    if (!allowed || !connection.receive.reserve(core.buffers, needed, extent(connection))) {
        core.count(Counter::tcp_receive_memory_dropped);
        core.counters.drop(DropReason::tcp_memory);
        return false;
    }
    connection.receive.write(offset, data);
    return true;
}

/// A waiting reader takes in-order bytes straight from the packet. Returns how many.
std::size_t hand_over(Connection& connection, Bytes data) noexcept
{
    if (connection.reader == nullptr || connection.unread != 0) {
        return 0;
    }
    ReadOperation& reader = *std::exchange(connection.reader, nullptr);
    for (std::size_t index = 0; index < reader.buffers.count && reader.transferred < data.size(); ++index) {
        const MutableBytes to = reader.buffers.items[index];
        const std::size_t size = std::min(to.size(), data.size() - reader.transferred);
        std::memcpy(to.data(), data.data() + reader.transferred, size);
        reader.transferred += size;
    }
    if (connection.receive.capacity() != 0) {
        connection.receive.consume(reader.transferred); // Bytes behind a gap keep their places.
    }
    const std::size_t taken = reader.transferred;
    reader.complete({});
    count_read(connection, taken);
    return taken;
}

/// Returns false when the bytes had to be refused.
bool take_in_order(Connection& connection, Bytes data) noexcept
{
    const std::size_t taken = hand_over(connection, data);
    connection.rcv_nxt += static_cast<std::uint32_t>(taken);
    const Bytes rest = data.subspan(taken);
    if (!rest.empty()) {
        if (!store(connection, connection.unread, rest)) {
            return false;
        }
        connection.unread += static_cast<std::uint32_t>(rest.size());
        connection.rcv_nxt += static_cast<std::uint32_t>(rest.size());
    }
    return true;
}

/// What was waiting behind the gap that has just been filled.
void join(Connection& connection) noexcept
{
    if (connection.out_of_order == nullptr) {
        return;
    }
    RangeSet& kept = *connection.out_of_order;
    connection.ack_now = true;
    kept.drop_before(connection.rcv_nxt); // The first may begin right there now: the segment may have ended inside it.
    if (!kept.empty() && kept[0].begin == connection.rcv_nxt) {
        connection.unread += kept[0].size();
        connection.rcv_nxt = kept[0].end;
        kept.drop_before(connection.rcv_nxt);
    }
    if (kept.empty()) {
        connection.out_of_order.reset();
    }
}

void keep_out_of_order(Connection& connection, Sequence sequence, Bytes data) noexcept
{
    Core& core = *connection.core;
    if (data.empty()) {
        return;
    }
    if (connection.out_of_order == nullptr) {
        connection.out_of_order.reset(new (std::nothrow) RangeSet);
        if (connection.out_of_order == nullptr) {
            core.counters.drop(DropReason::tcp_memory);
            return;
        }
    }
    RangeSet& kept = *connection.out_of_order;
    const SequenceRange range{sequence, sequence + static_cast<std::uint32_t>(data.size())};
    if (kept.contains(range)) {
        connection.duplicate = connection.sack_allowed ? range : SequenceRange{};
        return;
    }
    if (kept.size() == RangeSet::capacity) {
        core.count(Counter::tcp_out_of_order_dropped);
        core.counters.drop(DropReason::tcp_memory);
        return;
    }
    if (store(connection, static_cast<std::size_t>(sequence - connection.read_edge()), data)) {
        bool refused = false;
        kept.add(range, refused);
        core.count(Counter::tcp_out_of_order_queued);
    } else if (kept.empty()) {
        connection.out_of_order.reset();
    }
}

/// Returns false when the connection is gone.
bool fin_arrives(Connection& connection) noexcept
{
    connection.rcv_nxt += 1;
    connection.rcv_edge = later(connection.rcv_edge, connection.rcv_nxt); // A FIN may stand right behind a full window.
    connection.fin_received = true;
    connection.out_of_order.reset();
    connection.ack_now = true;
    switch (connection.state) {
    case State::established:
        connection.state = State::close_wait;
        break;
    case State::fin_wait_1:
        connection.state = State::closing;
        break;
    case State::fin_wait_2:
        send_ack(connection);
        enter_time_wait(connection);
        return false;
    default:
        break;
    }
    return true;
}

void decide_acknowledgment(Connection& connection) noexcept
{
    const auto pending = static_cast<std::uint32_t>(connection.rcv_nxt - connection.acknowledged);
    if (pending >= 2 * std::uint32_t{connection.rcv_mss}) {
        connection.ack_now = true;
    } else if (pending != 0 && connection.ack_at == never) {
        connection.ack_at = connection.core->now() + connection.core->options.delayed_ack;
    }
    if (connection.ack_now) {
        mark_dirty(connection);
    }
}

} // namespace

void process_payload(Connection& connection, const Segment& segment) noexcept
{
    Bytes data = segment.payload;
    bool fin = segment.has(wire::tcp_flag::fin);
    if (data.empty() && !fin) {
        return;
    }
    if (!connection.may_receive()) {
        connection.ack_now = true; // After the peer's FIN there is nothing: whatever this is, it is old.
        mark_dirty(connection);
        return;
    }
    Sequence sequence = segment.sequence;
    if (sequence < connection.rcv_nxt) {
        const auto old = static_cast<std::uint32_t>(connection.rcv_nxt - sequence);
        if (connection.sack_allowed) {
            connection.duplicate = {sequence, connection.rcv_nxt};
        }
        data = data.subspan(std::min<std::size_t>(old, data.size()));
        sequence = connection.rcv_nxt;
        connection.ack_now = true;
    }
    const auto room = static_cast<std::uint32_t>(connection.rcv_edge - sequence);
    if (data.size() > room) {
        data = data.first(room);
        fin = false;
        connection.ack_now = true; // Tells the window again: an answer to a probe, or to a peer that disregards it.
    }
    if (!data.empty() && !connection.has_handle && !connection.queued_to_accept) {
        connection.core->count(Counter::tcp_aborts_on_data);
        abort_connection(connection, Failure::aborted);
        return;
    }
    connection.rcv_mss = static_cast<std::uint16_t>(std::max<std::size_t>(connection.rcv_mss, segment.payload.size()));
    if (fin) {
        connection.fin_known = true;
        connection.rcv_fin = sequence + static_cast<std::uint32_t>(data.size());
    }
    if (sequence != connection.rcv_nxt) {
        keep_out_of_order(connection, sequence, data);
        send_ack(connection); // One for each segment: they are what a sender without SACK counts (RFC 5681 §4.2).
        return;
    }
    connection.bytes_received += data.size();
    if (!data.empty()) {
        if (!take_in_order(connection, data)) {
            connection.fin_known = connection.fin_known && !fin;
            connection.ack_now = true;
        }
        join(connection);
    }
    if (connection.fin_known && connection.rcv_nxt == connection.rcv_fin && !fin_arrives(connection)) {
        return;
    }
    decide_acknowledgment(connection);
    wake_reader(connection);
}

} // namespace sluice::tcp
