// What a port asks the kernel about its interface, and the descriptors that drivers keep to themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::port {

/// One interface by name, through ioctl(2): unlike /sys it follows the network namespace. Control thread.
class KernelInterface {
public:
    /// What puts received frames together to packets larger than the MTU (`ethtool -k`), by the kernel and by the card.
    struct Merging {
        bool generic = false; ///< GRO
        bool large = false;   ///< LRO
        [[nodiscard]] bool any() const noexcept { return generic || large; }
    };

    explicit KernelInterface(std::string name);
    ~KernelInterface();
    KernelInterface(const KernelInterface&) = delete;
    KernelInterface& operator=(const KernelInterface&) = delete;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// 0: there is no such interface (any more).
    [[nodiscard]] int index() const noexcept;
    /// Up, and with a carrier.
    [[nodiscard]] bool running() const noexcept;
    [[nodiscard]] std::uint32_t mtu() const noexcept;
    /// False with errno.
    [[nodiscard]] bool set_mtu(std::uint32_t mtu) const noexcept;
    /// Pairs of receive and transmit queue (`ethtool -l`, "combined"); 1 when the driver does not say.
    [[nodiscard]] std::uint16_t channels() const noexcept;

    [[nodiscard]] Merging merging() const noexcept;
    /// False with errno when not all of it took effect.
    bool set_merging(Merging merging) const noexcept;

private:
    [[nodiscard]] std::uint32_t ask_ethtool(std::uint32_t command) const noexcept; ///< 0 when the driver does not say
    bool tell_ethtool(std::uint32_t command, std::uint32_t value) const noexcept;

    std::string name_;
    int socket_;
};

enum class DescriptorKind : std::uint8_t { packet_socket, xdp_socket, tun };

/// The process's open descriptors of these kinds, ascending.
[[nodiscard]] std::vector<int> open_descriptors(DescriptorKind kind);
/// What is in `after` and not in `before`.
[[nodiscard]] std::vector<int> added(const std::vector<int>& before, const std::vector<int>& after);

/// While it lives no descriptor number below the highest one in use is free: descriptors that are opened meanwhile
/// ascend in the order of their opening.
class DescriptorPlug {
public:
    DescriptorPlug();
    ~DescriptorPlug();
    DescriptorPlug(const DescriptorPlug&) = delete;
    DescriptorPlug& operator=(const DescriptorPlug&) = delete;

private:
    std::vector<int> plugs_;
};

/// Has a packet socket of this network namespace joined the fanout group of this number (packet(7), PACKET_FANOUT)?
/// False too when that cannot be asked.
[[nodiscard]] bool fanout_group_exists(std::uint16_t group) noexcept;

/// Frames lost since the last call (packet(7), PACKET_STATISTICS).
[[nodiscard]] std::uint64_t take_packet_socket_drops(int descriptor) noexcept;
/// Frames lost since the socket was made (XDP_STATISTICS): received without room for them, and refused on their way
/// out because the kernel found their descriptors invalid.
struct XdpSocketDrops {
    std::uint64_t received = 0;
    std::uint64_t transmitted = 0;
};
[[nodiscard]] XdpSocketDrops xdp_socket_drops(int descriptor) noexcept;
[[nodiscard]] bool is_zero_copy(int xdp_descriptor) noexcept;

} // namespace sluice::port
