#include <sluice/config/host.hpp>
#include <sluice/wire/address.hpp>

#include <arpa/inet.h>
#include <array>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

namespace sluice::config {

namespace {

std::optional<wire::IpAddress> address_of(const sockaddr* address)
{
    char text[INET6_ADDRSTRLEN] = {};
    if (address != nullptr && address->sa_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
    } else if (address != nullptr && address->sa_family == AF_INET6) {
        ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
    }
    return wire::IpAddress::parse(text);
}

} // namespace

std::string LinuxHost::host_name() const
{
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::vector<std::uint32_t> LinuxHost::cores() const
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    std::vector<std::uint32_t> numbers;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (std::uint32_t core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &allowed)) {
                numbers.push_back(core);
            }
        }
    }
    return numbers;
}

bool LinuxHost::has_interface(const std::string& name) const { return ::if_nametoindex(name.c_str()) != 0; }

std::vector<std::string> LinuxHost::kernel_addresses(const std::string& interface) const
{
    ifaddrs* list = nullptr;
    std::vector<std::string> found;
    if (::getifaddrs(&list) != 0) {
        return found;
    }
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner{list, &::freeifaddrs};
    for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
        const auto address = interface == item->ifa_name ? address_of(item->ifa_addr) : std::nullopt;
        if (address && !address->is_link_local()) {
            found.push_back(address->to_string());
        }
    }
    return found;
}

bool LinuxHost::has_pci_device(const std::string& address) const
{
    return has_folder("/sys/bus/pci/devices/" + address);
}

std::optional<std::uint64_t> LinuxHost::available_memory() const
{
    std::ifstream file{"/proc/meminfo"};
    std::string key;
    std::uint64_t kibibytes = 0;
    std::string unit;
    while (file >> key >> kibibytes) {
        std::getline(file, unit);
        if (key == "MemAvailable:") {
            return kibibytes << 10U;
        }
    }
    return std::nullopt;
}

std::uint64_t LinuxHost::free_hugepages() const
{
    static constexpr std::array<std::uint64_t, 2> kibibytes{2048, 1048576};
    std::uint64_t total = 0;
    for (const std::uint64_t size : kibibytes) {
        std::ifstream file{"/sys/kernel/mm/hugepages/hugepages-" + std::to_string(size) + "kB/free_hugepages"};
        std::uint64_t count = 0;
        if (file >> count) {
            total += count * (size << 10U);
        }
    }
    return total;
}

bool LinuxHost::has_group(const std::string& name) const
{
    std::array<char, 16384> buffer{};
    group entry{};
    group* found = nullptr;
    return ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
}

bool LinuxHost::has_folder(const std::string& path) const
{
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored);
}

} // namespace sluice::config
