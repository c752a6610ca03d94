#include "machine_netlink.hpp"

#include <array>
#include <cstring>
#include <functional>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace sluice::app {
namespace {

class NetlinkSocket {
public:
    NetlinkSocket() : descriptor_{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)}
    {
        // The kernel answers at once; a time-out only keeps a surprise from hanging the start.
        const timeval patience{2, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~NetlinkSocket()
    {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    NetlinkSocket(const NetlinkSocket&) = delete;
    NetlinkSocket& operator=(const NetlinkSocket&) = delete;

    /// Calls `visit` for every message of a dump.
    void dump(int type, const std::function<void(const nlmsghdr&)>& visit) const
    {
        struct {
            nlmsghdr header;
            rtgenmsg body;
        } request{};
        request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
        request.header.nlmsg_type = static_cast<std::uint16_t>(type);
        request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.body.rtgen_family = AF_UNSPEC;
        if (::send(descriptor_, &request, request.header.nlmsg_len, 0) < 0) {
            return;
        }
        alignas(nlmsghdr) std::array<char, 65536> buffer;
        while (true) {
            const ssize_t size = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
            if (size <= 0) {
                return;
            }
            auto left = static_cast<unsigned>(size);
            for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
                 message = NLMSG_NEXT(message, left)) {
                if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
                    return;
                }
                visit(*message);
            }
        }
    }

private:
    int descriptor_;
};

/// The attributes behind the fixed part of a message.
template <class Fixed, class Visit>
void for_each_attribute(const nlmsghdr& message, const Visit& visit)
{
    const auto* const fixed = static_cast<const Fixed*>(NLMSG_DATA(&message));
    auto left = static_cast<int>(message.nlmsg_len - NLMSG_SPACE(sizeof(Fixed)));
    const auto* attribute =
        reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(fixed) + NLMSG_ALIGN(sizeof(Fixed)));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        visit(attribute->rta_type, Bytes{static_cast<const std::byte*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)});
    }
}

int read_int(Bytes bytes)
{
    int value = 0;
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
}

std::optional<wire::IpAddress> read_address(int family, Bytes bytes)
{
    if (family == AF_INET && bytes.size() == 4) {
        return wire::IpAddress::load_v4(bytes.data());
    }
    if (family == AF_INET6 && bytes.size() == 16) {
        return wire::IpAddress::load_v6(bytes.data());
    }
    return std::nullopt;
}

wire::IpAddress unspecified(int family) { return family == AF_INET ? wire::IpAddress::v4(0) : wire::IpAddress{}; }

// The next hops of a multipath route that leave by `interface`.
void add_next_hops(int family, Bytes bytes, int interface, std::vector<wire::IpAddress>& gateways)
{
    auto left = static_cast<int>(bytes.size());
    const auto* hop = reinterpret_cast<const rtnexthop*>(bytes.data());
    while (RTNH_OK(hop, left)) {
        if (hop->rtnh_ifindex == interface) {
            wire::IpAddress gateway = unspecified(family);
            int inner = hop->rtnh_len - static_cast<int>(sizeof *hop);
            for (const rtattr* attribute = RTNH_DATA(hop); RTA_OK(attribute, inner);
                 attribute = RTA_NEXT(attribute, inner)) {
                const Bytes value{static_cast<const std::byte*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)};
                if (attribute->rta_type == RTA_GATEWAY) {
                    gateway = read_address(family, value).value_or(gateway);
                }
            }
            gateways.push_back(gateway);
        }
        left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
        hop = RTNH_NEXT(hop);
    }
}

} // namespace

std::vector<LinkFacts> read_links()
{
    std::vector<LinkFacts> links;
    NetlinkSocket{}.dump(RTM_GETLINK, [&](const nlmsghdr& message) {
        const auto& fixed = *static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
        LinkFacts link;
        link.index = fixed.ifi_index;
        link.flags = fixed.ifi_flags;
        for_each_attribute<ifinfomsg>(message, [&](int type, Bytes value) {
            if (type == IFLA_IFNAME) {
                link.name = reinterpret_cast<const char*>(value.data());
            } else if (type == IFLA_MTU) {
                link.mtu = static_cast<std::uint32_t>(read_int(value));
            } else if (type == IFLA_MASTER) {
                link.master = read_int(value);
            }
        });
        links.push_back(std::move(link));
    });
    return links;
}

std::vector<wire::Prefix> read_addresses(int interface_index)
{
    std::vector<wire::Prefix> addresses;
    NetlinkSocket{}.dump(RTM_GETADDR, [&](const nlmsghdr& message) {
        const auto& fixed = *static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
        if (static_cast<int>(fixed.ifa_index) != interface_index) {
            return;
        }
        std::optional<wire::IpAddress> address;
        for_each_attribute<ifaddrmsg>(message, [&](int type, Bytes value) {
            // IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link.
            if (type == IFA_LOCAL || (type == IFA_ADDRESS && !address)) {
                address = read_address(fixed.ifa_family, value);
            }
        });
        if (address) {
            addresses.push_back(wire::Prefix{*address, fixed.ifa_prefixlen});
        }
    });
    return addresses;
}

std::vector<wire::IpAddress> read_default_gateways(int interface_index)
{
    std::vector<wire::IpAddress> gateways;
    NetlinkSocket{}.dump(RTM_GETROUTE, [&](const nlmsghdr& message) {
        const auto& fixed = *static_cast<const rtmsg*>(NLMSG_DATA(&message));
        if (fixed.rtm_dst_len != 0 || fixed.rtm_type != RTN_UNICAST) {
            return;
        }
        bool ours = false;
        wire::IpAddress gateway = unspecified(fixed.rtm_family);
        for_each_attribute<rtmsg>(message, [&](int type, Bytes value) {
            if (type == RTA_OIF) {
                ours = read_int(value) == interface_index;
            } else if (type == RTA_GATEWAY) {
                gateway = read_address(fixed.rtm_family, value).value_or(gateway);
            } else if (type == RTA_MULTIPATH) {
                add_next_hops(fixed.rtm_family, value, interface_index, gateways);
            }
        });
        if (ours) {
            gateways.push_back(gateway);
        }
    });
    return gateways;
}

} // namespace sluice::app
