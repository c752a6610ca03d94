// EAL: DPDK's run-time environment, started once per process.
#pragma once

#include <sluice/base/result.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice::app {

enum class HugePageUse : std::uint8_t { automatic, required, off };

struct MachineOptions {
    HugePageUse hugepages = HugePageUse::automatic;
    std::uint64_t memory_bytes = 512ULL << 20U; ///< For packets and whatever else lives in DPDK memory
    std::vector<std::string> pci{};             ///< NICs to take; empty: the PCI bus is not touched
    std::string program = "sluice";             ///< Part of what keeps instances on one machine apart
};

/// EAL while it runs. Move-only; the destructor ends EAL, which cannot be started again in this process. Control
/// thread.
class Machine {
public:
    /// The calling thread keeps its CPU affinity. Works beside other instances, as root or without privileges.
    [[nodiscard]] static Expected<Machine, MachineError> start(const MachineOptions& options);
    ~Machine();
    Machine(Machine&&) noexcept;
    Machine& operator=(Machine&&) noexcept;

    /// One line: kind of pages, memory, why.
    [[nodiscard]] const std::string& summary() const noexcept;
    [[nodiscard]] bool uses_hugepages() const noexcept;

private:
    struct State;
    explicit Machine(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

/// Makes the calling thread known to EAL, so that it has a cache in every packet pool. Forwarders and workers, for as
/// long as they run.
class MachineThread {
public:
    MachineThread();
    ~MachineThread();
    MachineThread(const MachineThread&) = delete;
    MachineThread& operator=(const MachineThread&) = delete;

    /// False: EAL has no room for more threads; everything works, without caches.
    [[nodiscard]] bool registered() const noexcept { return registered_; }

private:
    bool registered_;
};

/// Pins the calling thread to one CPU. False when the process may not use it.
bool pin_to_core(unsigned core) noexcept;
/// The CPUs that the process may use, ascending: its affinity, which honours cgroups and taskset.
[[nodiscard]] std::vector<unsigned> allowed_cores();

} // namespace sluice::app
