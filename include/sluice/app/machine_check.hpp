// Does this machine have what a configuration asks for? Judged before anything is touched: every answer comes with the
// command that mends it. The judgement is pure; a HostProbe supplies the facts.
#pragma once

#include <sluice/app/machine.hpp>
#include <sluice/port/ethdev_port.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::app {

inline constexpr std::uint64_t mebibyte = 1ULL << 20U;

/// Whose XDP program is attached to an interface.
enum class XdpOwner : std::uint8_t {
    nobody,
    left_behind, ///< Ours, of a process that is gone: it will be replaced
    instance,    ///< Ours, of a process that runs
    foreign,
};

/// What the kernel does with one interface.
struct InterfaceFacts {
    bool up = false; ///< Administratively
    bool loopback = false;
    std::uint32_t mtu = 0;
    std::vector<wire::Prefix> addresses{};
    std::vector<wire::IpAddress>
        default_gateways{}; ///< Of default routes over it; `::` or 0.0.0.0 for one without gateway
    std::string master{};   ///< The bridge, bond or team that it is a member of
    XdpOwner xdp = XdpOwner::nobody;
    std::uint32_t xdp_program = 0; ///< Its id
    std::string xdp_name{};
    std::int64_t xdp_holder = 0; ///< Process of XdpOwner::instance
};

/// What EAL could take memory from.
struct MemoryFacts {
    std::uint64_t free_hugepage_bytes = 0; ///< Of any size
    std::uint64_t hugepage_size = 0;       ///< Of the size to reserve; 0: the kernel has none
    std::uint64_t available_bytes = 0;     ///< MemAvailable, and the cgroup's limit when that is lower
};

/// Capabilities that ports need (capabilities(7)).
enum class Capability : std::uint8_t { net_admin, net_raw, ipc_lock, sys_admin };

/// Facts about this machine. Control thread.
class HostProbe {
public:
    virtual ~HostProbe() = default;
    /// Nothing when there is no such interface in this network namespace.
    [[nodiscard]] virtual std::optional<InterfaceFacts> interface(const std::string& name) const = 0;
    [[nodiscard]] virtual std::vector<std::string> interface_names() const = 0;
    [[nodiscard]] virtual MemoryFacts memory() const = 0;
    [[nodiscard]] virtual bool has(Capability capability) const = 0;
    /// Bytes that may be locked; ~0 without a limit.
    [[nodiscard]] virtual std::uint64_t lock_limit() const = 0;
    [[nodiscard]] virtual std::vector<unsigned> cores() const = 0;
    /// May files be made there, creating the directory if its parent allows that?
    [[nodiscard]] virtual bool writable_directory(const std::string& path) const = 0;
    /// The driver that a NIC is bound to, empty for none; nothing when there is no such NIC.
    [[nodiscard]] virtual std::optional<std::string> pci_driver(const std::string& address) const = 0;
};

/// The machine that this process runs on: netlink, /sys and /proc. `runtime_directory` is where XDP records are.
class SystemHostProbe final : public HostProbe {
public:
    explicit SystemHostProbe(std::string runtime_directory) : runtime_directory_{std::move(runtime_directory)} {}
    [[nodiscard]] std::optional<InterfaceFacts> interface(const std::string& name) const override;
    [[nodiscard]] std::vector<std::string> interface_names() const override;
    [[nodiscard]] MemoryFacts memory() const override;
    [[nodiscard]] bool has(Capability capability) const override;
    [[nodiscard]] std::uint64_t lock_limit() const override;
    [[nodiscard]] std::vector<unsigned> cores() const override;
    [[nodiscard]] bool writable_directory(const std::string& path) const override;
    [[nodiscard]] std::optional<std::string> pci_driver(const std::string& address) const override;

private:
    std::string runtime_directory_;
};

struct PortRequest {
    std::string name{}; ///< As in the configuration
    port::DeviceChoice device{};
    bool ignore_kernel = false; ///< `kernel: ignore`
    std::uint16_t mtu = 1500;
};

struct MachineRequest {
    HugePageUse hugepages = HugePageUse::automatic;
    std::uint64_t memory_bytes = 512ULL << 20U;
    std::vector<PortRequest> ports{};
    std::vector<unsigned> cores{}; ///< That forwarders and workers shall run on
    std::string runtime_directory = "/run/sluice";
};

struct MachineReport {
    std::vector<MachineError> errors{};   ///< The node cannot start
    std::vector<MachineError> warnings{}; ///< It can, but this is unlikely to be meant
};

/// Why `memory: {hugepages: required}` cannot be met. `wanted` is more than what is free.
[[nodiscard]] MachineError hugepages_missing(std::uint64_t wanted, const MemoryFacts& memory);

/// Everything at once.
[[nodiscard]] MachineReport check_machine(const MachineRequest& request, const HostProbe& host);

} // namespace sluice::app
