// Whose addresses are ours, and whether we hold them now. Every core asks this for each packet that is addressed to us.
//
// The set of addresses is immutable and part of a snapshot; whether a virtual address is held is one atomic byte whose
// place stays the same over reloads, so a takeover is one store and a reload cannot disturb it.
#pragma once

#include <sluice/neigh/types.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>

namespace sluice::neigh {

/// The bytes that say who holds what. One for the process. Written by the first forwarder, read by any core.
class AddressStates {
public:
    static constexpr std::size_t capacity = 4096;

    [[nodiscard]] Ownership get(std::uint16_t place) const noexcept
    {
        return static_cast<Ownership>(states_[place].load(std::memory_order_acquire));
    }
    void set(std::uint16_t place, Ownership ownership) noexcept
    {
        states_[place].store(static_cast<std::uint8_t>(ownership), std::memory_order_release);
    }

private:
    std::array<std::atomic<std::uint8_t>, capacity> states_{};
};

/// A virtual address as control announces it; the port's own addresses come from its Interface.
struct VirtualAddress {
    std::uint8_t port = 0;
    wire::IpAddress address;
    wire::MacAddress mac; ///< 00-00-5E-00-01-VRID or 00-00-5E-00-02-VRID

    bool operator==(const VirtualAddress&) const = default;
};

/// One entry of the table.
struct LocalAddress {
    std::uint8_t port = 0;
    wire::IpAddress address;
    wire::MacAddress mac; ///< What answers for it: the port's MAC or the virtual one
    bool is_virtual = false;
    std::uint16_t place = 0; ///< In AddressStates; meaningful for virtual addresses

    bool operator==(const LocalAddress&) const = default;
};

class LocalAddresses {
public:
    LocalAddresses() = default;
    /// Control thread. Addresses that `previous` (may be null) has too keep their places; others get places that
    /// `previous` does not use, marked `backup`. Places run out beyond AddressStates::capacity: config limits the
    /// number.
    LocalAddresses(const std::vector<Interface>& interfaces, const std::vector<VirtualAddress>& virtual_addresses,
                   const LocalAddresses* previous, AddressStates& states);

    /// The entry of an address on the port where the packet came in; nullptr when it is not ours. Any core.
    [[nodiscard]] const LocalAddress* find(std::uint8_t port, const wire::IpAddress& address) const noexcept;
    /// Own addresses are always `active`. Any core.
    [[nodiscard]] static Ownership ownership(const LocalAddress& entry, const AddressStates& states) noexcept
    {
        return entry.is_virtual ? states.get(entry.place) : Ownership::active;
    }
    [[nodiscard]] const std::vector<LocalAddress>& entries() const noexcept { return entries_; }

private:
    [[nodiscard]] std::size_t bucket_of(std::uint8_t port, const wire::IpAddress& address) const noexcept;

    std::vector<LocalAddress> entries_;
    std::vector<std::uint16_t> buckets_; ///< Index into entries_ + 1, or 0; linear probing, at most half full
};

} // namespace sluice::neigh
