// Opening and closing of DPDK devices, in numbered steps.
#include <sluice/port/dpdk_log.hpp>

#include "port/ethdev_state.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <unistd.h>

namespace sluice::port {
namespace {

constexpr std::uint32_t ethernet_overhead = 18; ///< Ethernet header and one VLAN tag
constexpr std::uint32_t tpacket_overhead = 128; ///< Of an AF_PACKET ring slot, rounded up
constexpr std::size_t xdp_headroom = 256;       ///< XDP_PACKET_HEADROOM, which the kernel takes in front of every frame
constexpr std::size_t xdp_buffers = 8192;       ///< See EthdevOptions::receive_buffers
constexpr std::uint16_t descriptors_wanted = 2048;

std::size_t packet_slot(const EthdevOptions& options)
{
    return std::bit_ceil(std::size_t{std::max(2048U, options.mtu + ethernet_overhead + tpacket_overhead)});
}

// Room behind the headroom of a receive buffer.
std::size_t data_room(const EthdevOptions& options)
{
    const std::size_t frame = options.mtu + ethernet_overhead;
    if (const auto* device = std::get_if<InterfaceDevice>(&options.device)) {
        // net_af_packet copies whatever a slot holds without asking how large the buffer is: a peer that sends more
        // than the MTU must not make it write behind the end.
        return device->driver == InterfaceDriver::af_packet ? packet_slot(options)
                                                            : std::max(packet::default_data_room, xdp_headroom + frame);
    }
    return std::max(packet::default_data_room, frame);
}

MachineError device_error(const EthdevOptions& options, const std::string& what, int error)
{
    std::string message = options.name + ": " + what;
    if (const std::string log = dpdk_errors(); !log.empty()) {
        message += ": " + log;
    } else if (error != 0) {
        message += std::string{": "} + std::strerror(error < 0 ? -error : error);
    }
    return MachineError{message, "sluice check --host FILE"};
}

struct Attach {
    std::string name;
    std::string arguments;
    std::string driver;
};

/// How an AF_XDP device is attached. The first time the kernel chooses.
enum class XdpMode : std::uint8_t { kernel_chooses, zero_copy, copy };

Attach interface_device(const EthdevOptions& options, const InterfaceDevice& device, std::uint16_t queues, XdpMode mode)
{
    if (device.driver == InterfaceDriver::af_xdp) {
        // A busy budget makes every empty poll a system call; only zero copy needs the driver to be driven that way,
        // where without it an empty poll could sleep for a second.
        return {"net_af_xdp_" + device.interface,
                "iface=" + device.interface + ",start_queue=0,queue_count=" + std::to_string(queues) +
                    (mode == XdpMode::zero_copy ? "" : ",busy_budget=0") +
                    (mode == XdpMode::copy ? ",force_copy=1" : ""),
                "net_af_xdp"};
    }
    const std::size_t slot = packet_slot(options);
    constexpr std::size_t block = 65536;
    return {"net_af_packet_" + device.interface,
            "iface=" + device.interface + ",qpairs=" + std::to_string(queues) +
                ",blocksz=" + std::to_string(std::max(block, slot)) + ",framesz=" + std::to_string(slot) +
                ",framecnt=4096,qdisc_bypass=1",
            "net_af_packet"};
}

Attach virtual_device(const VirtualDevice& device)
{
    const std::size_t comma = device.arguments.find(',');
    Attach attach{device.arguments.substr(0, comma),
                  comma == std::string::npos ? std::string{} : device.arguments.substr(comma + 1),
                  {}};
    attach.driver = attach.name.substr(0, attach.name.find_last_not_of("0123456789") + 1);
    return attach;
}

// Step 1 for AF_XDP: nobody else's program may be replaced.
Expected<void, MachineError> clear_xdp(const EthdevOptions& options, const std::string& interface)
{
    const std::optional<XdpProgram> program = attached_xdp_program(interface);
    if (!program) {
        return {};
    }
    const XdpRecordFacts record = inspect_xdp_record(options.runtime_directory, program->id);
    if (record.state == XdpRecordState::left_behind && detach_xdp_program(interface)) {
        forget_xdp_record(options.runtime_directory, program->id);
        return {};
    }
    if (record.state == XdpRecordState::left_behind) {
        return failure(MachineError{options.name + ": cannot replace the XDP program that a killed process left on " +
                                        interface + ": " + std::strerror(errno),
                                    "ip link set dev " + interface + " xdp off"});
    }
    const std::string owner = record.state == XdpRecordState::held
                                  ? "of the running process " + std::to_string(record.holder)
                                  : "`" + program->name + "` of somebody else";
    return failure(MachineError{options.name + ": " + interface + " has an XDP program (" +
                                    std::to_string(program->id) + ") " + owner,
                                "ip link set dev " + interface + " xdp off"});
}

// Step 1 for AF_PACKET. net_af_packet spreads frames over its sockets by a fanout group, also over one socket, and
// takes the number of the group from the process and the interface. The kernel knows a number once per network
// namespace: on another interface it refuses the second user, on the same one it would give each user a part of the
// frames.
Expected<void, MachineError> clear_fanout(const EthdevOptions& options, const KernelInterface& interface)
{
    const auto group = static_cast<std::uint16_t>(::getpid() ^ interface.index());
    if (!fanout_group_exists(group)) {
        return {};
    }
    return failure(MachineError{options.name + ": another process has the fanout group " + std::to_string(group) +
                                    ", which AF_PACKET would use on " + interface.name() + " in process " +
                                    std::to_string(::getpid()),
                                "systemctl restart sluice: a new process gets another group; containers on one network "
                                "also need one space of process ids (--pid=host)"});
}

class Opening {
public:
    explicit Opening(EthdevPort::State& state) : state_{state}, options_{state.options} {}

    [[nodiscard]] Expected<void, MachineError> run()
    {
        clear_dpdk_log();
        if (auto done = prepare_interface(); !done) {
            return done;
        }
        if (auto done = attach_and_start(XdpMode::kernel_chooses); !done) {
            return done;
        }
        if (state_.zero_copy) {
            state_.close_device();
            // The kernel refuses zero copy for buffers that cross into a page which lies elsewhere in memory: with
            // 4 KiB pages that is every second one, and refused buffers never come back.
            const XdpMode mode = rte_eal_has_hugepages() != 0 ? XdpMode::zero_copy : XdpMode::copy;
            if (auto done = attach_and_start(mode); !done) {
                return done;
            }
        }
        return finish();
    }

private:
    [[nodiscard]] Expected<void, MachineError> prepare_interface();
    [[nodiscard]] Expected<void, MachineError> attach_and_start(XdpMode mode);
    [[nodiscard]] Expected<void, MachineError> attach(XdpMode mode);
    [[nodiscard]] Expected<void, MachineError> configure(std::uint16_t& receive_descriptors,
                                                         std::uint16_t& transmit_descriptors);
    [[nodiscard]] Expected<void, MachineError> make_queues();
    [[nodiscard]] Expected<void, MachineError> set_up_queues(std::uint16_t receive_descriptors,
                                                             std::uint16_t transmit_descriptors);
    void let_everything_in();
    [[nodiscard]] Expected<void, MachineError> finish();
    [[nodiscard]] bool is_xdp() const { return state_.driver == "net_af_xdp"; }

    EthdevPort::State& state_;
    const EthdevOptions& options_;
    std::uint16_t queues_ = 1;
    std::vector<int> packet_sockets_;
};

// 1. The kernel's side: the interface exists, is free, and carries frames of our size.
Expected<void, MachineError> Opening::prepare_interface()
{
    queues_ = std::max<std::uint16_t>(options_.queues, 1);
    const auto* device = std::get_if<InterfaceDevice>(&options_.device);
    if (device == nullptr) {
        return {};
    }
    KernelInterface& interface = state_.interface.emplace(device->interface);
    state_.interface_index = interface.index();
    if (state_.interface_index == 0) {
        return failure(MachineError{options_.name + ": there is no interface " + device->interface, "ip link show"});
    }
    if (device->driver == InterfaceDriver::af_xdp) {
        queues_ = interface.channels();
        // Otherwise libxdp may put a dispatcher in front of our program and pin both where they outlive us.
        ::setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
        if (auto clear = clear_xdp(options_, device->interface); !clear) {
            return clear;
        }
    } else if (auto clear = clear_fanout(options_, interface); !clear) {
        return clear;
    }
    if (interface.mtu() < options_.mtu && !interface.set_mtu(options_.mtu)) {
        return failure(MachineError{options_.name + ": " + device->interface + " cannot carry packets of " +
                                        std::to_string(options_.mtu) + " bytes: " + std::strerror(errno),
                                    "ip link set dev " + device->interface + " mtu " + std::to_string(options_.mtu)});
    }
    // Packets that the kernel has put together do not fit into our buffers. Where it cannot be turned off, the drop
    // reason `larger_than_mtu` says what to do.
    state_.merging_before = interface.merging();
    if (state_.merging_before.any() && !interface.set_merging({})) {
        state_.merging_before = {};
    }
    return {};
}

Expected<void, MachineError> Opening::attach_and_start(XdpMode mode)
{
    std::uint16_t receive_descriptors = descriptors_wanted;
    std::uint16_t transmit_descriptors = descriptors_wanted;
    if (auto done = attach(mode); !done) {
        return done;
    }
    if (auto done = configure(receive_descriptors, transmit_descriptors); !done) {
        return done;
    }
    if (auto done = make_queues(); !done) {
        return done;
    }
    if (auto done = set_up_queues(receive_descriptors, transmit_descriptors); !done) {
        return done;
    }
    if (const int error = rte_eth_dev_start(state_.id); error != 0) {
        return failure(device_error(options_, "the device does not start", error));
    }
    state_.started = true;
    return {};
}

// 2. DPDK finds the device. net_af_packet opens its sockets here, one per queue in order.
Expected<void, MachineError> Opening::attach(XdpMode mode)
{
    Attach attach;
    if (const auto* device = std::get_if<InterfaceDevice>(&options_.device)) {
        attach = interface_device(options_, *device, queues_, mode);
    } else if (const auto* vdev = std::get_if<VirtualDevice>(&options_.device)) {
        attach = virtual_device(*vdev);
    } else {
        attach.name = std::get<PciDevice>(options_.device).address;
    }
    state_.device_name = attach.name;
    state_.is_virtual = !std::holds_alternative<PciDevice>(options_.device);
    if (state_.is_virtual) {
        const DescriptorPlug plug;
        const std::vector<int> before = open_descriptors(DescriptorKind::packet_socket);
        const int error = rte_eal_hotplug_add("vdev", attach.name.c_str(), attach.arguments.c_str());
        if (error != 0) {
            return failure(device_error(options_, "DPDK cannot attach " + attach.name, error));
        }
        state_.attached = true;
        packet_sockets_ = added(before, open_descriptors(DescriptorKind::packet_socket));
    }
    if (rte_eth_dev_get_port_by_name(attach.name.c_str(), &state_.id) != 0) {
        return failure(device_error(options_, "DPDK knows no device " + attach.name, ENODEV));
    }
    state_.driver = attach.driver;
    return {};
}

// 3. Queues and offloads, as far as the device has them.
Expected<void, MachineError> Opening::configure(std::uint16_t& receive_descriptors, std::uint16_t& transmit_descriptors)
{
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(state_.id, &info); error != 0) {
        return failure(device_error(options_, "the device does not answer", error));
    }
    if (state_.driver.empty()) {
        state_.driver = info.driver_name;
    }
    queues_ = std::clamp<std::uint16_t>(queues_, 1, std::min(info.max_rx_queues, info.max_tx_queues));
    rte_eth_conf configuration{};
    // net_memif claims 1518 bytes whatever its buffers hold, and chains them beyond.
    configuration.rxmode.mtu = state_.driver == "net_memif" ? 0 : options_.mtu;
    constexpr std::uint64_t checksums =
        RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    // virtio would then pass on packets whose checksum was never filled in, and we forward packets as they are.
    const bool checks =
        !state_.is_virtual && state_.driver != "net_virtio" && (info.rx_offload_capa & checksums) == checksums;
    configuration.rxmode.offloads = checks ? checksums : 0;
    if (queues_ > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_IP) != 0) {
        configuration.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        configuration.rx_adv_conf.rss_conf.rss_hf =
            (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
    }
    if (const int error = rte_eth_dev_configure(state_.id, queues_, queues_, &configuration); error != 0) {
        return failure(device_error(options_,
                                    "the device cannot be configured for " + std::to_string(queues_) +
                                        " queues and an MTU of " + std::to_string(options_.mtu),
                                    error));
    }
    static_cast<void>(rte_eth_dev_adjust_nb_rx_tx_desc(state_.id, &receive_descriptors, &transmit_descriptors));
    state_.capabilities = {queues_, queues_, checks, false};
    return {};
}

// 4. A pool for each queue.
Expected<void, MachineError> Opening::make_queues()
{
    // A device that was closed keeps the buffers it had: opened a second time it gets new pools.
    state_.queues.clear();
    state_.queues = std::vector<EthdevQueue>(queues_);
    const std::size_t count = is_xdp() ? std::max(options_.receive_buffers, xdp_buffers) : options_.receive_buffers;
    for (std::uint16_t queue = 0; queue < queues_; ++queue) {
        const std::string name = "port" + std::to_string(options_.index) + "_" + std::to_string(queue);
        auto pool = DpdkPool::create(name, count, data_room(options_));
        if (!pool) {
            return failure(std::move(pool.error()));
        }
        if (is_xdp() && !(*pool)->is_contiguous()) {
            return failure(MachineError{options_.name + ": DPDK memory is too scattered for AF_XDP",
                                        "give more `memory: size`, or set `memory: hugepages: off`"});
        }
        state_.queues[queue].pool = std::move(*pool);
    }
    return {};
}

// 5. net_af_xdp opens its socket of a queue here.
Expected<void, MachineError> Opening::set_up_queues(std::uint16_t receive_descriptors,
                                                    std::uint16_t transmit_descriptors)
{
    const int node = rte_eth_dev_socket_id(state_.id);
    const auto socket = static_cast<unsigned>(node);
    for (std::uint16_t queue = 0; queue < queues_; ++queue) {
        const std::vector<int> before = open_descriptors(DescriptorKind::xdp_socket);
        int error = rte_eth_rx_queue_setup(state_.id, queue, receive_descriptors, socket, nullptr,
                                           state_.queues[queue].pool->mempool());
        if (error == 0) {
            error = rte_eth_tx_queue_setup(state_.id, queue, transmit_descriptors, socket, nullptr);
        }
        if (error != 0) {
            return failure(device_error(options_, "queue " + std::to_string(queue) + " cannot be set up", error));
        }
        const std::vector<int> sockets = added(before, open_descriptors(DescriptorKind::xdp_socket));
        if (sockets.size() == 1) {
            state_.queues[queue].descriptor = sockets.front();
        } else if (packet_sockets_.size() == queues_) {
            state_.queues[queue].descriptor = packet_sockets_[queue];
        }
    }
    state_.zero_copy =
        is_xdp() && state_.queues.front().descriptor >= 0 && is_zero_copy(state_.queues.front().descriptor);
    return {};
}

// 6. Virtual MAC addresses and multicast: a NIC is asked to filter for them, everything else to pass all.
void Opening::let_everything_in()
{
    const bool filters = !state_.is_virtual && rte_eth_allmulticast_enable(state_.id) == 0;
    state_.capabilities.filters_mac = filters;
    if (!filters) {
        static_cast<void>(rte_eth_promiscuous_enable(state_.id));
    }
}

// 7. What the packet path and the status need to know.
Expected<void, MachineError> Opening::finish()
{
    let_everything_in();
    rte_ether_addr address{};
    if (const int error = rte_eth_macaddr_get(state_.id, &address); error != 0) {
        return failure(device_error(options_, "the device has no MAC address", error));
    }
    state_.mac = wire::MacAddress::load(reinterpret_cast<const std::byte*>(address.addr_bytes));
    state_.slow_ticks = rte_get_tsc_hz() / 1000;
    state_.largest_frame = options_.mtu + ethernet_overhead;
    if (is_xdp()) {
        const std::optional<XdpProgram> program = attached_xdp_program(state_.interface->name());
        if (program) {
            auto record = XdpRecord::hold(options_.runtime_directory, program->id);
            if (!record) {
                return failure(std::move(record.error()));
            }
            state_.xdp_record = std::move(*record);
        }
    }
    return {};
}

} // namespace

void EthdevPort::State::close_device() noexcept
{
    if (started) {
        static_cast<void>(rte_eth_promiscuous_disable(id));
        static_cast<void>(rte_eth_dev_stop(id));
        started = false;
    }
    if (attached) {
        static_cast<void>(rte_eal_hotplug_remove("vdev", device_name.c_str()));
        attached = false;
    } else if (!is_virtual && !driver.empty()) {
        static_cast<void>(rte_eth_dev_close(id));
        driver.clear();
    }
}

EthdevPort::State::~State()
{
    close_device();
    if (interface && merging_before.any()) {
        interface->set_merging(merging_before);
    }
}

Expected<std::unique_ptr<EthdevPort>, MachineError> EthdevPort::open(const EthdevOptions& options)
{
    auto state = std::make_unique<State>(options);
    if (auto opened = Opening{*state}.run(); !opened) {
        return failure(std::move(opened.error()));
    }
    std::unique_ptr<EthdevPort> port{new EthdevPort{std::move(state)}};
    port->refresh();
    return port;
}

} // namespace sluice::port
