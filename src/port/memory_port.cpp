#include <sluice/base/random.hpp>
#include <sluice/port/memory_port.hpp>

#include "port/flow_hash.hpp"

#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace sluice::port {

/// One ring from every transmit queue of the peer, so that each has one producer.
struct MemoryPort::ReceiveQueue {
    std::vector<std::unique_ptr<handoff::Ring<packet::Packet>>> rings;
    std::vector<telemetry::Cell> dropped; ///< One per ring, written by its producer
    std::size_t next_ring = 0;
    telemetry::Cell packets;
    telemetry::Cell bytes;
    int descriptor = -1;
    std::atomic<bool> signalled{false}; ///< The descriptor is, or is about to be, readable

    ~ReceiveQueue()
    {
        if (descriptor >= 0) {
            ::close(descriptor);
        }
    }
    void signal() noexcept
    {
        if (descriptor >= 0 && !signalled.exchange(true)) {
            const std::uint64_t one = 1;
            static_cast<void>(::write(descriptor, &one, sizeof one));
        }
    }
    /// After the rings were seen empty; the caller looks again, since a frame may have come just before.
    [[nodiscard]] bool unsignal() noexcept
    {
        if (descriptor < 0 || !signalled.load(std::memory_order_relaxed)) {
            return false;
        }
        std::uint64_t count = 0;
        static_cast<void>(::read(descriptor, &count, sizeof count));
        signalled.exchange(false);
        return true;
    }
    [[nodiscard]] bool empty() const noexcept
    {
        for (const auto& ring : rings) {
            if (!ring->empty()) {
                return false;
            }
        }
        return true;
    }
};

struct MemoryPort::TransmitQueue {
    Random random{0}; ///< Seeded by the receiver's options
    telemetry::Cell packets;
    telemetry::Cell bytes;
    telemetry::Cell dropped;
};

MemoryPort::MemoryPort(MemoryPortOptions options, const std::atomic<bool>& link_up)
    : options_{std::move(options)}, link_up_{link_up}
{
    assert(options_.queues > 0);
    capabilities_.receive_queues = options_.queues;
    capabilities_.transmit_queues = options_.queues;
    for (std::uint16_t queue = 0; queue < options_.queues; ++queue) {
        receive_queues_.push_back(std::make_unique<ReceiveQueue>());
        transmit_queues_.push_back(std::make_unique<TransmitQueue>());
        if (options_.descriptors) {
            receive_queues_.back()->descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        }
    }
}

MemoryPort::~MemoryPort() = default;

void MemoryPort::join(MemoryPort& peer)
{
    peer_ = &peer;
    for (std::size_t queue = 0; queue < transmit_queues_.size(); ++queue) {
        transmit_queues_[queue]->random = Random{peer.options_.seed + queue};
    }
    for (const auto& queue : receive_queues_) {
        queue->dropped = std::vector<telemetry::Cell>(peer.options_.queues);
        for (std::uint16_t from = 0; from < peer.options_.queues; ++from) {
            queue->rings.push_back(std::make_unique<handoff::Ring<packet::Packet>>(options_.queue_size));
        }
    }
}

std::size_t MemoryPort::receive(std::uint16_t queue, packet::Burst& out) noexcept
{
    ReceiveQueue& from = *receive_queues_[queue];
    std::size_t received = 0;
    std::uint64_t bytes = 0;
    const auto drain = [&] {
        // The ring to start with moves on, so that no sender starves the others.
        for (std::size_t turn = 0; turn < from.rings.size() && !out.full(); ++turn) {
            handoff::Ring<packet::Packet>& ring = *from.rings[from.next_ring];
            packet::Packet frame;
            while (!out.full() && ring.pop(frame)) {
                frame.set_port(options_.index);
                frame.set_checksum_verified(false);
                bytes += frame.size();
                ++received;
                out.push(std::move(frame));
            }
            from.next_ring = from.next_ring + 1 == from.rings.size() ? 0 : from.next_ring + 1;
        }
    };
    drain();
    if (!out.full() && from.unsignal()) {
        drain();
        if (!from.empty()) {
            from.signal();
        }
    }
    from.packets.add(received);
    from.bytes.add(bytes);
    return received;
}

std::uint16_t MemoryPort::choose_queue(TransmitQueue& from, std::uint16_t queue, Bytes frame) noexcept
{
    const std::uint16_t queues = peer_->options_.queues;
    if (queues == 1) {
        return 0;
    }
    switch (peer_->options_.choice) {
    case QueueChoice::same:
        return static_cast<std::uint16_t>(queue % queues);
    case QueueChoice::flow:
        return static_cast<std::uint16_t>(symmetric_flow_hash(frame) % queues);
    case QueueChoice::random:
        return static_cast<std::uint16_t>(from.random.below(queues));
    }
    std::abort();
}

bool MemoryPort::arrive(std::uint16_t from, std::uint16_t queue, packet::Packet&& frame) noexcept
{
    ReceiveQueue& to = *receive_queues_[queue];
    if (to.rings[from]->push(std::move(frame))) {
        to.signal();
        return true;
    }
    if (options_.when_full == WhenFull::hold) {
        return false;
    }
    to.dropped[from].add();
    frame.reset();
    return true;
}

std::size_t MemoryPort::transmit(std::uint16_t queue, packet::Burst& frames) noexcept
{
    TransmitQueue& from = *transmit_queues_[queue];
    if (!link_up()) {
        const std::size_t lost = frames.size();
        from.dropped.add(lost);
        frames.clear();
        return lost;
    }
    std::size_t taken = 0;
    for (packet::Packet& frame : frames) {
        const std::size_t size = frame.size();
        const std::uint16_t target = choose_queue(from, queue, std::as_const(frame).bytes());
        if (!peer_->arrive(queue, target, std::move(frame))) {
            break;
        }
        from.packets.add();
        from.bytes.add(size);
        ++taken;
    }
    frames.erase_front(taken);
    return taken;
}

int MemoryPort::descriptor(std::uint16_t queue) const noexcept { return receive_queues_[queue]->descriptor; }

bool MemoryPort::link_up() const noexcept { return link_up_.load(std::memory_order_relaxed); }

Statistics MemoryPort::statistics() const noexcept
{
    Statistics total;
    for (const auto& queue : receive_queues_) {
        total.packets_received += queue->packets.get();
        total.bytes_received += queue->bytes.get();
        for (const telemetry::Cell& dropped : queue->dropped) {
            total.receive_dropped += dropped.get();
        }
    }
    for (const auto& queue : transmit_queues_) {
        total.packets_transmitted += queue->packets.get();
        total.bytes_transmitted += queue->bytes.get();
        total.transmit_dropped += queue->dropped.get();
    }
    return total;
}

std::size_t MemoryPort::pending() const noexcept
{
    std::size_t count = 0;
    for (const auto& queue : receive_queues_) {
        for (const auto& ring : queue->rings) {
            count += ring->size();
        }
    }
    return count;
}

MemoryLink::MemoryLink(MemoryPortOptions first, MemoryPortOptions second)
    : first_{new MemoryPort{std::move(first), up_}}, second_{new MemoryPort{std::move(second), up_}}
{
    first_->join(*second_);
    second_->join(*first_);
}

} // namespace sluice::port
