#include "configuration_host.hpp"

#include <array>
#include <filesystem>
#include <grp.h>
#include <unistd.h>

namespace sluice::app {

std::string ConfigurationHost::host_name() const
{
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::vector<std::uint32_t> ConfigurationHost::cores() const
{
    const std::vector<unsigned> cores = probe_.cores();
    return {cores.begin(), cores.end()};
}

bool ConfigurationHost::has_interface(const std::string& name) const { return probe_.interface(name).has_value(); }

std::vector<std::string> ConfigurationHost::kernel_addresses(const std::string& interface) const
{
    std::vector<std::string> found;
    if (const auto facts = probe_.interface(interface)) {
        for (const wire::Prefix& prefix : facts->addresses) {
            if (!prefix.address.is_link_local()) {
                found.push_back(prefix.address.to_string());
            }
        }
    }
    return found;
}

bool ConfigurationHost::has_pci_device(const std::string& address) const
{
    return probe_.pci_driver(address).has_value();
}

std::optional<std::uint64_t> ConfigurationHost::available_memory() const { return probe_.memory().available_bytes; }

std::uint64_t ConfigurationHost::free_hugepages() const { return probe_.memory().free_hugepage_bytes; }

bool ConfigurationHost::has_group(const std::string& name) const
{
    std::array<char, 16384> buffer{};
    group entry{};
    group* found = nullptr;
    return ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
}

bool ConfigurationHost::has_folder(const std::string& path) const
{
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored);
}

} // namespace sluice::app
