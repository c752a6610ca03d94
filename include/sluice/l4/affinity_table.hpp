// Who is bound to which server for some time: the clients of persistent services, the destinations of lblc and lblcr.
// One table for all forwarders, so that they agree whatever their number (ADR 0008). Everything here may be called by
// any core at any time. No locks: an entry changes by compare-and-swap, and whoever loses takes what the winner has
// bound. Memory is taken by the constructor and never grows; an entry whose time is over is replaced by the next one
// that needs its place.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/base/time.hpp>
#include <sluice/l4/ids.hpp>
#include <sluice/wire/address.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::l4 {

/// What is bound, by its keyed hash: nobody outside can aim at another's entry.
struct AffinityKey {
    std::uint64_t value = 0;
    bool operator==(const AffinityKey&) const = default;
};

/// An entry's place, for whoever holds it. 0 is none.
using AffinityPlace = std::uint32_t;

class AffinityTable {
public:
    /// At least `entries` places (rounded up to whole sets).
    AffinityTable(std::uint32_t entries, const HashKey& secret);

    [[nodiscard]] static constexpr std::size_t memory_for(std::uint32_t entries) noexcept
    {
        return entries * sizeof(Entry);
    }

    /// `kind` tells uses apart that share ids: each is a number of its own.
    [[nodiscard]] AffinityKey key(std::uint32_t kind, std::uint32_t id, const wire::IpAddress& address) const noexcept;

    /// The server that is bound now, or nobody.
    [[nodiscard]] ServerId find(AffinityKey key, TimePoint now) const noexcept;

    /// Binds the key to `server` until now + lifetime, unless somebody has bound it to another than `instead_of`
    /// meanwhile. Returns who is bound now; `server` itself also when there was no room.
    ServerId bind(AffinityKey key, ServerId server, ServerId instead_of, TimePoint now, Duration lifetime) noexcept;

    /// Nobody is bound any more.
    void forget(AffinityKey key) noexcept;

    /// One more flow of the key: its entry stays at least until as many release() calls, whatever the time. Makes the
    /// entry when there is none. 0 when there is no room.
    [[nodiscard]] AffinityPlace hold(AffinityKey key, TimePoint now) noexcept;
    void release(AffinityPlace place) noexcept;

    [[nodiscard]] std::size_t capacity() const noexcept { return sets_ * ways; }
    /// Entries that bind somebody now. Reads everything.
    [[nodiscard]] std::size_t count(TimePoint now) const noexcept;

private:
    static constexpr std::size_t ways = 8;
    static constexpr std::uint64_t vacant = 0;
    static constexpr std::uint64_t changing = 1; ///< Its owner is replacing the key
    static constexpr int patience = 64;

    struct Entry {
        std::atomic<std::uint64_t> key{vacant};
        std::atomic<std::uint64_t> binding{0}; ///< ServerId << 32 | deadline, a tick as in flow::FlowTable
        std::atomic<std::uint32_t> holders{0};
    };

    [[nodiscard]] Entry* set_of(AffinityKey key) const noexcept;
    [[nodiscard]] Entry* search(AffinityKey key) const noexcept;
    [[nodiscard]] Entry* search_or_make(AffinityKey key, bool held, TimePoint now) noexcept;
    [[nodiscard]] static bool is_over(const Entry& entry, TimePoint now) noexcept;

    HashKey secret_;
    std::size_t sets_;
    std::unique_ptr<Entry[]> entries_;
};

} // namespace sluice::l4
