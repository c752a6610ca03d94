#include "transfer/raw_port.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace sluice::transfer {
namespace {

constexpr int socket_buffer = 16 << 20;

[[noreturn]] void fail_on(const std::string& what) { throw std::system_error{errno, std::generic_category(), what}; }

} // namespace

RawPort::RawPort(const std::string& interface, std::vector<Neighbour> neighbours) : neighbours_{std::move(neighbours)}
{
    socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (socket_ < 0 || ::ioctl(socket_, SIOCGIFHWADDR, &request) != 0) {
        fail_on(interface);
    }
    std::memcpy(own_.octets.data(), request.ifr_hwaddr.sa_data, own_.octets.size());
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    const int on = 1;
    const int size = socket_buffer;
    if (::setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0 ||
        ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        fail_on(interface);
    }
}

RawPort::~RawPort()
{
    out_.clear();
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

void RawPort::receive_burst(packet::Burst& burst) noexcept
{
    std::array<mmsghdr, packet::Burst::capacity> headers{};
    std::array<iovec, packet::Burst::capacity> rooms{};
    std::array<packet::Packet, packet::Burst::capacity> packets;
    unsigned room = 0;
    for (; room < packets.size() && (packets[room] = pool_.allocate()); ++room) {
        rooms[room] = {packets[room].data(), packets[room].tailroom()};
        headers[room].msg_hdr.msg_iov = &rooms[room];
        headers[room].msg_hdr.msg_iovlen = 1;
    }
    const int count = ::recvmmsg(socket_, headers.data(), room, MSG_DONTWAIT, nullptr);
    for (int index = 0; index < count; ++index) {
        const auto at = static_cast<std::size_t>(index);
        if (packets[at].append(headers[at].msg_len) != nullptr) {
            burst.push(std::move(packets[at]));
        }
    }
}

void RawPort::send(packet::Packet&& packet, const wire::IpAddress& destination) noexcept
{
    const auto to = std::find_if(neighbours_.begin(), neighbours_.end(),
                                 [&](const Neighbour& each) { return each.address == destination; });
    if (to == neighbours_.end()) {
        ++unsent_;
        return;
    }
    std::byte* const frame = packet.prepend(wire::ethernet_size);
    wire::MutableEthernet{frame}.set(to->mac, own_,
                                     destination.is_v4() ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    if (out_.full()) {
        flush();
    }
    out_.push(std::move(packet));
}

void RawPort::flush() noexcept
{
    std::array<mmsghdr, packet::Burst::capacity> headers{};
    std::array<iovec, packet::Burst::capacity> frames{};
    const std::size_t size = out_.size();
    for (std::size_t index = 0; index < size; ++index) {
        frames[index] = {out_[index].data(), out_[index].size()};
        headers[index].msg_hdr.msg_iov = &frames[index];
        headers[index].msg_hdr.msg_iovlen = 1;
    }
    std::size_t sent = 0;
    while (sent < size) {
        const int count = ::sendmmsg(socket_, headers.data() + sent, static_cast<unsigned>(size - sent), MSG_DONTWAIT);
        if (count <= 0) {
            ++unsent_; // As a full queue of a NIC would
            ++sent;
        } else {
            sent += static_cast<std::size_t>(count);
        }
    }
    out_.clear();
}

void RawPort::wait(Duration longest) noexcept
{
    const auto nanoseconds =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::max(longest, Duration{})).count();
    const timespec time{static_cast<time_t>(nanoseconds / 1'000'000'000),
                        static_cast<long>(nanoseconds % 1'000'000'000)};
    pollfd wanted{socket_, POLLIN, 0};
    ::ppoll(&wanted, 1, &time, nullptr);
}

} // namespace sluice::transfer
