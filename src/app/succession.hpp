// How connections outlive a planned change of the active node. The proxy's connections live in one node's memory, and
// the moment an address moves, their segments reach the other node. For a while that one passes what it does not know
// back to the node that had the address before (Ethernet destination: that node's own MAC), which ends its connections
// in peace and answers clients directly. New connections are the new owner's from the first advert.
//
// A node that died gets nothing passed back: its connections are reset at once.
#pragma once

#include <sluice/neigh/addresses.hpp>
#include <sluice/neigh/adjacency.hpp>

#include <optional>

namespace sluice::app {

/// How long connections may go on at the node that lost their address; then it resets them.
inline constexpr Duration farewell_time = std::chrono::seconds{1};
/// How long segments are passed and taken back: the resets at the end of that time come first.
inline constexpr Duration succession_time = farewell_time + std::chrono::milliseconds{500};

/// Who had each virtual address before this node. Written by the first forwarder, read by workers.
class Succession {
public:
    /// `place` in neigh::AddressStates.
    void follow(std::uint16_t place, neigh::AdjacencyIndex predecessor, TimePoint now) noexcept
    {
        const std::int64_t until = (now + succession_time).time_since_epoch().count();
        entries_[place].predecessor.store(predecessor.value, std::memory_order_relaxed);
        entries_[place].until.store(until, std::memory_order_release);
        latest_.store(until, std::memory_order_release);
    }
    /// One load for the many turns in which nothing has changed hands lately.
    [[nodiscard]] bool open(TimePoint now) const noexcept
    {
        return now.time_since_epoch().count() < latest_.load(std::memory_order_relaxed);
    }
    /// Who ends the connections of before; nobody when no live node had the address a moment ago.
    [[nodiscard]] neigh::AdjacencyIndex predecessor(std::uint16_t place, TimePoint now) const noexcept
    {
        const Entry& entry = entries_[place];
        if (now.time_since_epoch().count() >= entry.until.load(std::memory_order_acquire)) {
            return {};
        }
        return {entry.predecessor.load(std::memory_order_relaxed)};
    }

private:
    struct Entry {
        std::atomic<std::uint32_t> predecessor{0};
        std::atomic<std::int64_t> until{0};
    };
    std::array<Entry, neigh::AddressStates::capacity> entries_{};
    alignas(64) std::atomic<std::int64_t> latest_{0};
};

} // namespace sluice::app
