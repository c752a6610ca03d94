// A forwarder in a small world: two services' worth of addresses, servers of both families, next hops that are always
// known. Tests change what they need before the first packet.
#pragma once

#include <sluice/l4/forwarder.hpp>
#include <sluice/packet/heap_pool.hpp>

#include <support/frames.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sluice::test {

inline const wire::Endpoint client = endpoint("203.0.113.9:5555");
inline const wire::Endpoint dns = endpoint("192.0.2.100:53"); ///< The forwarded service

class FakeNextHops final : public l4::NextHops {
public:
    std::optional<l4::NextHop> find(const wire::IpAddress&, const wire::IpAddress& destination) noexcept override
    {
        ++lookups;
        if (unroutable == destination) {
            return {};
        }
        return l4::NextHop{handle(destination), mtu_of(destination)};
    }
    std::uint16_t mtu(neigh::AdjacencyIndex adjacency) noexcept override
    {
        return stale ? std::uint16_t{0} : adjacency == handle(narrow_way) ? narrow_mtu : std::uint16_t{1500};
    }
    /// Each destination is its own neighbour.
    [[nodiscard]] static neigh::AdjacencyIndex handle(const wire::IpAddress& destination) noexcept
    {
        return {static_cast<std::uint32_t>(std::hash<wire::IpAddress>{}(destination) >> 32U) | 1U};
    }
    [[nodiscard]] std::uint16_t mtu_of(const wire::IpAddress& destination) const noexcept
    {
        return destination == narrow_way ? narrow_mtu : std::uint16_t{1500};
    }

    wire::IpAddress unroutable;
    wire::IpAddress narrow_way;
    std::uint16_t narrow_mtu = 1500;
    bool stale = false;
    int lookups = 0;
};

/// What came of a packet.
struct Outcome {
    l4::Verdict verdict;
    wire::ParsedPacket parsed;
    Frame frame;
};

class World {
public:
    static constexpr std::uint32_t proxy_service = 1;
    static constexpr std::uint32_t forward_service = 2;
    static constexpr std::uint32_t pool_id = 1;

    l4::Method method = l4::Method::fullnat;
    l4::SchedulerOptions scheduler{l4::Balance::rr, false, 251};
    l4::ForwarderOptions options;
    l4::Forwarding forwarding;
    l4::Admission admission; ///< Of both services
    std::vector<wire::IpAddress> sources{ip("10.0.0.1"), ip("2001:db8:a::1")};
    TimePoint now{std::chrono::seconds{1000}};

    World()
    {
        options.flows = 4096;
        options.secret = {0x1234, 0x5678};
        states.set(1, neigh::Ownership::active);
        states.set(2, neigh::Ownership::active);
    }

    health::Server& add_server(const std::string& address, std::uint32_t weight = 1)
    {
        auto record = std::make_shared<health::Server>("pool", address, endpoint(address));
        servers.push_back({registry.add(record), record, weight});
        return *record;
    }

    /// Compiles the configuration (again) and makes the forwarder if there is none yet.
    void start()
    {
        forwarding.method = method;
        forwarding.pool = {pool_id};
        forwarding.sources = l4::has_sources(method) ? sources : std::vector<wire::IpAddress>{};
        l4::ServiceTable::Parts parts;
        parts.addresses = {{ip("10.0.0.1"), false, 0},
                           {ip("2001:db8:a::1"), false, 0},
                           {ip("192.0.2.100"), true, 1},
                           {ip("2001:db8::100"), true, 1},
                           {ip("192.0.2.101"), true, 2}};
        for (const char* address : {"192.0.2.100", "2001:db8::100"}) {
            parts.listeners.push_back({ip(address), 80, 80, wire::protocol::tcp, {proxy_service}});
            parts.listeners.push_back({ip(address), 53, 53, wire::protocol::udp, {forward_service}});
            parts.listeners.push_back({ip(address), 53, 53, wire::protocol::tcp, {forward_service}});
            parts.listeners.push_back({ip(address), 5000, 5999, wire::protocol::udp, {forward_service}});
        }
        parts.listeners.insert(parts.listeners.end(), more_listeners.begin(), more_listeners.end());
        parts.services = {{{proxy_service}, "site", std::nullopt, admission},
                          {{forward_service}, "dns", forwarding, admission}};
        parts.services.insert(parts.services.end(), more_services.begin(), more_services.end());
        parts.pools = {l4::Pool::make({pool_id}, "pool", scheduler, servers)};
        table = l4::ServiceTable::make(std::move(parts));
        if (!forwarder) {
            forwarder = std::make_unique<l4::Forwarder>(options, registry, states, next_hops);
        }
        forwarder->begin_turn(*table, now);
    }

    /// Runs a frame through the forwarder.
    Outcome send(const Frame& frame)
    {
        Outcome outcome;
        packet::Packet packet = packet_of(buffers, frame);
        if (const auto problem = wire::parse_frame(frame, outcome.parsed)) {
            outcome.verdict = l4::Verdict::dropped(*problem);
            return outcome;
        }
        outcome.verdict = forwarder->process(packet, outcome.parsed, now);
        outcome.frame = frame_of(packet);
        return outcome;
    }
    void advance(Duration by)
    {
        now += by;
        forwarder->begin_turn(*table, now);
    }

    packet::HeapPool buffers{64};
    l4::ServerRegistry registry{64};
    neigh::AddressStates states;
    FakeNextHops next_hops;
    std::vector<l4::PoolServer> servers;
    std::vector<l4::Listener> more_listeners;
    std::vector<l4::Service> more_services;
    std::shared_ptr<const l4::ServiceTable> table;
    std::unique_ptr<l4::Forwarder> forwarder;
};

inline Frame on_wire(const Frame& packet)
{
    return ethernet(mac("02:00:00:00:00:01"), mac("02:00:00:00:00:02"), packet);
}

/// "Too big" with an MTU of 1280, quoting the IP header and `transport` bytes behind it (or all there are) of a frame.
inline Frame icmp_error(const wire::IpAddress& source, const wire::IpAddress& destination, const Frame& offender,
                        std::size_t transport, std::uint8_t hop_limit)
{
    const bool v4 = source.is_v4();
    Frame message(8);
    store8(message.data(), v4 ? 3 : 2);
    store8(message.data() + 1, v4 ? 4 : 0);
    store32(message.data() + 4, 1280);
    const std::size_t quoted = std::min(offender.size() - 14, (v4 ? std::size_t{20} : std::size_t{40}) + transport);
    message.insert(message.end(), offender.begin() + 14, offender.begin() + 14 + static_cast<std::ptrdiff_t>(quoted));
    const std::uint8_t protocol = v4 ? wire::protocol::icmp : wire::protocol::icmpv6;
    store16(message.data() + 2, v4 ? wire::checksum(message) : wire::checksum(message, source, destination, protocol));
    IpOptions header;
    header.hop_limit = hop_limit;
    return on_wire(ip_packet(source, destination, protocol, message, header));
}

} // namespace sluice::test
