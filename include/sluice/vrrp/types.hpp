// The words of VRRP (RFC 9568): states, reasons, what configures an instance, what it asks for, what it reports.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::vrrp {

enum class State : std::uint8_t { init, backup, active };

/// Why an instance changed its state; the words of `sluicectl vrrp` and of the events.
enum class Reason : std::uint8_t {
    none,
    started,        ///< The node became able to serve.
    owner,          ///< Priority 255: the addresses are this node's own.
    peer_silent,    ///< No advert for the down interval.
    peer_stopped,   ///< The active one said priority 0.
    preempted,      ///< This node took over from a lower priority.
    peer_preferred, ///< Somebody with a higher priority (or address) is active.
    not_ready,      ///< Ports, neighbours or the first health round are not there yet.
    fault,          ///< Something tracked without a weight failed, or a core stalled.
    handover,       ///< The operator gave the addresses away.
    stopped,        ///< The process stops.
    reconfigured,   ///< A reload removed the instance or merged its group.
};

[[nodiscard]] std::string_view name(State state) noexcept;
[[nodiscard]] std::string_view name(Reason reason) noexcept;

/// How the checksum of IPv4 adverts is computed. `automatic` does as the last valid peer did, at first `pseudo`.
enum class ChecksumMode : std::uint8_t { automatic, rfc9568, pseudo };

/// A thing whose failure matters to an instance. `id` is the port's index, or a number that control keeps per pool.
struct TrackedObject {
    enum class Kind : std::uint8_t { port, pool };
    Kind kind = Kind::port;
    std::uint32_t id = 0;

    bool operator==(const TrackedObject&) const = default;
};

struct Track {
    TrackedObject object;
    /// Without: the group yields while the object is down. Negative: added to the priority while it is down. Positive:
    /// added while it is up. -253..253.
    std::optional<std::int16_t> weight;

    bool operator==(const Track&) const = default;
};

/// What one instance is configured to be. One address family per instance.
struct Parameters {
    std::string name;
    std::string group; ///< Empty: the instance moves by itself.
    std::uint8_t port = 0;
    std::uint8_t vrid = 1;
    std::uint8_t priority = 100;                        ///< 1..254; 255 for the owner of the addresses.
    Duration advert_interval = std::chrono::seconds{1}; ///< A multiple of 10 ms, 10 ms..40.95 s.
    bool preempt = true;
    Duration preempt_delay{0};
    ChecksumMode checksum = ChecksumMode::automatic;
    wire::IpAddress source; ///< Of the adverts: the port's own IPv4 address, or its link-local IPv6 address.
    std::vector<wire::IpAddress> addresses; ///< 1..maximum_addresses(), all of source's family.
    std::vector<Track> tracks;              ///< The instance's own port is tracked without being listed.
    /// Instead of the virtual router's, for networks that allow no other MAC.
    std::optional<wire::MacAddress> own_mac;

    [[nodiscard]] bool ipv6() const noexcept { return source.is_v6(); }
    /// What adverts, announcements and answers carry.
    [[nodiscard]] wire::MacAddress mac() const noexcept;
    bool operator==(const Parameters&) const = default;
};

/// What one advert carries in a frame of 1500 bytes: 255 IPv4 or 90 IPv6 addresses.
[[nodiscard]] constexpr std::size_t maximum_addresses(bool ipv6) noexcept { return ipv6 ? 90 : 255; }

/// Who answers for a virtual address here. `backup` addresses are known and met with silence.
enum class Ownership : std::uint8_t { absent, backup, active };

struct Event {
    enum class Kind : std::uint8_t {
        transition,       ///< from, to, reason; peer when one caused it
        priority_changed, ///< priority is the new effective one
        other_active,     ///< While active, an advert of another active node was heard: peer, priority
        addresses_differ, ///< The peer's list is not ours; both keep working
        handover_done,    ///< Of the whole node
        handover_failed,  ///< Nobody took over in time; nothing has changed
    };
    Kind kind = Kind::transition;
    TimePoint time{};
    std::string_view instance; ///< Valid during the call; empty for events of the whole node.
    State from = State::init;
    State to = State::init;
    Reason reason = Reason::none;
    std::uint8_t priority = 0;
    wire::IpAddress peer; ///< `::` when no peer is involved.
};

[[nodiscard]] std::string_view name(Event::Kind kind) noexcept;

/// What the protocol asks of the forwarder. Called on the first forwarder's core, from within Manager's functions.
class Output {
public:
    virtual ~Output() = default;
    /// A complete Ethernet frame of at most 1514 bytes, to be sent at once and from the reserve if need be.
    virtual void send(std::uint8_t port, Bytes frame) noexcept = 0;
    /// From now on this is how the address is held here.
    virtual void set_address(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& mac,
                             Ownership ownership) noexcept = 0;
    /// One gratuitous ARP or one unsolicited neighbour advertisement.
    virtual void announce(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& mac) noexcept = 0;
    virtual void report(const Event& event) noexcept = 0;
};

} // namespace sluice::vrrp
