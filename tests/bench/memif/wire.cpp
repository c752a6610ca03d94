#include "generator.hpp"

#include <sluice/wire/arp.hpp>

#include <stdexcept>
#include <thread>

namespace sluice::bench {

Wire::Wire(const Options& options) : options_{options}
{
    auto pool = port::DpdkPool::create("generator", 32768);
    if (!pool) {
        throw std::runtime_error{pool.error().message};
    }
    pool_ = std::move(*pool);
    port::EthdevOptions device;
    device.name = "memif";
    device.device = port::VirtualDevice{options.device};
    auto opened = port::EthdevPort::open(device);
    if (!opened) {
        throw std::runtime_error{opened.error().message};
    }
    port_ = std::move(*opened);
}

bool Wire::connect()
{
    const auto deadline = SteadyClock::now() + std::chrono::seconds{10};
    while (SteadyClock::now() < deadline) {
        port_->refresh();
        if (port_->link_up()) {
            if (!options_.resolve || resolved_) {
                return true;
            }
            ask();
            flush();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        receive([](packet::Packet&&, const wire::ParsedPacket&) {});
    }
    return false;
}

void Wire::ask() { send_arp(true, wire::MacAddress::broadcast(), wire::IpAddress::v4(0x0a000002), options_.node); }

void Wire::handle_arp(Bytes frame, const wire::ParsedPacket& parsed)
{
    const wire::Arp arp{frame.data() + parsed.network_offset};
    if (!arp.is_ipv4_over_ethernet() || arp.sender() != options_.node) {
        return;
    }
    node_mac_ = arp.sender_mac();
    resolved_ = true;
    if (arp.operation() == wire::ArpOperation::request && arp.target() != options_.node) {
        send_arp(false, arp.sender_mac(), arp.target(), arp.sender());
    }
}

void Wire::send_arp(bool request, const wire::MacAddress& to, const wire::IpAddress& sender,
                    const wire::IpAddress& target)
{
    packet::Packet packet = pool_->allocate();
    if (!packet) {
        return;
    }
    std::byte* const frame = packet.append(wire::ethernet_minimum_frame);
    std::memset(frame, 0, wire::ethernet_minimum_frame);
    wire::MutableEthernet{frame}.set(to, own_mac(), wire::ether_type::arp);
    wire::MutableArp{frame + wire::ethernet_size}.set(request ? wire::ArpOperation::request : wire::ArpOperation::reply,
                                                      own_mac(), sender, request ? wire::MacAddress{} : to, target);
    push(std::move(packet));
    flush();
}

void Wire::send(packet::Packet&& packet) noexcept
{
    std::byte* const frame = packet.prepend(wire::ethernet_size);
    wire::MutableEthernet{frame}.set(node_mac_, own_mac(), wire::ether_type::ipv4);
    push(std::move(packet));
}

void Wire::push(packet::Packet&& packet) noexcept
{
    if (out_.full()) {
        flush();
    }
    if (out_.full()) {
        ++lost_;
        return;
    }
    out_.push(std::move(packet));
}

void Wire::flush() noexcept
{
    for (int attempt = 0; attempt < 1000 && !out_.empty(); ++attempt) {
        port_->transmit(0, out_);
    }
}

} // namespace sluice::bench
