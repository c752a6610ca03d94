// The connection table of one stack: everything that a segment can belong to, found by its two endpoints.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/wire/address.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace sluice::tcp {

struct Core;

enum class EntryKind : std::uint8_t { connection, half_open, time_wait };

/// First part of a connection, a half-open record and a TIME_WAIT record. The bytes behind `kind` belong to the derived
/// type: they are here because they fill what would be padding.
struct TableEntry {
    wire::IpAddress local;
    wire::IpAddress remote;
    std::uint16_t local_port = 0;
    std::uint16_t remote_port = 0;
    EntryKind kind;
    std::uint8_t flags = 0;
    std::uint8_t window_scale = 0;
    std::uint8_t count = 0;
    Core* core;

    TableEntry(EntryKind what, Core* owner) noexcept : kind{what}, core{owner} {}
    [[nodiscard]] wire::Endpoint local_endpoint() const noexcept { return {local, local_port}; }
    [[nodiscard]] wire::Endpoint remote_endpoint() const noexcept { return {remote, remote_port}; }
};
static_assert(sizeof(TableEntry) == 48);

/// Open addressing with linear probing, keyed with a secret. Sized once for the limits of its stack (memory that is not
/// touched is not backed), so it never rehashes on the packet path.
class ConnectionTable {
public:
    ConnectionTable(const HashKey& key, std::size_t entries);

    [[nodiscard]] TableEntry* find(const wire::IpAddress& local, std::uint16_t local_port,
                                   const wire::IpAddress& remote, std::uint16_t remote_port) const noexcept
    {
        return find(hash_of(local, local_port, remote, remote_port), local, local_port, remote, remote_port);
    }
    /// With what hash_of() says of the same endpoints.
    [[nodiscard]] TableEntry* find(std::uint32_t hash, const wire::IpAddress& local, std::uint16_t local_port,
                                   const wire::IpAddress& remote, std::uint16_t remote_port) const noexcept;
    [[nodiscard]] std::uint32_t hash_of(const wire::IpAddress& local, std::uint16_t local_port,
                                        const wire::IpAddress& remote, std::uint16_t remote_port) const noexcept;
    /// The two steps that make a later find() cheap: each waits for the memory that the one before has asked for.
    void prefetch_slot(std::uint32_t hash) const noexcept { __builtin_prefetch(&slots_[hash & mask_]); }
    void prefetch_entry(std::uint32_t hash) const noexcept;
    /// False when it is full. The entry's endpoints must be set and not be in the table.
    [[nodiscard]] bool insert(TableEntry& entry) noexcept;
    void erase(const TableEntry& entry) noexcept;
    /// Puts `with`, which has the same endpoints, in the place of `entry`.
    void replace(const TableEntry& entry, TableEntry& with) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t slots() const noexcept { return mask_ + 1; }
    /// The entry of a slot, or nullptr: for walks over all.
    [[nodiscard]] TableEntry* at(std::size_t slot) const noexcept { return slots_[slot].entry; }

private:
    struct Slot {
        TableEntry* entry;
        std::uint32_t hash;
    };
    struct Free {
        void operator()(Slot* slots) const noexcept { std::free(slots); }
    };

    [[nodiscard]] std::size_t slot_of(const TableEntry& entry) const noexcept;

    HashKey key_;
    std::size_t mask_;
    std::size_t limit_;
    std::size_t size_ = 0;
    std::unique_ptr<Slot[], Free> slots_;
};

} // namespace sluice::tcp
