// What only the machine can tell. Injected: tests describe a machine, the program
// answers from its probe of this one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

class HostFacts {
public:
    virtual ~HostFacts() = default;
    [[nodiscard]] virtual std::string host_name() const = 0;
    /// Cores that this process may run on, ascending.
    [[nodiscard]] virtual std::vector<std::uint32_t> cores() const = 0;
    [[nodiscard]] virtual bool has_interface(const std::string& name) const = 0;
    /// Addresses that the kernel has on an interface, link-local ones left out.
    [[nodiscard]] virtual std::vector<std::string> kernel_addresses(const std::string& interface) const = 0;
    [[nodiscard]] virtual bool has_pci_device(const std::string& address) const = 0;
    /// What a new process can get without swapping, hugepages not counted; unset: unknown.
    [[nodiscard]] virtual std::optional<std::uint64_t> available_memory() const = 0;
    /// Free hugepages of every size, in bytes.
    [[nodiscard]] virtual std::uint64_t free_hugepages() const = 0;
    [[nodiscard]] virtual bool has_group(const std::string& name) const = 0;
    [[nodiscard]] virtual bool has_folder(const std::string& path) const = 0;
};

} // namespace sluice::config
