// 60-byte UDP frames (64 with the frame check sequence) of many flows, and how many of them come back.
#include "generator.hpp"

#include <sluice/wire/checksum.hpp>

#include <array>
#include <cstdio>
#include <rte_cycles.h>
#include <rte_ethdev.h>

namespace sluice::bench {
namespace {

constexpr std::uint16_t burst_size = 32;

class Source {
public:
    Source(const Wire& wire, const Options& options) : flows_{options.flows}
    {
        std::byte* const frame = template_.data();
        wire::MutableEthernet{frame}.set(wire.node_mac(), wire.own_mac(), wire::ether_type::ipv4);
        std::byte* const ip = frame + wire::ethernet_size;
        store8(ip, 0x45);
        store16(ip + 2, static_cast<std::uint16_t>(template_.size() - wire::ethernet_size));
        store8(ip + 8, 64);
        store8(ip + 9, wire::protocol::udp);
        wire::IpAddress::v4(first_client).store(ip + 12);
        options.node.store(ip + 16);
        store16(ip + 10, wire::checksum({ip, wire::ipv4_minimum_size}));
        checksum_ = load16(ip + 10);
        const wire::MutableUdp udp{ip + wire::ipv4_minimum_size};
        udp.set_destination_port(53);
        udp.set_length(static_cast<std::uint16_t>(template_.size() - wire::ethernet_size - wire::ipv4_minimum_size));
    }

    /// The next flow's packet; every client address has 64 of them.
    void write(std::byte* frame) noexcept
    {
        std::memcpy(frame, template_.data(), template_.size());
        const std::uint32_t client = first_client + next_ / 64U;
        wire::ChecksumDelta delta;
        delta.replace32(first_client, client);
        std::byte* const ip = frame + wire::ethernet_size;
        store32(ip + 12, client);
        store16(ip + 10, delta.apply(checksum_));
        store16(ip + wire::ipv4_minimum_size, static_cast<std::uint16_t>(10000U + next_ % 64U));
        next_ = next_ + 1 < flows_ ? next_ + 1 : 0;
    }

    static constexpr std::size_t size = wire::ethernet_minimum_frame;

private:
    static constexpr std::uint32_t first_client = 0x0a010001;

    std::array<std::byte, size> template_{};
    std::uint16_t checksum_ = 0;
    std::uint32_t flows_;
    std::uint32_t next_ = 0;
};

struct Count {
    std::uint64_t sent = 0;
    std::uint64_t refused = 0; ///< By a full ring: the other end is the slower one
    std::uint64_t received = 0;
};

/// DPDK's own calls, so that the generator costs as little as it can.
class Engine {
public:
    Engine(Wire& wire, const Options& options) : wire_{wire}, source_{wire, options}, rate_{options.rate}
    {
        pool_ = rte_pktmbuf_pool_create("udp", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    }
    [[nodiscard]] bool ready() const noexcept { return pool_ != nullptr; }

    Count run(double seconds) noexcept
    {
        Count count;
        const auto hz = static_cast<double>(rte_get_tsc_hz());
        const std::uint64_t begin = rte_rdtsc();
        const std::uint64_t end = begin + static_cast<std::uint64_t>(seconds * hz);
        for (std::uint64_t now = begin; now < end; now = rte_rdtsc()) {
            receive(count);
            const double due = rate_ * static_cast<double>(now - begin) / hz;
            if (rate_ == 0 || static_cast<double>(count.sent + count.refused) < due) {
                send(count);
            }
        }
        return count;
    }

private:
    void receive(Count& count) noexcept
    {
        std::array<rte_mbuf*, burst_size> frames;
        const std::uint16_t got = rte_eth_rx_burst(0, 0, frames.data(), burst_size);
        for (std::uint16_t index = 0; index < got; ++index) {
            const auto* const data = rte_pktmbuf_mtod(frames[index], const std::byte*);
            const Bytes frame{data, frames[index]->data_len};
            if (wire::Ethernet{data}.type() == wire::ether_type::ipv4) {
                ++count.received;
                continue;
            }
            wire::ParsedPacket parsed;
            if (!wire::parse_frame(frame, parsed) && parsed.kind == wire::NetworkKind::arp) {
                wire_.handle_arp(frame, parsed);
            }
        }
        if (got != 0) {
            rte_pktmbuf_free_bulk(frames.data(), got);
        }
    }

    void send(Count& count) noexcept
    {
        std::array<rte_mbuf*, burst_size> frames;
        if (rte_pktmbuf_alloc_bulk(pool_, frames.data(), burst_size) != 0) {
            return;
        }
        for (rte_mbuf* frame : frames) {
            source_.write(rte_pktmbuf_mtod(frame, std::byte*));
            frame->data_len = Source::size;
            frame->pkt_len = Source::size;
        }
        const std::uint16_t taken = rte_eth_tx_burst(0, 0, frames.data(), burst_size);
        count.sent += taken;
        count.refused += static_cast<std::uint64_t>(burst_size - taken);
        if (taken < burst_size) {
            rte_pktmbuf_free_bulk(frames.data() + taken, static_cast<unsigned>(burst_size - taken));
        }
    }

    Wire& wire_;
    Source source_;
    double rate_;
    rte_mempool* pool_ = nullptr;
};

} // namespace

int run_udp(Wire& wire, const Options& options)
{
    Engine engine{wire, options};
    if (!engine.ready()) {
        std::fputs("no memory for packets\n", stderr);
        return 1;
    }
    static_cast<void>(engine.run(options.warm_up_seconds)); // Opens the flows.
    const Count count = engine.run(options.seconds);
    std::printf(
        "{\"seconds\": %.3f, \"sent\": %lu, \"refused\": %lu, \"received\": %lu, \"received_per_second\": %.0f}\n",
        options.seconds, count.sent, count.refused, count.received,
        static_cast<double>(count.received) / options.seconds);
    return count.received != 0 ? 0 : 1;
}

} // namespace sluice::bench
