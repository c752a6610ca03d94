// What only this machine can tell. Every finding comes with the command that mends it.
#include <config/scalars.hpp>
#include <config/validate.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

void check_cores(const Validation& check, const HostFacts& host)
{
    const std::vector<std::uint32_t> cores = host.cores();
    for (const auto* list : {&check.model.cpu.forwarders, &check.model.cpu.workers}) {
        for (const auto& core : *list) {
            if (std::find(cores.begin(), cores.end(), *core) == cores.end()) {
                std::string known;
                for (const std::uint32_t number : cores) {
                    known += (known.empty() ? "" : ", ") + std::to_string(number);
                }
                check.host_finding(
                    core.where, "this process may not run on core " + std::to_string(*core),
                    "allowed: " + known +
                        "; `lscpu -e` lists the cores, `taskset -p 1` and the unit's AllowedCPUs= the mask");
            }
        }
    }
}

void check_device(const Validation& check, const HostFacts& host, const Port& port)
{
    const Device& device = port.device;
    if (device.interface && !device.interface->value.empty()) {
        const std::string& name = device.interface->value;
        if (!host.has_interface(name)) {
            check.host_finding(device.interface->where, "there is no interface " + tick(name),
                               "`ip link show` lists them");
        } else if (device.kernel == KernelAddresses::refuse) {
            const std::vector<std::string> addresses = host.kernel_addresses(name);
            if (!addresses.empty()) {
                check.host_finding(device.interface->where,
                                   "the kernel has the address " + tick(addresses.front()) + " on " + tick(name),
                                   "`ip address flush dev " + name +
                                       "` takes it away; `kernel: ignore` starts all the same");
            }
        }
    }
    if (device.pci && !device.pci->value.empty() && !host.has_pci_device(device.pci->value)) {
        check.host_finding(device.pci->where, "there is no PCI device " + tick(device.pci->value),
                           "`lspci -D` lists them");
    }
}

void check_memory(const Validation& check, const HostFacts& host)
{
    const Memory& memory = check.model.memory;
    const std::uint64_t huge = host.free_hugepages();
    const std::uint64_t pages = (memory.size.bytes + (2U << 20U) - 1) / (2U << 20U);
    if (memory.hugepages == HugePages::required && huge < memory.size.bytes) {
        check.host_finding(memory.where,
                           "only " + std::to_string(huge >> 20U) + " MiB of hugepages are free, " + show(memory.size) +
                               " are required",
                           "sysctl vm.nr_hugepages=" + std::to_string(pages));
        return;
    }
    const auto available = host.available_memory();
    const bool uses_hugepages = memory.hugepages != HugePages::off && huge >= memory.size.bytes;
    if (!uses_hugepages && available && *available < memory.size.bytes) {
        check.host_finding(
            memory.where,
            "only " + std::to_string(*available >> 20U) + " MiB of memory are available, " + show(memory.size) +
                " are asked for",
            "`free -m` shows it; a smaller `size` under `memory` will do with fewer flows and connections");
    }
}

void check_folder(const Validation& check, const HostFacts& host, const std::string& path, const Where& where)
{
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (!host.has_folder(folder)) {
        check.host_finding(where, "there is no folder " + tick(folder), "mkdir -p " + folder);
    }
}

} // namespace

void validate_host(const Validation& check)
{
    const HostFacts& host = *check.options.host;
    check_cores(check, host);
    for (const Port& port : check.model.ports) {
        check_device(check, host, port);
    }
    check_memory(check, host);
    const auto& group = check.model.control.group;
    if (group && !group->value.empty() && !host.has_group(group->value)) {
        check.host_finding(group->where, "there is no group " + tick(group->value),
                           "groupadd --system " + group->value);
    }
    if (!check.model.log.to.is_stderr()) {
        check_folder(check, host, check.model.log.to.file.path, check.model.log.where);
    }
    if (check.model.log.access && !check.model.log.access->file->path.empty()) {
        check_folder(check, host, check.model.log.access->file->path, check.model.log.access->file.where);
    }
}

} // namespace sluice::config
