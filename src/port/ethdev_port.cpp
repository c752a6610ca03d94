#include <sluice/port/ethdev_port.hpp>

#include "port/ethdev_state.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

namespace sluice::port {
namespace {

// Times a driver call with the time stamp counter, which costs less than asking a clock.
class CallTimer {
public:
    CallTimer(EthdevQueue& queue, std::uint64_t slow) noexcept : queue_{queue}, slow_{slow}, start_{rte_rdtsc()} {}
    ~CallTimer()
    {
        if (rte_rdtsc() - start_ > slow_) {
            queue_.slow_calls.add();
        }
    }
    CallTimer(const CallTimer&) = delete;
    CallTimer& operator=(const CallTimer&) = delete;

private:
    EthdevQueue& queue_;
    std::uint64_t slow_;
    std::uint64_t start_;
};

// The ring behind a DpdkPool, then this thread's cache: counting every cache, as rte_mempool_avail_count() does, is too
// slow for an empty poll.
bool is_empty(rte_mempool* pool) noexcept
{
    if (rte_ring_count(static_cast<const rte_ring*>(pool->pool_data)) > 0) {
        return false;
    }
    const rte_mempool_cache* const cache = rte_mempool_default_cache(pool, rte_lcore_id());
    return cache == nullptr || cache->len == 0;
}

// Frames in several buffers become contiguous: everything above `port` relies on that.
packet::Packet linearize(EthdevQueue& queue, rte_mbuf* chain) noexcept
{
    packet::Packet whole = queue.pool->allocate();
    std::byte* bytes = whole ? whole.append(chain->pkt_len) : nullptr;
    if (bytes == nullptr) {
        queue.receive_dropped.add();
        rte_pktmbuf_free(chain);
        return {};
    }
    for (const rte_mbuf* segment = chain; segment != nullptr; segment = segment->next) {
        std::memcpy(bytes, rte_pktmbuf_mtod(segment, const std::byte*), segment->data_len);
        bytes += segment->data_len;
    }
    rte_pktmbuf_free(chain);
    queue.copies.add();
    return whole;
}

rte_mbuf* copy_to_driver(EthdevQueue& queue, const packet::Packet& frame) noexcept
{
    rte_mbuf* const buffer = rte_pktmbuf_alloc(queue.pool->mempool());
    if (buffer == nullptr) {
        return nullptr;
    }
    char* const bytes = rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(frame.size()));
    if (bytes == nullptr) {
        rte_pktmbuf_free(buffer);
        return nullptr;
    }
    std::memcpy(bytes, frame.data(), frame.size());
    return buffer;
}

} // namespace

EthdevPort::EthdevPort(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
EthdevPort::~EthdevPort() = default;

std::string_view EthdevPort::name() const noexcept { return state_->options.name; }
wire::MacAddress EthdevPort::mac() const noexcept { return state_->mac; }
std::uint16_t EthdevPort::mtu() const noexcept { return state_->options.mtu; }
const Capabilities& EthdevPort::capabilities() const noexcept { return state_->capabilities; }
bool EthdevPort::link_up() const noexcept { return state_->link.load(std::memory_order_relaxed); }

int EthdevPort::descriptor(std::uint16_t queue) const noexcept { return state_->queues[queue].descriptor; }

std::size_t EthdevPort::receive(std::uint16_t queue_number, packet::Burst& out) noexcept
{
    EthdevQueue& queue = state_->queues[queue_number];
    std::array<rte_mbuf*, packet::Burst::capacity> buffers;
    std::uint16_t count = 0;
    {
        const CallTimer timer{queue, state_->slow_ticks};
        count = rte_eth_rx_burst(state_->id, queue_number, buffers.data(), static_cast<std::uint16_t>(out.room()));
    }
    if (count == 0) {
        if (!out.full() && is_empty(queue.pool->mempool())) {
            queue.starved.add();
        }
        return 0;
    }
    std::size_t received = 0;
    std::uint64_t bytes = 0;
    for (std::uint16_t index = 0; index < count; ++index) {
        rte_mbuf* const buffer = buffers[index];
        const bool verified = (buffer->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
        packet::Packet frame = buffer->nb_segs == 1 ? queue.pool->adopt(buffer) : linearize(queue, buffer);
        if (!frame) {
            continue;
        }
        frame.set_checksum_verified(verified);
        frame.set_port(state_->options.index);
        bytes += frame.size();
        ++received;
        out.push(std::move(frame));
    }
    queue.packets_received.add(received);
    queue.bytes_received.add(bytes);
    return received;
}

std::size_t EthdevPort::transmit(std::uint16_t queue_number, packet::Burst& frames) noexcept
{
    EthdevQueue& queue = state_->queues[queue_number];
    if (!link_up()) {
        // Drivers would keep them, and send stale adverts when the link returns.
        const std::size_t lost = frames.size();
        queue.transmit_dropped.add(lost);
        frames.clear();
        return lost;
    }
    std::array<rte_mbuf*, packet::Burst::capacity> buffers;
    std::array<bool, packet::Burst::capacity> copied{};
    std::uint16_t count = 0;
    for (const packet::Packet& frame : frames) {
        if (frame.size() > state_->largest_frame) {
            break;
        }
        copied[count] = !DpdkPool::owns(frame);
        buffers[count] = copied[count] ? copy_to_driver(queue, frame) : DpdkPool::lend(frame);
        if (buffers[count] == nullptr) {
            break;
        }
        ++count;
    }
    if (count == 0 && !frames.empty() && frames[0].size() > state_->largest_frame) {
        queue.transmit_dropped.add();
        frames.erase_front(1);
        return 1;
    }
    // Before the driver has them: afterwards the buffers may be in use again.
    std::array<std::uint16_t, packet::Burst::capacity> sizes;
    for (std::uint16_t index = 0; index < count; ++index) {
        sizes[index] = static_cast<std::uint16_t>(frames[index].size());
    }
    std::uint16_t sent = 0;
    if (count > 0) {
        const CallTimer timer{queue, state_->slow_ticks};
        sent = rte_eth_tx_burst(state_->id, queue_number, buffers.data(), count);
    }
    std::uint64_t bytes = 0;
    for (std::uint16_t index = 0; index < count; ++index) {
        if (index < sent) {
            bytes += sizes[index];
            if (copied[index]) {
                queue.copies.add();
            } else {
                static_cast<void>(frames[index].release());
            }
        } else if (copied[index]) {
            rte_pktmbuf_free(buffers[index]);
        }
    }
    queue.packets_transmitted.add(sent);
    queue.bytes_transmitted.add(bytes);
    frames.erase_front(sent);
    return sent;
}

void EthdevPort::refresh() noexcept
{
    State& state = *state_;
    if (state.interface) {
        // The same name on another interface is not our device any more.
        state.link.store(state.interface->index() == state.interface_index && state.interface->running(),
                         std::memory_order_relaxed);
    } else {
        rte_eth_link link{};
        const bool known = rte_eth_link_get_nowait(state.id, &link) == 0;
        state.link.store(known && link.link_status == RTE_ETH_LINK_UP, std::memory_order_relaxed);
    }
    rte_eth_stats device{};
    const bool counted = rte_eth_stats_get(state.id, &device) == 0;
    const bool is_xdp = state.driver == "net_af_xdp";
    // net_af_xdp counts frames that it refused, and that were sent later, among its errors.
    if (counted && !is_xdp) {
        state.device_transmit_dropped.store(device.oerrors, std::memory_order_relaxed);
    }
    if (!state.interface) {
        state.device_receive_dropped.store(device.imissed + device.rx_nombuf, std::memory_order_relaxed);
        return;
    }
    XdpSocketDrops dropped;
    for (EthdevQueue& queue : state.queues) {
        if (queue.descriptor >= 0 && is_xdp) {
            const XdpSocketDrops drops = xdp_socket_drops(queue.descriptor);
            queue.socket_drops = drops.received;
            dropped.transmitted += drops.transmitted;
        } else if (queue.descriptor >= 0) {
            queue.socket_drops += take_packet_socket_drops(queue.descriptor);
        }
        dropped.received += queue.socket_drops;
    }
    state.device_receive_dropped.store(dropped.received, std::memory_order_relaxed);
    if (is_xdp) {
        state.device_transmit_dropped.store(dropped.transmitted, std::memory_order_relaxed);
    }
}

Statistics EthdevPort::statistics() const noexcept
{
    Statistics total;
    for (const EthdevQueue& queue : state_->queues) {
        total.packets_received += queue.packets_received.get();
        total.bytes_received += queue.bytes_received.get();
        total.packets_transmitted += queue.packets_transmitted.get();
        total.bytes_transmitted += queue.bytes_transmitted.get();
        total.receive_dropped += queue.receive_dropped.get();
        total.transmit_dropped += queue.transmit_dropped.get();
        total.copies += queue.copies.get();
        total.slow_calls += queue.slow_calls.get();
        total.receive_starved += queue.starved.get();
    }
    total.receive_dropped += state_->device_receive_dropped.load(std::memory_order_relaxed);
    total.transmit_dropped += state_->device_transmit_dropped.load(std::memory_order_relaxed);
    return total;
}

void EthdevPort::accept_mac(const wire::MacAddress& mac) noexcept
{
    if (!state_->capabilities.filters_mac || mac.is_multicast()) {
        return;
    }
    rte_ether_addr address{};
    mac.store(reinterpret_cast<std::byte*>(address.addr_bytes));
    if (rte_eth_dev_mac_addr_add(state_->id, &address, 0) != 0) {
        static_cast<void>(rte_eth_promiscuous_enable(state_->id));
        state_->capabilities.filters_mac = false;
    }
}

std::size_t EthdevPort::receive_buffers_available(std::uint16_t queue) const noexcept
{
    return state_->queues[queue].pool->available();
}

std::string EthdevPort::describe() const
{
    const State& state = *state_;
    const bool sleeps = std::all_of(state.queues.begin(), state.queues.end(),
                                    [](const EthdevQueue& queue) { return queue.descriptor >= 0; });
    std::string text = state.options.name + ": ";
    text += state.interface ? state.interface->name() + " by " + state.driver : state.device_name;
    if (state.driver == "net_af_xdp") {
        text += state.zero_copy ? " (zero copy)" : " (copy)";
    }
    text += ", " + std::to_string(state.queues.size()) + (state.queues.size() == 1 ? " queue" : " queues");
    text += sleeps ? ", wakes by descriptor" : ", no descriptor: polled with growing sleeps when idle";
    return text + (state.merging_before.any() ? ", merging of received packets (GRO, LRO) turned off" : "");
}

} // namespace sluice::port
