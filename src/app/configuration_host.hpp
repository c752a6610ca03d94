// What the configuration asks of this machine, answered by the one probe of it.
#pragma once

#include <sluice/app/machine_check.hpp>
#include <sluice/config/host.hpp>

namespace sluice::app {

class ConfigurationHost final : public config::HostFacts {
public:
    /// The probe must outlive this.
    explicit ConfigurationHost(const HostProbe& probe) noexcept : probe_{probe} {}

    [[nodiscard]] std::string host_name() const override;
    [[nodiscard]] std::vector<std::uint32_t> cores() const override;
    [[nodiscard]] bool has_interface(const std::string& name) const override;
    [[nodiscard]] std::vector<std::string> kernel_addresses(const std::string& interface) const override;
    [[nodiscard]] bool has_pci_device(const std::string& address) const override;
    [[nodiscard]] std::optional<std::uint64_t> available_memory() const override;
    [[nodiscard]] std::uint64_t free_hugepages() const override;
    [[nodiscard]] bool has_group(const std::string& name) const override;
    [[nodiscard]] bool has_folder(const std::string& path) const override;

private:
    const HostProbe& probe_;
};

} // namespace sluice::app
