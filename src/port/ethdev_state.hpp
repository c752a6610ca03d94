// The inside of EthdevPort: what opening fills in and the packet path uses.
#pragma once

#include <sluice/port/dpdk_pool.hpp>
#include <sluice/port/ethdev_port.hpp>
#include <sluice/port/xdp_program.hpp>
#include <sluice/telemetry/counters.hpp>

#include "port/kernel_interface.hpp"

#include <atomic>
#include <optional>
#include <vector>

namespace sluice::port {

/// Both directions of one queue number; they belong to one core.
struct alignas(64) EthdevQueue {
    std::unique_ptr<DpdkPool> pool;
    int descriptor = -1;
    telemetry::Cell packets_received;
    telemetry::Cell bytes_received;
    telemetry::Cell packets_transmitted;
    telemetry::Cell bytes_transmitted;
    telemetry::Cell receive_dropped;
    telemetry::Cell transmit_dropped;
    telemetry::Cell copies;
    telemetry::Cell slow_calls;
    telemetry::Cell starved;
    std::uint64_t socket_drops = 0; ///< Of the kernel's socket; control thread
};

struct EthdevPort::State {
    explicit State(EthdevOptions from) : options{std::move(from)} {}
    ~State();
    /// Stops and detaches the device; pools stay.
    void close_device() noexcept;

    EthdevOptions options;
    std::string device_name; ///< DPDK's
    std::string driver;
    bool is_virtual = false; ///< Attached by us, so to be detached
    bool attached = false;
    bool started = false;
    bool zero_copy = false;
    std::uint16_t id = 0; ///< DPDK's port number
    wire::MacAddress mac;
    Capabilities capabilities;
    std::uint32_t largest_frame = 0;
    std::uint64_t slow_ticks = 0; ///< 1 ms of the time stamp counter
    std::vector<EthdevQueue> queues;

    std::optional<KernelInterface> interface;
    int interface_index = 0;
    KernelInterface::Merging merging_before; ///< Of received frames; what we turned off is turned on again in the end.
    XdpRecord xdp_record;

    std::atomic<bool> link{false};
    std::atomic<std::uint64_t> device_receive_dropped{0};
    std::atomic<std::uint64_t> device_transmit_dropped{0};
};

} // namespace sluice::port
