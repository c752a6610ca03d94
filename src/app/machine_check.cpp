#include <sluice/app/machine_check.hpp>

#include <algorithm>
#include <numeric>
#include <set>

namespace sluice::app {
namespace {

/// A buffer and its headers have to fit a page (AF_XDP, unaligned chunks).
constexpr std::uint16_t largest_xdp_mtu = 3480;
constexpr std::uint16_t largest_packet_mtu = 1500; ///< The driver's, whatever the interface can
/// What one queue locks in memory at least: the buffers of AF_XDP, both rings of AF_PACKET.
constexpr std::uint64_t xdp_locked_bytes = 24 * mebibyte;
constexpr std::uint64_t packet_locked_bytes = 16 * mebibyte;

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes / mebibyte) + " MiB"; }

template <class Items, class Text>
std::string join(const Items& items, const Text& text)
{
    std::string all;
    for (const auto& item : items) {
        all += (all.empty() ? "" : ", ") + text(item);
    }
    return all;
}

class Check {
public:
    Check(const MachineRequest& request, const HostProbe& host) : request_{request}, host_{host} {}

    MachineReport run()
    {
        for (const PortRequest& port : request_.ports) {
            check_port(port);
        }
        check_capabilities();
        check_memory();
        check_cores();
        if (!host_.writable_directory(request_.runtime_directory)) {
            error("cannot write to " + request_.runtime_directory,
                  "sudo install -d -o $(id -un) " + request_.runtime_directory);
        }
        return std::move(report_);
    }

private:
    void error(std::string message, std::string remedy)
    {
        report_.errors.push_back({std::move(message), std::move(remedy)});
    }
    void warning(std::string message, std::string remedy)
    {
        report_.warnings.push_back({std::move(message), std::move(remedy)});
    }

    void check_port(const PortRequest& port)
    {
        if (const auto* device = std::get_if<port::InterfaceDevice>(&port.device)) {
            check_interface(port, *device);
        } else if (const auto* nic = std::get_if<port::PciDevice>(&port.device)) {
            check_nic(port, *nic);
        }
    }
    void check_interface(const PortRequest& port, const port::InterfaceDevice& device);
    void check_kernel_use(const PortRequest& port, const std::string& interface, const InterfaceFacts& facts);
    void check_xdp(const PortRequest& port, const std::string& interface, const InterfaceFacts& facts);
    void check_nic(const PortRequest& port, const port::PciDevice& nic);
    void check_capabilities();
    void check_memory();
    void check_cores();

    const MachineRequest& request_;
    const HostProbe& host_;
    MachineReport report_;
    std::set<std::string> interfaces_seen_;
};

void Check::check_interface(const PortRequest& port, const port::InterfaceDevice& device)
{
    const std::string prefix = "port " + port.name + ": ";
    const std::optional<InterfaceFacts> facts = host_.interface(device.interface);
    if (!facts) {
        const std::string known = join(host_.interface_names(), [](const std::string& name) { return name; });
        error(prefix + "there is no interface " + device.interface +
                  (known.empty() ? ", nor any other" : "; there are " + known),
              "ip link show");
        return;
    }
    if (!interfaces_seen_.insert(device.interface).second) {
        error(prefix + device.interface + " is already taken by another port",
              "give each port an interface of its own");
    }
    if (facts->loopback) {
        error(prefix + device.interface + " is the loopback interface", "choose an interface that leads to a network");
        return;
    }
    check_kernel_use(port, device.interface, *facts);
    if (!facts->up) {
        warning(prefix + device.interface + " is down, and the port with it",
                "ip link set dev " + device.interface + " up");
    }
    if (device.driver == port::InterfaceDriver::af_xdp) {
        check_xdp(port, device.interface, *facts);
    } else if (port.mtu > largest_packet_mtu) {
        error(prefix + "AF_PACKET carries packets of at most " + std::to_string(largest_packet_mtu) + " bytes, not " +
                  std::to_string(port.mtu),
              "lower `mtu`, or set `driver: af_xdp` for up to " + std::to_string(largest_xdp_mtu));
    }
}

void Check::check_kernel_use(const PortRequest& port, const std::string& interface, const InterfaceFacts& facts)
{
    const std::string prefix = "port " + port.name + ": ";
    const auto object = [&](std::string message, std::string remedy) {
        if (port.ignore_kernel) {
            warning(std::move(message) + " (ignored as asked)", std::move(remedy));
        } else {
            error(std::move(message), std::move(remedy) + ", or set `kernel: ignore`");
        }
    };
    const bool only_link_local =
        std::all_of(facts.addresses.begin(), facts.addresses.end(), [](const wire::Prefix& prefix_) {
            return prefix_.address.is_v6() && prefix_.address.is_link_local();
        });
    if (!facts.addresses.empty()) {
        const std::string flush = "ip address flush dev " + interface;
        const std::string no_v6 = "sysctl -w net.ipv6.conf." + interface + ".disable_ipv6=1";
        object(prefix + "the kernel has an address on " + interface + " (" +
                   join(facts.addresses, [](const wire::Prefix& address) { return address.to_string(); }) +
                   ") and would answer beside us",
               only_link_local ? no_v6 : flush + " && " + no_v6);
    }
    if (!facts.default_gateways.empty()) {
        const wire::IpAddress gateway = facts.default_gateways.front();
        object(prefix + "the kernel's default route leads over " + interface +
                   (gateway.is_unspecified() ? "" : " via " + gateway.to_string()),
               std::string{gateway.is_v6() ? "ip -6" : "ip"} + " route del default dev " + interface);
    }
    if (!facts.master.empty()) {
        object(prefix + interface + " is a member of " + facts.master, "ip link set dev " + interface + " nomaster");
    }
}

void Check::check_xdp(const PortRequest& port, const std::string& interface, const InterfaceFacts& facts)
{
    const std::string prefix = "port " + port.name + ": ";
    const std::string program = "an XDP program (" + std::to_string(facts.xdp_program) +
                                (facts.xdp_name.empty() ? "" : ", `" + facts.xdp_name + "`") + ")";
    switch (facts.xdp) {
    case XdpOwner::nobody:
    case XdpOwner::left_behind:
        break;
    case XdpOwner::instance:
        error(prefix + "another sluice (process " + std::to_string(facts.xdp_holder) + ") runs on " + interface,
              "kill " + std::to_string(facts.xdp_holder));
        break;
    case XdpOwner::foreign:
        error(prefix + interface + " has " + program + " that is not ours",
              "stop what put it there, or: ip link set dev " + interface + " xdp off");
        break;
    }
    if (port.mtu > largest_xdp_mtu) {
        error(prefix + "AF_XDP carries packets of at most " + std::to_string(largest_xdp_mtu) + " bytes, not " +
                  std::to_string(port.mtu),
              "lower `mtu`");
    }
}

void Check::check_nic(const PortRequest& port, const port::PciDevice& nic)
{
    const std::string prefix = "port " + port.name + ": ";
    const std::optional<std::string> driver = host_.pci_driver(nic.address);
    if (!driver) {
        error(prefix + "there is no PCI device " + nic.address, "dpdk-devbind.py --status-dev net");
        return;
    }
    // Drivers that share the NIC with the kernel need no other binding.
    const std::set<std::string> usable{"vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core", "mana"};
    if (usable.count(*driver) == 0) {
        error(prefix + nic.address + (driver->empty() ? " has no driver" : " belongs to the kernel driver " + *driver),
              "dpdk-devbind.py --bind=vfio-pci " + nic.address);
    }
}

void Check::check_capabilities()
{
    bool packet = false;
    bool xdp = false;
    std::uint64_t locked = 0;
    for (const PortRequest& port : request_.ports) {
        if (const auto* device = std::get_if<port::InterfaceDevice>(&port.device)) {
            const bool is_xdp = device->driver == port::InterfaceDriver::af_xdp;
            (is_xdp ? xdp : packet) = true;
            locked += is_xdp ? xdp_locked_bytes : packet_locked_bytes;
        }
    }
    std::vector<std::string> missing;
    const auto need = [&](Capability capability, const char* name) {
        if (!host_.has(capability)) {
            missing.emplace_back(name);
        }
    };
    if (packet || xdp) {
        need(Capability::net_admin, "CAP_NET_ADMIN");
        need(Capability::net_raw, "CAP_NET_RAW");
    }
    if (xdp) {
        need(Capability::sys_admin, "CAP_SYS_ADMIN");
    }
    if (!missing.empty()) {
        const std::string list = join(missing, [](const std::string& name) { return name; });
        error(std::string{xdp ? "AF_XDP" : "AF_PACKET"} + " ports need " + list,
              "run as root, or under systemd with AmbientCapabilities= as in sluice.service" +
                  std::string{xdp ? ", or set `driver: af_packet`" : ""});
    }
    if (!host_.has(Capability::ipc_lock) && host_.lock_limit() < locked) {
        error("ports on interfaces lock " + mebibytes(locked) + " of buffers in memory, and only " +
                  mebibytes(host_.lock_limit()) + " may be locked",
              "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity), or grant CAP_IPC_LOCK");
    }
}

void Check::check_memory()
{
    const MemoryFacts memory = host_.memory();
    if (request_.hugepages == HugePageUse::required) {
        if (memory.free_hugepage_bytes < request_.memory_bytes) {
            const MachineError missing = hugepages_missing(request_.memory_bytes, memory);
            error(missing.message, missing.remedy);
        }
        return;
    }
    const bool huge =
        request_.hugepages == HugePageUse::automatic && memory.free_hugepage_bytes >= request_.memory_bytes;
    if (!huge && memory.available_bytes < request_.memory_bytes) {
        error("`memory: size` is " + mebibytes(request_.memory_bytes) + ", but only " +
                  mebibytes(memory.available_bytes) + " are available",
              "lower `memory: size` to at most " + mebibytes(memory.available_bytes * 3 / 4));
    }
}

void Check::check_cores()
{
    const std::vector<unsigned> allowed = host_.cores();
    const auto number = [](unsigned core) { return std::to_string(core); };
    std::vector<unsigned> missing;
    for (const unsigned core : request_.cores) {
        if (std::find(allowed.begin(), allowed.end(), core) == allowed.end() &&
            std::find(missing.begin(), missing.end(), core) == missing.end()) {
            missing.push_back(core);
        }
    }
    if (!missing.empty()) {
        error("core " + join(missing, number) + " is not available to this process; " + join(allowed, number) +
                  (allowed.size() == 1 ? " is" : " are"),
              "change `cpu`, or look at taskset, AllowedCPUs= and the cgroup's cpuset");
    }
}

} // namespace

MachineError hugepages_missing(std::uint64_t wanted, const MemoryFacts& memory)
{
    if (memory.hugepage_size == 0) {
        return {"hugepages are required, but this kernel has none", "set `memory: hugepages: auto`"};
    }
    const std::uint64_t pages = (wanted - memory.free_hugepage_bytes + memory.hugepage_size - 1) / memory.hugepage_size;
    return {mebibytes(wanted) + " of hugepages are required, " + mebibytes(memory.free_hugepage_bytes) + " are free",
            "sysctl -w vm.nr_hugepages=$(($(sysctl -n vm.nr_hugepages)+" + std::to_string(pages) + "))"};
}

MachineReport check_machine(const MachineRequest& request, const HostProbe& host) { return Check{request, host}.run(); }

} // namespace sluice::app
