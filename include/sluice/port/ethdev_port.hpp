// A port on a DPDK device: a kernel interface through AF_XDP or AF_PACKET, a virtual device, or a NIC.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/port/port.hpp>

#include <memory>
#include <string>
#include <variant>

namespace sluice::port {

enum class InterfaceDriver : std::uint8_t { af_xdp, af_packet };

/// A kernel interface; the kernel should use it for nothing else.
struct InterfaceDevice {
    std::string interface {
    };
    InterfaceDriver driver = InterfaceDriver::af_xdp;
};
/// DPDK's --vdev, "net_memif0,role=client,...".
struct VirtualDevice {
    std::string arguments{};
};
/// "0000:3b:00.0"; EAL was started with it.
struct PciDevice {
    std::string address{};
};
using DeviceChoice = std::variant<InterfaceDevice, VirtualDevice, PciDevice>;

struct EthdevOptions {
    std::string name{};
    std::uint8_t index = 0; ///< Marked on received packets
    DeviceChoice device{};
    std::uint16_t mtu = 1500;
    /// Queues to ask for, in each direction; the device may have fewer. An AF_XDP interface always gets all it has,
    /// since frames of a queue that nobody reads would go to the kernel.
    std::uint16_t queues = 1;
    /// Buffers of each receive queue. AF_XDP needs at least 8192: 4096 are with the kernel to be filled, up to 2048
    /// wait to be sent.
    std::size_t receive_buffers = 8192;
    /// Where an AF_XDP port notes which XDP program is its own, so that a later start recognises one left by a killed
    /// process. Must outlive the process.
    std::string runtime_directory = "/run/sluice";
};

/// Receives without a copy into buffers of its own pools, one per queue. Opening and closing: control thread, while EAL
/// runs; the rest as `Port` says. Transmit and receive queue of the same number belong to the same core.
class EthdevPort final : public Port {
public:
    /// Fails before it has changed anything when another program holds the interface.
    [[nodiscard]] static Expected<std::unique_ptr<EthdevPort>, MachineError> open(const EthdevOptions& options);
    /// Every received packet must be back in its pool.
    ~EthdevPort() override;
    EthdevPort(const EthdevPort&) = delete;
    EthdevPort& operator=(const EthdevPort&) = delete;

    [[nodiscard]] std::string_view name() const noexcept override;
    [[nodiscard]] wire::MacAddress mac() const noexcept override;
    [[nodiscard]] std::uint16_t mtu() const noexcept override;
    [[nodiscard]] const Capabilities& capabilities() const noexcept override;
    std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override;
    std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override;
    [[nodiscard]] int descriptor(std::uint16_t queue) const noexcept override;
    [[nodiscard]] bool link_up() const noexcept override;
    void refresh() noexcept override;
    [[nodiscard]] Statistics statistics() const noexcept override;
    void accept_mac(const wire::MacAddress& mac) noexcept override;

    /// Free buffers of a receive queue; none means that frames are lost although the descriptor is readable. Any
    /// thread.
    [[nodiscard]] std::size_t receive_buffers_available(std::uint16_t queue) const noexcept;
    /// One line for the start-up report: driver, queues, copy mode, descriptors.
    [[nodiscard]] std::string describe() const;

    struct State; ///< Private to src/port

private:
    explicit EthdevPort(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

} // namespace sluice::port
