// The parts of the model that describe the node: cores, memory, ports, VRRP, control, admin page, logs.
#pragma once

#include <sluice/config/values.hpp>

#include <vector>

namespace sluice::config {

enum class Idle : std::uint8_t { adaptive, poll };

/// Empty lists: chosen from the cores that the process may use.
struct Cpu {
    std::vector<Located<std::uint32_t>> forwarders;
    std::vector<Located<std::uint32_t>> workers;
    Idle idle = Idle::adaptive;
    Where where;
    bool operator==(const Cpu&) const = default;
};

enum class HugePages : std::uint8_t { automatic, required, off };

struct Memory {
    HugePages hugepages = HugePages::automatic;
    ByteSize size{512ULL << 20U};
    Where where;
    bool operator==(const Memory&) const = default;
};

enum class Driver : std::uint8_t { af_xdp, af_packet };
enum class KernelAddresses : std::uint8_t { refuse, ignore };

/// Exactly one of interface, pci and vdev is set.
struct Device {
    std::optional<Located<std::string>> interface; ///< Kernel name.
    Driver driver = Driver::af_xdp;                ///< Of an interface.
    KernelAddresses kernel = KernelAddresses::refuse;
    std::optional<Located<std::string>> pci;  ///< "0000:3b:00.0"
    std::optional<Located<std::string>> vdev; ///< As DPDK's --vdev, unchanged.
    std::optional<std::uint32_t> queues;      ///< Unset: one per forwarder, as far as the device has them.
    Where where;
    bool operator==(const Device&) const = default;
};

struct PortRoute {
    Located<wire::Prefix> to;
    Located<wire::IpAddress> via;
    Where where;
    bool operator==(const PortRoute&) const = default;
};

struct Port {
    Located<std::string> name;
    Device device;
    Located<std::uint32_t> mtu{1500, {}};
    std::vector<Located<wire::Prefix>> addresses; ///< Interface addresses: host bits are kept.
    std::vector<PortRoute> routes;
    Where where;
    bool operator==(const Port&) const = default;
};

/// Exactly one of port and pool is set.
struct Track {
    std::optional<Located<std::string>> port;
    std::optional<Located<std::string>> pool;
    std::optional<std::int32_t>
        weight; ///< Unset: a failure makes the instance yield. Set: it is added to the priority.
    Where where;
    bool operator==(const Track&) const = default;
};

/// RFC 9568 §5.2.8 sums IPv4 adverts without the pseudo-header; Keepalived and others with it.
enum class VrrpChecksum : std::uint8_t { automatic, rfc9568, pseudo };

struct VrrpInstance {
    Located<std::string> name;
    std::string group; ///< Instances of a group move together; the instance's own name when it is alone.
    Located<std::string> port;
    Located<std::uint32_t> vrid;                                           ///< 1..255
    Located<std::uint32_t> priority{100, {}};                              ///< 1..255
    Located<Duration> advert_interval{std::chrono::milliseconds{100}, {}}; ///< Whole centiseconds.
    bool preempt = true;
    Duration preempt_delay{0};
    bool virtual_mac = true; ///< Answer with 00-00-5E-00-01/02-VRID (RFC 9568 §7.3); else with the port's own.
    VrrpChecksum checksum = VrrpChecksum::automatic;
    std::vector<Located<wire::IpAddress>> addresses; ///< One family; an IPv6 list starts with a link-local one.
    std::vector<Track> track;
    Where where;
    bool operator==(const VrrpInstance&) const = default;
};

struct Stop {
    Duration drain = std::chrono::seconds{5};    ///< How long proxied connections may finish.
    Duration timeout = std::chrono::seconds{30}; ///< The whole stop, hand-over included.
    Where where;
    bool operator==(const Stop&) const = default;
};

struct Control {
    FilePath socket{"/run/sluice/control.sock"};
    std::optional<Located<std::string>> group; ///< May look; unset: root only.
    Where where;
    bool operator==(const Control&) const = default;
};

struct Admin {
    Located<wire::Endpoint> listen; ///< 127.0.0.1:9180 unless written.
    std::vector<Located<wire::Prefix>> allow;
    Where where;

    Admin();
    bool operator==(const Admin&) const = default;
};

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error };
enum class AccessFormat : std::uint8_t { json };

struct AccessLog {
    Located<FilePath> file;
    AccessFormat format = AccessFormat::json;
    Where where;
    bool operator==(const AccessLog&) const = default;
};

/// Where the log goes.
struct LogTarget {
    FilePath file; ///< Empty path: standard error.
    [[nodiscard]] bool is_stderr() const noexcept { return file.path.empty(); }
    bool operator==(const LogTarget&) const = default;
};

struct Log {
    LogLevel level = LogLevel::info;
    LogTarget to;
    std::optional<AccessLog> access; ///< Unset: requests are not logged.
    Where where;
    bool operator==(const Log&) const = default;
};

} // namespace sluice::config
