#include <sluice/l4/affinity_table.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

constexpr unsigned tick_shift = 26; ///< 67 ms

std::uint32_t tick_of(TimePoint time) noexcept
{
    return static_cast<std::uint32_t>(time.time_since_epoch().count() >> tick_shift);
}

std::uint32_t deadline_of(std::uint64_t binding) noexcept { return static_cast<std::uint32_t>(binding); }
ServerId server_of(std::uint64_t binding) noexcept { return {static_cast<std::uint32_t>(binding >> 32U)}; }

} // namespace

AffinityTable::AffinityTable(std::uint32_t entries, const HashKey& secret)
    : secret_{secret}, sets_{std::max<std::size_t>((entries + ways - 1) / ways, 1)}, entries_{std::make_unique<Entry[]>(
                                                                                         sets_ * ways)}
{
}

AffinityKey AffinityTable::key(std::uint32_t kind, std::uint32_t id, const wire::IpAddress& address) const noexcept
{
    const std::uint64_t hash = siphash13_words(secret_, std::uint64_t{kind} << 32U | id, address.high(), address.low());
    return {hash > changing ? hash : hash + changing + 1};
}

AffinityTable::Entry* AffinityTable::set_of(AffinityKey key) const noexcept
{
    __extension__ using Wide = unsigned __int128;
    return &entries_[static_cast<std::size_t>((static_cast<Wide>(key.value) * sets_) >> 64U) * ways];
}

AffinityTable::Entry* AffinityTable::search(AffinityKey key) const noexcept
{
    Entry* const set = set_of(key);
    for (Entry* entry = set; entry != set + ways; ++entry) {
        if (entry->key.load(std::memory_order_acquire) == key.value) {
            return entry;
        }
    }
    return nullptr;
}

bool AffinityTable::is_over(const Entry& entry, TimePoint now) noexcept
{
    return entry.holders.load() == 0 && deadline_of(entry.binding.load(std::memory_order_acquire)) <= tick_of(now);
}

/// A holder announces itself before it looks at the key again, and whoever replaces an entry marks the key before it
/// looks for holders: one of them sees the other.
AffinityTable::Entry* AffinityTable::search_or_make(AffinityKey key, bool held, TimePoint now) noexcept
{
    Entry* const set = set_of(key);
    for (int tries = 0; tries < patience; ++tries) {
        if (Entry* const entry = search(key); entry != nullptr) {
            if (!held) {
                return entry;
            }
            entry->holders.fetch_add(1);
            if (entry->key.load() == key.value) {
                return entry;
            }
            entry->holders.fetch_sub(1);
            continue;
        }
        Entry* const place = std::find_if(set, set + ways, [&](const Entry& entry) {
            return entry.key.load(std::memory_order_relaxed) != changing && is_over(entry, now);
        });
        if (place == set + ways) {
            return nullptr;
        }
        std::uint64_t before = place->key.load();
        if (before == changing || !place->key.compare_exchange_strong(before, changing)) {
            continue;
        }
        if (!is_over(*place, now)) {
            place->key.store(before);
            continue;
        }
        place->binding.store(0);
        place->key.store(key.value);
        // Two cores may have made the same entry at two places: searches find the first, so it is the one that stays.
        for (Entry* other = set; other != set + ways; ++other) {
            std::uint64_t twin = key.value;
            if (other > place) {
                other->key.compare_exchange_strong(twin, vacant);
            } else if (other < place && other->key.load() == key.value) {
                place->key.compare_exchange_strong(twin, vacant);
                break;
            }
        }
    }
    return nullptr;
}

ServerId AffinityTable::find(AffinityKey key, TimePoint now) const noexcept
{
    const Entry* const entry = search(key);
    if (entry == nullptr) {
        return {};
    }
    const std::uint64_t binding = entry->binding.load(std::memory_order_acquire);
    const bool alive = deadline_of(binding) > tick_of(now) || entry->holders.load(std::memory_order_relaxed) != 0;
    return alive ? server_of(binding) : ServerId{};
}

ServerId AffinityTable::bind(AffinityKey key, ServerId server, ServerId instead_of, TimePoint now,
                             Duration lifetime) noexcept
{
    const std::uint32_t deadline = tick_of(now + lifetime) + 1;
    for (int tries = 0; tries < patience; ++tries) {
        Entry* const entry = search_or_make(key, false, now);
        if (entry == nullptr) {
            return server;
        }
        std::uint64_t before = entry->binding.load(std::memory_order_acquire);
        if (entry->key.load(std::memory_order_acquire) != key.value) {
            continue;
        }
        const ServerId bound = server_of(before);
        const bool alive = deadline_of(before) > tick_of(now) || entry->holders.load(std::memory_order_relaxed) != 0;
        if (alive && bound && bound != server && bound != instead_of) {
            return bound;
        }
        const std::uint64_t after = std::uint64_t{server.value} << 32U | deadline;
        if (entry->binding.compare_exchange_strong(before, after, std::memory_order_acq_rel)) {
            return server;
        }
    }
    return server;
}

void AffinityTable::forget(AffinityKey key) noexcept
{
    if (Entry* const entry = search(key); entry != nullptr) {
        entry->binding.store(0, std::memory_order_release);
    }
}

AffinityPlace AffinityTable::hold(AffinityKey key, TimePoint now) noexcept
{
    const Entry* const entry = search_or_make(key, true, now);
    return entry == nullptr ? 0 : static_cast<AffinityPlace>(entry - entries_.get()) + 1;
}

void AffinityTable::release(AffinityPlace place) noexcept
{
    if (place != 0) {
        entries_[place - 1].holders.fetch_sub(1);
    }
}

std::size_t AffinityTable::count(TimePoint now) const noexcept
{
    const std::uint32_t tick = tick_of(now);
    std::size_t bound = 0;
    for (std::size_t index = 0; index < capacity(); ++index) {
        const Entry& entry = entries_[index];
        const std::uint64_t binding = entry.binding.load(std::memory_order_relaxed);
        const bool alive = deadline_of(binding) > tick || entry.holders.load(std::memory_order_relaxed) != 0;
        bound += entry.key.load(std::memory_order_relaxed) > changing && server_of(binding) && alive ? 1U : 0U;
    }
    return bound;
}

} // namespace sluice::l4
