#include <sluice/port/pcap_port.hpp>

#include "port/flow_hash.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <pcap/pcap.h>

namespace sluice::port {

struct PcapReplayPort::Queue {
    explicit Queue(std::size_t buffers, std::size_t room) : pool{buffers, room} {}
    packet::HeapPool pool;
    std::vector<std::size_t> frames; ///< Indices into the file, in its order
    std::size_t next = 0;
    std::uint32_t rounds_left = 0;
    std::atomic<bool> finished{false};
    telemetry::Cell packets;
    telemetry::Cell bytes;
    telemetry::Cell starved;
    telemetry::Cell transmitted;
    telemetry::Cell transmitted_bytes;
};

PcapReplayPort::PcapReplayPort(PcapReplayOptions options) : options_{std::move(options)}
{
    capabilities_.receive_queues = options_.queues;
    capabilities_.transmit_queues = options_.queues;
}

PcapReplayPort::~PcapReplayPort() = default;

Expected<std::unique_ptr<PcapReplayPort>, MachineError> PcapReplayPort::open(PcapReplayOptions options)
{
    std::unique_ptr<PcapReplayPort> port{new PcapReplayPort{std::move(options)}};
    const PcapReplayOptions& chosen = port->options_;
    const auto failed = [&](const std::string& why) {
        return failure(MachineError{chosen.name + ": cannot replay " + chosen.file + ": " + why, {}});
    };
    char message[PCAP_ERRBUF_SIZE] = {};
    const std::unique_ptr<pcap_t, void (*)(pcap_t*)> file{pcap_open_offline(chosen.file.c_str(), message), pcap_close};
    if (!file) {
        return failed(message);
    }
    if (pcap_datalink(file.get()) != DLT_EN10MB) {
        return failed("its frames are not Ethernet");
    }
    std::size_t memory = 0;
    std::size_t longest = packet::default_data_room;
    pcap_pkthdr* header = nullptr;
    const unsigned char* bytes = nullptr;
    int result = 0;
    while ((result = pcap_next_ex(file.get(), &header, &bytes)) == 1) {
        constexpr std::size_t largest = 65535 - packet::default_headroom;
        if (header->caplen > largest) {
            return failed("it holds a frame of " + std::to_string(header->caplen) + " bytes");
        }
        memory += header->caplen;
        if (memory > chosen.memory_limit) {
            return failed("it holds more than " + std::to_string(chosen.memory_limit) + " bytes of frames");
        }
        longest = std::max<std::size_t>(longest, header->caplen);
        const auto* const first = reinterpret_cast<const std::byte*>(bytes);
        port->frames_.emplace_back(first, first + header->caplen);
    }
    if (result == PCAP_ERROR) {
        return failed(pcap_geterr(file.get()));
    }
    port->make_queues(longest);
    return port;
}

void PcapReplayPort::make_queues(std::size_t longest)
{
    for (std::uint16_t queue = 0; queue < options_.queues; ++queue) {
        queues_.push_back(std::make_unique<Queue>(options_.buffers, longest));
        queues_.back()->rounds_left = options_.rounds;
    }
    for (std::size_t index = 0; index < frames_.size(); ++index) {
        queues_[symmetric_flow_hash(frames_[index]) % options_.queues]->frames.push_back(index);
    }
    for (const auto& queue : queues_) {
        queue->finished.store(queue->frames.empty());
    }
}

std::size_t PcapReplayPort::receive(std::uint16_t queue_number, packet::Burst& out) noexcept
{
    Queue& queue = *queues_[queue_number];
    std::size_t received = 0;
    while (!out.full() && !queue.finished.load(std::memory_order_relaxed)) {
        packet::Packet frame = queue.pool.allocate();
        if (!frame) {
            queue.starved.add();
            break;
        }
        const std::vector<std::byte>& bytes = frames_[queue.frames[queue.next]];
        std::memcpy(frame.append(bytes.size()), bytes.data(), bytes.size());
        frame.set_port(options_.index);
        queue.packets.add();
        queue.bytes.add(bytes.size());
        out.push(std::move(frame));
        ++received;
        if (++queue.next == queue.frames.size()) {
            queue.next = 0;
            if (queue.rounds_left == 1) {
                queue.finished.store(true, std::memory_order_release);
            } else if (queue.rounds_left > 1) {
                --queue.rounds_left;
            }
        }
    }
    return received;
}

std::size_t PcapReplayPort::transmit(std::uint16_t queue_number, packet::Burst& frames) noexcept
{
    Queue& queue = *queues_[queue_number];
    const std::size_t count = frames.size();
    for (const packet::Packet& frame : frames) {
        queue.transmitted_bytes.add(frame.size());
    }
    queue.transmitted.add(count);
    frames.clear();
    return count;
}

Statistics PcapReplayPort::statistics() const noexcept
{
    Statistics total;
    for (const auto& queue : queues_) {
        total.packets_received += queue->packets.get();
        total.bytes_received += queue->bytes.get();
        total.receive_starved += queue->starved.get();
        total.packets_transmitted += queue->transmitted.get();
        total.bytes_transmitted += queue->transmitted_bytes.get();
    }
    total.copies = total.packets_received;
    return total;
}

bool PcapReplayPort::finished() const noexcept
{
    return std::all_of(queues_.begin(), queues_.end(),
                       [](const auto& queue) { return queue->finished.load(std::memory_order_acquire); });
}

} // namespace sluice::port
