#include "port/kernel_interface.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <iterator>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sluice::port {
namespace {

ifreq request_for(const std::string& name) noexcept
{
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    return request;
}

bool is_socket_of(int descriptor, int domain) noexcept
{
    int found = 0;
    socklen_t size = sizeof found;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &found, &size) == 0 && found == domain;
}

bool is_tun(int descriptor)
{
    char target[32] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
    return size > 0 && std::string_view{target, static_cast<std::size_t>(size)} == "/dev/net/tun";
}

bool is_of_kind(int descriptor, DescriptorKind kind)
{
    switch (kind) {
    case DescriptorKind::packet_socket:
        return is_socket_of(descriptor, AF_PACKET);
    case DescriptorKind::xdp_socket:
        return is_socket_of(descriptor, AF_XDP);
    case DescriptorKind::tun:
        return is_tun(descriptor);
    }
    return false;
}

std::vector<int> all_descriptors()
{
    std::vector<int> found;
    DIR* const folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) {
        return found;
    }
    while (const dirent* entry = ::readdir(folder)) {
        const int descriptor = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && descriptor != ::dirfd(folder)) {
            found.push_back(descriptor);
        }
    }
    ::closedir(folder);
    std::sort(found.begin(), found.end());
    return found;
}

} // namespace

KernelInterface::KernelInterface(std::string name)
    : name_{std::move(name)}, socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)}
{
}

KernelInterface::~KernelInterface()
{
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

int KernelInterface::index() const noexcept
{
    ifreq request = request_for(name_);
    return ::ioctl(socket_, SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

bool KernelInterface::running() const noexcept
{
    ifreq request = request_for(name_);
    if (::ioctl(socket_, SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) == 0) {
        return false;
    }
    const bool operational = (request.ifr_flags & IFF_RUNNING) != 0;
    // IFF_RUNNING may lag behind by a second; the driver knows at once.
    ethtool_value link{};
    link.cmd = ETHTOOL_GLINK;
    request.ifr_data = reinterpret_cast<char*>(&link);
    return ::ioctl(socket_, SIOCETHTOOL, &request) == 0 ? link.data != 0 : operational;
}

std::uint32_t KernelInterface::mtu() const noexcept
{
    ifreq request = request_for(name_);
    return ::ioctl(socket_, SIOCGIFMTU, &request) == 0 ? static_cast<std::uint32_t>(request.ifr_mtu) : 0;
}

bool KernelInterface::set_mtu(std::uint32_t mtu) const noexcept
{
    ifreq request = request_for(name_);
    request.ifr_mtu = static_cast<int>(mtu);
    return ::ioctl(socket_, SIOCSIFMTU, &request) == 0;
}

std::uint16_t KernelInterface::channels() const noexcept
{
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    ifreq request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&channels);
    if (::ioctl(socket_, SIOCETHTOOL, &request) != 0 || channels.combined_count == 0) {
        return 1;
    }
    return static_cast<std::uint16_t>(channels.combined_count);
}

std::uint32_t KernelInterface::ask_ethtool(std::uint32_t command) const noexcept
{
    ethtool_value value{};
    value.cmd = command;
    ifreq request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&value);
    return ::ioctl(socket_, SIOCETHTOOL, &request) == 0 ? value.data : 0;
}

bool KernelInterface::tell_ethtool(std::uint32_t command, std::uint32_t what) const noexcept
{
    ethtool_value value{};
    value.cmd = command;
    value.data = what;
    ifreq request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&value);
    return ::ioctl(socket_, SIOCETHTOOL, &request) == 0;
}

KernelInterface::Merging KernelInterface::merging() const noexcept
{
    return {ask_ethtool(ETHTOOL_GGRO) != 0, (ask_ethtool(ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0};
}

bool KernelInterface::set_merging(Merging wanted) const noexcept
{
    const Merging now = merging();
    bool done = true;
    if (wanted.generic != now.generic) {
        done = tell_ethtool(ETHTOOL_SGRO, wanted.generic ? 1 : 0);
    }
    if (wanted.large != now.large) {
        const std::uint32_t flags = ask_ethtool(ETHTOOL_GFLAGS);
        done = tell_ethtool(ETHTOOL_SFLAGS, wanted.large ? flags | ETH_FLAG_LRO : flags & ~ETH_FLAG_LRO) && done;
    }
    return done;
}

std::vector<int> open_descriptors(DescriptorKind kind)
{
    std::vector<int> found = all_descriptors();
    std::erase_if(found, [kind](int descriptor) { return !is_of_kind(descriptor, kind); });
    return found;
}

std::vector<int> added(const std::vector<int>& before, const std::vector<int>& after)
{
    std::vector<int> result;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(result));
    return result;
}

DescriptorPlug::DescriptorPlug()
{
    const std::vector<int> in_use = all_descriptors();
    const int highest = in_use.empty() ? -1 : in_use.back();
    while (true) {
        const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) {
            return;
        }
        if (descriptor > highest) {
            ::close(descriptor);
            return;
        }
        plugs_.push_back(descriptor);
    }
}

DescriptorPlug::~DescriptorPlug()
{
    for (const int descriptor : plugs_) {
        ::close(descriptor);
    }
}

bool fanout_group_exists(std::uint16_t group) noexcept
{
    // A group takes only members of its own kind, and no driver asks for round robin. A socket of every interface and
    // of a protocol that nobody speaks meets all of them and takes nothing from them.
    constexpr std::uint16_t local_experiment = 0x88b6;
    const int descriptor = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(local_experiment));
    if (descriptor < 0) {
        return false;
    }
    const int argument = group | PACKET_FANOUT_LB << 16;
    const bool refused =
        ::setsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) != 0 && errno == EINVAL;
    ::close(descriptor);
    return refused;
}

std::uint64_t take_packet_socket_drops(int descriptor) noexcept
{
    tpacket_stats statistics{};
    socklen_t size = sizeof statistics;
    return ::getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0 ? statistics.tp_drops : 0;
}

XdpSocketDrops xdp_socket_drops(int descriptor) noexcept
{
    xdp_statistics statistics{};
    socklen_t size = sizeof statistics;
    if (::getsockopt(descriptor, SOL_XDP, XDP_STATISTICS, &statistics, &size) != 0) {
        return {};
    }
    return {statistics.rx_dropped + statistics.rx_ring_full, statistics.tx_invalid_descs};
}

bool is_zero_copy(int xdp_descriptor) noexcept
{
    xdp_options options{};
    socklen_t size = sizeof options;
    return ::getsockopt(xdp_descriptor, SOL_XDP, XDP_OPTIONS, &options, &size) == 0 &&
           (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

} // namespace sluice::port
