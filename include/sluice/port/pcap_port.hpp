// A port that receives the frames of a capture file and swallows what is sent.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/port.hpp>
#include <sluice/telemetry/counters.hpp>

#include <memory>
#include <string>
#include <vector>

namespace sluice::port {

struct PcapReplayOptions {
    std::string name{};
    std::string file{}; ///< pcap or pcapng, Ethernet
    wire::MacAddress mac{};
    std::uint16_t mtu = 1500;
    std::uint16_t queues = 1; ///< Frames are spread by flow
    std::uint8_t index = 0;
    std::uint32_t rounds = 1;                         ///< How often the file is played; 0: for ever
    std::size_t buffers = 1024;                       ///< Per queue
    std::size_t memory_limit = std::size_t{1} << 30U; ///< Of the file's frames, bytes
};

/// Timing is ignored: a frame comes whenever it is asked for. Each queue belongs to one thread.
class PcapReplayPort final : public Port {
public:
    /// Reads the whole file.
    [[nodiscard]] static Expected<std::unique_ptr<PcapReplayPort>, MachineError> open(PcapReplayOptions options);
    ~PcapReplayPort() override;

    [[nodiscard]] std::string_view name() const noexcept override { return options_.name; }
    [[nodiscard]] wire::MacAddress mac() const noexcept override { return options_.mac; }
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return options_.mtu; }
    [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }
    std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override;
    std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override;
    [[nodiscard]] int descriptor(std::uint16_t) const noexcept override { return -1; }
    [[nodiscard]] bool link_up() const noexcept override { return true; }
    void refresh() noexcept override {}
    /// `copies` counts every frame received.
    [[nodiscard]] Statistics statistics() const noexcept override;
    void accept_mac(const wire::MacAddress&) noexcept override {}

    /// Has every queue handed out everything? Any thread.
    [[nodiscard]] bool finished() const noexcept;

private:
    struct Queue;
    explicit PcapReplayPort(PcapReplayOptions options);
    void make_queues(std::size_t longest);

    PcapReplayOptions options_;
    Capabilities capabilities_;
    std::vector<std::vector<std::byte>> frames_;
    std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace sluice::port
