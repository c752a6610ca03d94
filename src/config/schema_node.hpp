// The field table of what describes the node.
#pragma once

#include <config/schema.hpp>

namespace sluice::config {

template <>
struct Schema<Cpu> {
    static constexpr std::string_view text =
        "Which cores do the work. A core may be in both lists. Two cores are enough for a node.";
    static constexpr std::tuple fields{
        field("forwarders", &Cpu::forwarders,
              "Cores that receive, classify, forward and send; the first also runs VRRP.")
            .between(0, 1023)
            .unset("chosen from the allowed cores"),
        field("workers", &Cpu::workers, "Cores that run TCP, TLS and HTTP.")
            .between(0, 1023)
            .unset("chosen from the allowed cores"),
        field("idle", &Cpu::idle, "What a core does when there is nothing to do."),
    };
};

template <>
struct Schema<Memory> {
    static constexpr std::string_view text =
        "Packet buffers, flows and connections are laid out once, at start. Sluice never reserves hugepages by itself.";
    static constexpr std::tuple fields{
        field("hugepages", &Memory::hugepages, "Kind of memory."),
        field("size", &Memory::size, "How much of it.").between(64 * mebibyte, 1024 * gibibyte),
    };
};

template <>
struct Schema<Device> {
    static constexpr std::string_view text =
        "What a port drives: an interface of the kernel, a NIC by its PCI address, or a virtual device of DPDK.";
    static constexpr std::array<std::string_view, 3> one_of{"interface", "pci", "vdev"};
    static constexpr std::tuple fields{
        field("interface", &Device::interface, "Name of a kernel interface.").is(Text::interface),
        field("driver", &Device::driver, "How an `interface` is driven."),
        field("kernel", &Device::kernel, "What to do when the kernel has an address on the `interface`."),
        field("pci", &Device::pci, "A NIC that is bound to vfio-pci, by address.").is(Text::pci),
        field("vdev", &Device::vdev, "A virtual device, with its arguments as DPDK takes them.").is(Text::vdev),
        field("queues", &Device::queues, "Receive and transmit queues.")
            .between(1, 64)
            .unset("one per forwarder, as far as the device has them"),
    };
};

template <>
struct Schema<PortRoute> {
    static constexpr std::string_view text =
        "A static route. Every server and client is reached through a network of a port or through one of these.";
    static constexpr std::tuple fields{
        field("to", &PortRoute::to, "Destination network.").required(),
        field("via", &PortRoute::via, "Gateway, inside a network of this port or link-local.").required(),
    };
};

template <>
struct Schema<Port> {
    static constexpr std::string_view text = "A port is a NIC that Sluice drives by itself, past the kernel.";
    static constexpr std::tuple fields{
        field("name", &Port::name, "Its name; the other parts of the file refer to it.").required().is(Text::name),
        field("device", &Port::device, "What it drives. A change needs a restart.").required(),
        field("mtu", &Port::mtu, "Largest IP packet, in bytes.").between(576, 9216),
        field("addresses", &Port::addresses,
              "This node's own addresses with their prefix length; answered in every VRRP state.")
            .unset("none"),
        field("routes", &Port::routes, "Static routes.").unset("none"),
    };
};

template <>
struct Schema<Track> {
    static constexpr std::string_view text =
        "Something whose failure matters to the instance. Forwarders and workers always count.";
    static constexpr std::array<std::string_view, 2> one_of{"port", "pool"};
    static constexpr std::tuple fields{
        field("port", &Track::port, "A port; it fails when its link is down or it stops transmitting.").is(Text::name),
        field("pool", &Track::pool, "A pool; it fails when no server is healthy.").is(Text::name),
        field("weight", &Track::weight,
              "Negative: added to the priority while it has failed; positive: while it works.")
            .between(-254, 254)
            .unset("the instance yields"),
    };
};

template <>
struct Schema<VrrpInstance> {
    static constexpr std::string_view text = "A VRRPv3 instance (RFC 9568) owns virtual addresses of one family and "
                                             "hands them to the peer when this node fails.";
    static constexpr std::tuple fields{
        field("name", &VrrpInstance::name, "Its name.").required().is(Text::name),
        field("group", &VrrpInstance::group, "Instances of one group move together.")
            .is(Text::name)
            .unset("a group of its own"),
        field("port", &VrrpInstance::port, "The port that it speaks on.").required().is(Text::name),
        field("vrid", &VrrpInstance::vrid, "Virtual router id, the same on both nodes, unique per port and family.")
            .required()
            .between(1, 255),
        field("priority", &VrrpInstance::priority,
              "The higher one is active. 255 only if the addresses are the port's own.")
            .between(1, 255),
        field("advert_interval", &VrrpInstance::advert_interval,
              "Between adverts, in whole hundredths of a second. Three of them missing make the peer take over.")
            .between(std::chrono::milliseconds{10}, std::chrono::milliseconds{40950}),
        field("preempt", &VrrpInstance::preempt, "Take over from a peer of lower priority."),
        field("preempt_delay", &VrrpInstance::preempt_delay, "How long to wait before that.")
            .between(Duration{0}, std::chrono::hours{1}),
        field("virtual_mac", &VrrpInstance::virtual_mac,
              "Speak and answer with the virtual MAC address of RFC 9568 §7.3; `false`: with the port's own."),
        field("checksum", &VrrpInstance::checksum, "How IPv4 adverts are summed; both kinds are understood."),
        field("addresses", &VrrpInstance::addresses,
              "The virtual addresses, all of one family; IPv6 starts with a link-local one.")
            .required(),
        field("track", &VrrpInstance::track, "What must work here.").unset("nothing more"),
    };
};

template <>
struct Schema<Stop> {
    static constexpr std::string_view text = "How the process ends on SIGTERM.";
    static constexpr std::tuple fields{
        field("drain", &Stop::drain, "How long proxied connections may finish.")
            .between(Duration{0}, std::chrono::hours{1}),
        field("timeout", &Stop::timeout, "The whole stop; then it ends at once.")
            .between(std::chrono::seconds{1}, std::chrono::hours{2}),
    };
};

template <>
struct Schema<Control> {
    static constexpr std::string_view text = "The socket of `sluicectl`. Root may change things.";
    static constexpr std::tuple fields{
        field("socket", &Control::socket, "Path of the unix socket."),
        field("group", &Control::group, "Members of this group may look.").is(Text::group).unset("root only"),
    };
};

template <>
struct Schema<Admin> {
    static constexpr std::string_view text =
        "The read-only page over the kernel's network: `/metrics`, `/livez`, `/readyz`. Off unless this map is there.";
    static constexpr std::tuple fields{
        field("listen", &Admin::listen, "Address and port; beyond loopback it needs `allow`."),
        field("allow", &Admin::allow, "Networks that may ask.").unset("loopback only"),
    };
};

template <>
struct Schema<AccessLog> {
    static constexpr std::string_view text = "One record per request.";
    static constexpr std::tuple fields{
        field("file", &AccessLog::file, "The file; reopened on SIGUSR1.").required(),
        field("format", &AccessLog::format, "Format of a record."),
    };
};

template <>
struct Schema<Log> {
    static constexpr std::string_view text = "Where the node writes what happens.";
    static constexpr std::tuple fields{
        field("level", &Log::level, "The least severity that is written."),
        field("to", &Log::to, "`stderr`, or a file; reopened on SIGUSR1."),
        field("access", &Log::access, "The access log.").unset("requests are not logged"),
    };
};

} // namespace sluice::config
