#include "tcp/table.hpp"

#include <bit>
#include <new>

namespace sluice::tcp {

ConnectionTable::ConnectionTable(const HashKey& key, std::size_t entries)
    : key_{key}, mask_{std::bit_ceil(entries + entries / 2 + 16) - 1}, limit_{entries}, slots_{static_cast<Slot*>(
                                                                                            std::calloc(mask_ + 1,
                                                                                                        sizeof(Slot)))}
{
    if (slots_ == nullptr) {
        throw std::bad_alloc{};
    }
}

std::uint32_t ConnectionTable::hash_of(const wire::IpAddress& local, std::uint16_t local_port,
                                       const wire::IpAddress& remote, std::uint16_t remote_port) const noexcept
{
    const std::uint64_t ports = std::uint64_t{local_port} << 16U | remote_port;
    return static_cast<std::uint32_t>(
        siphash13_words(key_, local.high(), local.low(), remote.high(), remote.low(), ports));
}

TableEntry* ConnectionTable::find(std::uint32_t hash, const wire::IpAddress& local, std::uint16_t local_port,
                                  const wire::IpAddress& remote, std::uint16_t remote_port) const noexcept
{
    for (std::size_t index = hash & mask_; slots_[index].entry != nullptr; index = (index + 1) & mask_) {
        TableEntry* const entry = slots_[index].entry;
        if (slots_[index].hash == hash && entry->local_port == local_port && entry->remote_port == remote_port &&
            entry->remote == remote && entry->local == local) {
            return entry;
        }
    }
    return nullptr;
}

void ConnectionTable::prefetch_entry(std::uint32_t hash) const noexcept
{
    // Nearly always the first slot of the chain. What a segment touches first are the ends and the receiving side.
    if (const TableEntry* const entry = slots_[hash & mask_].entry) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(entry);
        for (std::size_t line = 0; line < 4; ++line) {
            __builtin_prefetch(bytes + line * 64);
        }
    }
}

bool ConnectionTable::insert(TableEntry& entry) noexcept
{
    if (size_ >= limit_) {
        return false;
    }
    const std::uint32_t hash = hash_of(entry.local, entry.local_port, entry.remote, entry.remote_port);
    std::size_t index = hash & mask_;
    while (slots_[index].entry != nullptr) {
        index = (index + 1) & mask_;
    }
    slots_[index] = {&entry, hash};
    ++size_;
    return true;
}

std::size_t ConnectionTable::slot_of(const TableEntry& entry) const noexcept
{
    std::size_t index = hash_of(entry.local, entry.local_port, entry.remote, entry.remote_port) & mask_;
    while (slots_[index].entry != &entry) {
        index = (index + 1) & mask_;
    }
    return index;
}

void ConnectionTable::replace(const TableEntry& entry, TableEntry& with) noexcept
{
    slots_[slot_of(entry)].entry = &with;
}

void ConnectionTable::erase(const TableEntry& entry) noexcept
{
    // Backward shift: no tombstones, so probes stay short however long the process runs.
    std::size_t hole = slot_of(entry);
    for (std::size_t index = (hole + 1) & mask_; slots_[index].entry != nullptr; index = (index + 1) & mask_) {
        const std::size_t home = slots_[index].hash & mask_;
        if (((index - home) & mask_) >= ((index - hole) & mask_)) {
            slots_[hole] = slots_[index];
            hole = index;
        }
    }
    slots_[hole] = {};
    --size_;
}

} // namespace sluice::tcp
