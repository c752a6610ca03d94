#include <sluice/neigh/addresses.hpp>

#include <bit>
#include <bitset>

namespace sluice::neigh {

LocalAddresses::LocalAddresses(const std::vector<Interface>& interfaces,
                               const std::vector<VirtualAddress>& virtual_addresses, const LocalAddresses* previous,
                               AddressStates& states)
{
    for (const Interface& interface : interfaces) {
        for (const wire::Prefix& own : interface.addresses) {
            entries_.push_back({interface.port, own.address, interface.mac, false, 0});
        }
    }
    std::bitset<AddressStates::capacity> used;
    if (previous != nullptr) {
        for (const LocalAddress& entry : previous->entries_) {
            used.set(entry.place, entry.is_virtual || used.test(entry.place));
        }
    }
    std::size_t next = 0;
    for (const VirtualAddress& each : virtual_addresses) {
        LocalAddress entry{each.port, each.address, each.mac, true, 0};
        const LocalAddress* known = previous != nullptr ? previous->find(each.port, each.address) : nullptr;
        if (known != nullptr && known->is_virtual) {
            entry.place = known->place;
        } else {
            while (used.test(next)) {
                ++next;
            }
            used.set(next);
            entry.place = static_cast<std::uint16_t>(next);
            states.set(entry.place, Ownership::backup);
        }
        entries_.push_back(entry);
    }

    buckets_.resize(std::bit_ceil(entries_.size() * 2 + 1), 0);
    for (std::size_t index = 0; index < entries_.size(); ++index) {
        if (find(entries_[index].port, entries_[index].address) != nullptr) {
            continue; // Listed twice: the first, the port's own, answers.
        }
        std::size_t bucket = bucket_of(entries_[index].port, entries_[index].address);
        while (buckets_[bucket] != 0) {
            bucket = (bucket + 1) & (buckets_.size() - 1);
        }
        buckets_[bucket] = static_cast<std::uint16_t>(index + 1);
    }
}

std::size_t LocalAddresses::bucket_of(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    // Nobody outside chooses what is in this table, so it needs no keyed hash; the high bits of the product mix best.
    const std::uint64_t mixed = (std::hash<wire::IpAddress>{}(address) ^ port) * 0x9e3779b97f4a7c15ULL;
    return (mixed >> 32U) & (buckets_.size() - 1);
}

const LocalAddress* LocalAddresses::find(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    if (buckets_.empty()) {
        return nullptr;
    }
    for (std::size_t bucket = bucket_of(port, address); buckets_[bucket] != 0;
         bucket = (bucket + 1) & (buckets_.size() - 1)) {
        const LocalAddress& entry = entries_[buckets_[bucket] - 1U];
        if (entry.port == port && entry.address == address) {
            return &entry;
        }
    }
    return nullptr;
}

} // namespace sluice::neigh
