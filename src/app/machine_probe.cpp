#include <sluice/app/machine_check.hpp>
#include <sluice/port/xdp_program.hpp>

#include "machine_netlink.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::app {
namespace {

constexpr std::uint64_t kibibyte = 1024;

std::uint64_t read_number(const std::filesystem::path& path, std::uint64_t otherwise)
{
    std::ifstream file{path};
    std::uint64_t value = 0;
    return file >> value ? value : otherwise;
}

// "MemAvailable:  24105 kB"
std::uint64_t memory_line(const std::string& name)
{
    std::ifstream file{"/proc/meminfo"};
    std::string word;
    while (file >> word) {
        std::uint64_t value = 0;
        if (word == name + ":" && file >> value) {
            return value * kibibyte;
        }
    }
    return 0;
}

// The lowest room that any cgroup above this process leaves.
std::uint64_t cgroup_room()
{
    std::ifstream file{"/proc/self/cgroup"};
    std::string line;
    std::uint64_t room = ~std::uint64_t{0};
    while (std::getline(file, line)) {
        if (!line.starts_with("0::")) {
            continue;
        }
        const std::filesystem::path root{"/sys/fs/cgroup"};
        for (std::filesystem::path group = root / std::filesystem::path{line.substr(3)}.relative_path();
             group.native().size() > root.native().size(); group = group.parent_path()) {
            const std::uint64_t limit = read_number(group / "memory.max", ~std::uint64_t{0});
            const std::uint64_t used = read_number(group / "memory.current", 0);
            if (limit != ~std::uint64_t{0}) {
                room = std::min(room, limit > used ? limit - used : 0);
            }
        }
    }
    return room;
}

std::uint64_t effective_capabilities()
{
    std::ifstream file{"/proc/self/status"};
    std::string word;
    while (file >> word) {
        if (word == "CapEff:") {
            std::uint64_t value = 0;
            file >> std::hex >> value;
            return value;
        }
    }
    return 0;
}

unsigned number_of(Capability capability)
{
    switch (capability) {
    case Capability::net_admin:
        return CAP_NET_ADMIN;
    case Capability::net_raw:
        return CAP_NET_RAW;
    case Capability::ipc_lock:
        return CAP_IPC_LOCK;
    case Capability::sys_admin:
        return CAP_SYS_ADMIN;
    }
    return 0;
}

void add_xdp(InterfaceFacts& facts, const std::string& name, const std::string& runtime_directory)
{
    const std::optional<port::XdpProgram> program = port::attached_xdp_program(name);
    if (!program) {
        return;
    }
    const port::XdpRecordFacts record = port::inspect_xdp_record(runtime_directory, program->id);
    facts.xdp_program = program->id;
    facts.xdp_name = program->name;
    facts.xdp_holder = record.holder;
    switch (record.state) {
    case port::XdpRecordState::absent:
        facts.xdp = XdpOwner::foreign;
        break;
    case port::XdpRecordState::left_behind:
        facts.xdp = XdpOwner::left_behind;
        break;
    case port::XdpRecordState::held:
        facts.xdp = XdpOwner::instance;
        break;
    }
}

} // namespace

std::optional<InterfaceFacts> SystemHostProbe::interface(const std::string& name) const
{
    const std::vector<LinkFacts> links = read_links();
    const auto link = std::find_if(links.begin(), links.end(), [&](const auto& entry) { return entry.name == name; });
    if (link == links.end()) {
        return std::nullopt;
    }
    InterfaceFacts facts;
    facts.up = (link->flags & IFF_UP) != 0;
    facts.loopback = (link->flags & IFF_LOOPBACK) != 0;
    facts.mtu = link->mtu;
    facts.addresses = read_addresses(link->index);
    facts.default_gateways = read_default_gateways(link->index);
    if (link->master != 0) {
        const auto master =
            std::find_if(links.begin(), links.end(), [&](const auto& entry) { return entry.index == link->master; });
        facts.master = master == links.end() ? "another device" : master->name;
    }
    add_xdp(facts, name, runtime_directory_);
    return facts;
}

std::vector<std::string> SystemHostProbe::interface_names() const
{
    std::vector<std::string> names;
    for (const LinkFacts& link : read_links()) {
        if ((link.flags & IFF_LOOPBACK) == 0) {
            names.push_back(link.name);
        }
    }
    return names;
}

MemoryFacts SystemHostProbe::memory() const
{
    MemoryFacts facts;
    facts.hugepage_size = memory_line("Hugepagesize");
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/sys/kernel/mm/hugepages", ignored}) {
        // "hugepages-2048kB"
        const std::string name = entry.path().filename();
        const std::uint64_t size = std::strtoull(name.c_str() + name.find('-') + 1, nullptr, 10) * kibibyte;
        facts.free_hugepage_bytes += size * read_number(entry.path() / "free_hugepages", 0);
    }
    facts.available_bytes = std::min(memory_line("MemAvailable"), cgroup_room());
    return facts;
}

bool SystemHostProbe::has(Capability capability) const
{
    return (effective_capabilities() >> number_of(capability) & 1U) != 0;
}

std::uint64_t SystemHostProbe::lock_limit() const
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return 0;
    }
    return limit.rlim_cur == RLIM_INFINITY ? ~std::uint64_t{0} : limit.rlim_cur;
}

std::vector<unsigned> SystemHostProbe::cores() const { return allowed_cores(); }

bool SystemHostProbe::writable_directory(const std::string& path) const
{
    struct stat facts {};
    if (::stat(path.c_str(), &facts) == 0) {
        return S_ISDIR(facts.st_mode) && ::access(path.c_str(), W_OK | X_OK) == 0;
    }
    const std::filesystem::path parent = std::filesystem::path{path}.parent_path();
    return ::access(parent.c_str(), W_OK | X_OK) == 0;
}

std::optional<std::string> SystemHostProbe::pci_driver(const std::string& address) const
{
    const std::filesystem::path device = std::filesystem::path{"/sys/bus/pci/devices"} / address;
    std::error_code error;
    if (!std::filesystem::exists(device, error)) {
        return std::nullopt;
    }
    const std::filesystem::path driver = std::filesystem::read_symlink(device / "driver", error);
    return error ? std::string{} : driver.filename().string();
}

} // namespace sluice::app
