// The neighbour cache: the states of RFC 4861 §7.3 for both families. First forwarder only.
//
//    incomplete ──answer──► reachable ──30 s──► stale ──use──► delay ──5 s──► probe ──answer──► reachable
//        │                                        ▲                             │
//        └──3 s──► failed                         └── heard of unasked          └──no answer──► failed
//
// Before it fails, a probe asks everybody as well (RFC 7048): a neighbour that came back with another MAC is found.
#pragma once

#include <neigh/deadlines.hpp>
#include <neigh/frames.hpp>
#include <sluice/neigh/neighbours.hpp>

#include <array>
#include <optional>
#include <vector>

namespace sluice::neigh {

/// What a received packet says about a neighbour.
struct Evidence {
    std::optional<wire::MacAddress> mac;
    bool solicited = false;     ///< It answers a question of ours
    bool override_cache = true; ///< A MAC known before gives way
};

class Cache {
public:
    Cache(const Limits& limits, Adjacencies& adjacencies, Frames& frames, Output& output,
          telemetry::CoreCounters& counters);

    /// From now on `table` says which ports there are; neighbours of ports that are gone or changed their MAC are
    /// forgotten.
    void set_table(const Table* table, TimePoint now) noexcept;

    [[nodiscard]] AdjacencyIndex resolve(std::uint8_t port, const wire::IpAddress& address, TimePoint now) noexcept;
    void transmit(AdjacencyIndex neighbour, packet::Packet&& ip, TimePoint now) noexcept;
    void confirm(AdjacencyIndex neighbour, TimePoint now) noexcept;
    /// Updates a neighbour that is known and makes none; false when it is not known.
    bool learn(std::uint8_t port, const wire::IpAddress& address, const Evidence& evidence, TimePoint now) noexcept;

    /// A gateway: resolved now, kept for ever, asked for again when it fails.
    void keep(std::uint8_t port, const wire::IpAddress& address, TimePoint now) noexcept;
    void release_kept(TimePoint now) noexcept;
    /// It has answered or failed since keep(); true too when it could not be kept.
    [[nodiscard]] bool decided(std::uint8_t port, const wire::IpAddress& address) const noexcept;

    /// The port's link came up: other machines may be there. What was known is checked before it is trusted for long.
    void link_up(std::uint8_t port, TimePoint now) noexcept;

    void advance(TimePoint now) noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept { return deadlines_.next(); }

private:
    static constexpr std::uint16_t no_packet = 0xffff;

    struct Entry {
        wire::IpAddress address;
        wire::MacAddress mac;
        NeighbourState state = NeighbourState::none;
        std::uint8_t port = 0;
        std::uint8_t asked = 0; ///< Solicitations of the present state
        bool kept = false;
        bool decided = false;
        bool failure_reported = false;
        std::uint16_t queued = 0;
        std::uint16_t first_packet = no_packet;
        std::uint16_t last_packet = no_packet;
        TimePoint since{}; ///< Of the state
        TimePoint state_deadline = never;
    };

    [[nodiscard]] std::optional<std::uint32_t> slot_of(AdjacencyIndex neighbour) const noexcept;
    [[nodiscard]] std::optional<std::uint32_t> free_slot(std::uint8_t port) noexcept;
    void erase(std::uint32_t slot) noexcept;
    void enter(std::uint32_t slot, NeighbourState state, TimePoint now) noexcept;
    void ask(Entry& entry, bool everybody) noexcept;
    void expire(std::uint32_t slot, TimePoint now) noexcept;
    void probe(std::uint32_t slot, TimePoint now) noexcept;
    void fail(std::uint32_t slot, TimePoint now) noexcept;
    void report(const Event& event) noexcept;
    void move(std::uint32_t slot, const wire::MacAddress& mac, TimePoint now) noexcept;
    void heed_readers(TimePoint now) noexcept;
    void enqueue(Entry& entry, packet::Packet&& ip) noexcept;
    [[nodiscard]] packet::Packet dequeue(Entry& entry) noexcept;
    void flush(std::uint32_t slot) noexcept;
    void send(const Entry& entry, packet::Packet&& ip) noexcept;

    Limits limits_;
    Adjacencies& adjacencies_;
    Frames& frames_;
    Output& output_;
    telemetry::CoreCounters& counters_;
    const Table* table_ = nullptr;
    RateLimit reports_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;
    std::array<std::uint32_t, Adjacencies::maximum_port + 1> count_{};
    Deadlines deadlines_;
    std::vector<packet::Packet> packets_;
    std::vector<std::uint16_t> next_packet_; ///< Within a queue, or within the free list
    std::uint16_t free_packet_ = no_packet;
};

/// The own address to ask `target` from.
[[nodiscard]] wire::IpAddress source_for(const Interface& interface, const wire::IpAddress& target) noexcept;
/// The interface's first link-local IPv6 address; with_link_local() sees to it that there is one.
[[nodiscard]] wire::IpAddress link_local_source(const Interface& interface) noexcept;

} // namespace sluice::neigh
