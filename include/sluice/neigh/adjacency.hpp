// Adjacencies: how to reach each neighbour, written by the first forwarder, read by every core without a lock.
//
// Flows and connections keep an AdjacencyIndex, never a MAC: one store moves all of them to a neighbour's new MAC.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/wire/address.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice::neigh {

/// A slot and its generation. A handle of a neighbour that was forgotten reads as unusable, never as another neighbour.
struct AdjacencyIndex {
    std::uint32_t value = 0; ///< slot << 8 | generation; 0 is nobody

    [[nodiscard]] explicit operator bool() const noexcept { return value != 0; }
    bool operator==(const AdjacencyIndex&) const = default;
};

/// RFC 4861 §7.3.2, for both families; `failed` remembers for a moment that nobody answered.
enum class NeighbourState : std::uint8_t { none, incomplete, reachable, stale, delay, probe, failed };

[[nodiscard]] std::string_view name(NeighbourState state) noexcept;

/// What a reader gets: one consistent word.
struct Adjacency {
    wire::MacAddress mac;
    std::uint8_t port = 0;
    NeighbourState state = NeighbourState::none;

    /// The MAC may be sent to.
    [[nodiscard]] bool usable() const noexcept
    {
        return state >= NeighbourState::reachable && state <= NeighbourState::probe;
    }
};

class Adjacencies {
public:
    static constexpr std::uint8_t maximum_port = 31;

    /// Room for `capacity` neighbours of all ports, laid out now; at most 2^20.
    explicit Adjacencies(std::size_t capacity);

    // ---- Any core ----

    /// The neighbour's present MAC and state; state `none` for a stale handle. A use of a `stale` neighbour makes the
    /// first forwarder check it (RFC 4861 §7.3.3).
    [[nodiscard]] Adjacency use(AdjacencyIndex index) noexcept;
    /// The same without counting as a use.
    [[nodiscard]] Adjacency read(AdjacencyIndex index) const noexcept;
    /// The neighbour's handle, or nobody: then the packet goes to the first forwarder, which resolves.
    [[nodiscard]] AdjacencyIndex find(std::uint8_t port, const wire::IpAddress& address) const noexcept;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// Key of a slot, for `sluicectl neighbours`; false when the slot is free or was changing.
    [[nodiscard]] bool describe(std::uint32_t slot, wire::IpAddress& address, Adjacency& adjacency) const noexcept;

private:
    friend class Cache;

    struct Slot {
        std::atomic<std::uint64_t> word{0}; ///< mac 48 | generation 8 | port 5 | state 3
        std::atomic<std::uint64_t> key_high{0};
        std::atomic<std::uint64_t> key_low{0};
        std::atomic<bool> used{false}; ///< While stale: set by readers, cleared by the first forwarder
    };

    // ---- First forwarder only ----
    AdjacencyIndex insert(std::uint32_t slot, std::uint8_t port, const wire::IpAddress& address) noexcept;
    void erase(std::uint32_t slot) noexcept;
    void publish(std::uint32_t slot, const wire::MacAddress& mac, NeighbourState state) noexcept;
    [[nodiscard]] bool used(std::uint32_t slot) const noexcept;
    void clear_used(std::uint32_t slot) noexcept;
    [[nodiscard]] AdjacencyIndex handle_of(std::uint32_t slot) const noexcept;
    [[nodiscard]] bool take_attention() noexcept;

    [[nodiscard]] std::size_t bucket_of(std::uint8_t port, const wire::IpAddress& address) const noexcept;

    HashKey key_;
    std::size_t capacity_;
    std::size_t bucket_mask_;
    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> buckets_; ///< slot + 1, or 0; linear probing
    alignas(64) std::atomic<bool> attention_{false};
};

} // namespace sluice::neigh
