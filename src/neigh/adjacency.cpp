#include <sluice/neigh/adjacency.hpp>

#include <sluice/base/random.hpp>

#include <bit>

namespace sluice::neigh {
namespace {

// The word of a slot: mac 48 | generation 8 | port 5 | state 3.
constexpr unsigned state_bits = 3;
constexpr unsigned port_bits = 5;
constexpr unsigned mac_shift = 16;

std::uint64_t pack(const wire::MacAddress& mac, std::uint8_t generation, std::uint8_t port,
                   NeighbourState state) noexcept
{
    std::uint64_t value = 0;
    for (const std::byte octet : mac.octets) {
        value = value << 8U | std::to_integer<std::uint64_t>(octet);
    }
    return value << mac_shift | std::uint64_t{generation} << (state_bits + port_bits) |
           std::uint64_t{port} << state_bits | static_cast<std::uint64_t>(state);
}

std::uint8_t generation_of(std::uint64_t word) noexcept
{
    return static_cast<std::uint8_t>(word >> (state_bits + port_bits));
}

Adjacency unpack(std::uint64_t word) noexcept
{
    Adjacency result;
    std::byte bytes[8];
    store64(bytes, word >> mac_shift);
    result.mac = wire::MacAddress::load(bytes + 2);
    result.port = static_cast<std::uint8_t>((word >> state_bits) & Adjacencies::maximum_port);
    result.state = static_cast<NeighbourState>(word & 7U);
    return result;
}

std::uint32_t slot_of(AdjacencyIndex index) noexcept { return (index.value >> 8U) - 1; }

AdjacencyIndex handle(std::uint32_t slot, std::uint8_t generation) noexcept { return {(slot + 1) << 8U | generation}; }

} // namespace

std::string_view name(NeighbourState state) noexcept
{
    static constexpr std::string_view names[] = {"none",  "incomplete", "reachable", "stale",
                                                 "delay", "probe",      "failed"};
    return names[static_cast<std::size_t>(state)];
}

Adjacencies::Adjacencies(std::size_t capacity)
    : key_{random_hash_key()}, capacity_{capacity}, bucket_mask_{std::bit_ceil(capacity * 2) - 1},
      slots_{std::make_unique<Slot[]>(capacity)}, buckets_{
                                                      std::make_unique<std::atomic<std::uint32_t>[]>(bucket_mask_ + 1)}
{
}

Adjacency Adjacencies::read(AdjacencyIndex index) const noexcept
{
    if (!index || slot_of(index) >= capacity_) {
        return {};
    }
    const std::uint64_t word = slots_[slot_of(index)].word.load(std::memory_order_acquire);
    return generation_of(word) == static_cast<std::uint8_t>(index.value) ? unpack(word) : Adjacency{};
}

Adjacency Adjacencies::use(AdjacencyIndex index) noexcept
{
    const Adjacency result = read(index);
    // Readers look before they write: what is set already costs them no cache line transfer.
    if (result.state == NeighbourState::stale && !used(slot_of(index))) {
        slots_[slot_of(index)].used.store(true, std::memory_order_relaxed);
        attention_.store(true, std::memory_order_release);
    }
    return result;
}

std::size_t Adjacencies::bucket_of(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    return siphash13_words(key_, address.high(), address.low(), std::uint64_t{port}) & bucket_mask_;
}

AdjacencyIndex Adjacencies::find(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    std::size_t bucket = bucket_of(port, address);
    for (std::size_t step = 0; step <= bucket_mask_; ++step, bucket = (bucket + 1) & bucket_mask_) {
        const std::uint32_t entry = buckets_[bucket].load(std::memory_order_acquire);
        if (entry == 0) {
            return {};
        }
        const Slot& slot = slots_[entry - 1];
        const std::uint64_t before = slot.word.load(std::memory_order_acquire);
        const bool same = slot.key_high.load(std::memory_order_acquire) == address.high() &&
                          slot.key_low.load(std::memory_order_acquire) == address.low() && unpack(before).port == port;
        // The keys belong to the word only if the slot was not given to somebody else in between.
        const std::uint64_t after = slot.word.load(std::memory_order_relaxed);
        if (same && unpack(after).state != NeighbourState::none && generation_of(before) == generation_of(after)) {
            return handle(entry - 1, generation_of(after));
        }
    }
    return {};
}

bool Adjacencies::describe(std::uint32_t slot, wire::IpAddress& address, Adjacency& adjacency) const noexcept
{
    if (slot >= capacity_) {
        return false;
    }
    const Slot& from = slots_[slot];
    const std::uint64_t before = from.word.load(std::memory_order_acquire);
    std::byte bytes[16];
    store64(bytes, from.key_high.load(std::memory_order_acquire));
    store64(bytes + 8, from.key_low.load(std::memory_order_acquire));
    const std::uint64_t after = from.word.load(std::memory_order_relaxed);
    address = wire::IpAddress::load_v6(bytes);
    adjacency = unpack(after);
    return adjacency.state != NeighbourState::none && generation_of(before) == generation_of(after);
}

AdjacencyIndex Adjacencies::insert(std::uint32_t slot, std::uint8_t port, const wire::IpAddress& address) noexcept
{
    Slot& to = slots_[slot];
    const std::uint8_t generation = generation_of(to.word.load(std::memory_order_relaxed));
    to.key_high.store(address.high(), std::memory_order_release);
    to.key_low.store(address.low(), std::memory_order_release);
    to.used.store(false, std::memory_order_relaxed);
    to.word.store(pack({}, generation, port, NeighbourState::incomplete), std::memory_order_release);
    std::size_t bucket = bucket_of(port, address);
    while (buckets_[bucket].load(std::memory_order_relaxed) != 0) {
        bucket = (bucket + 1) & bucket_mask_;
    }
    buckets_[bucket].store(slot + 1, std::memory_order_release);
    return handle(slot, generation);
}

void Adjacencies::erase(std::uint32_t slot) noexcept
{
    Slot& from = slots_[slot];
    const std::uint64_t word = from.word.load(std::memory_order_relaxed);
    std::byte bytes[16];
    store64(bytes, from.key_high.load(std::memory_order_relaxed));
    store64(bytes + 8, from.key_low.load(std::memory_order_relaxed));
    std::size_t hole = bucket_of(unpack(word).port, wire::IpAddress::load_v6(bytes));
    while (buckets_[hole].load(std::memory_order_relaxed) != slot + 1) {
        hole = (hole + 1) & bucket_mask_;
    }
    // Close the gap: what stands behind it moves forward unless it stands where its hash says. A reader that looks
    // meanwhile may miss an entry, which costs it a detour over the first forwarder.
    for (std::size_t next = (hole + 1) & bucket_mask_;; next = (next + 1) & bucket_mask_) {
        const std::uint32_t entry = buckets_[next].load(std::memory_order_relaxed);
        if (entry == 0) {
            break;
        }
        const Slot& other = slots_[entry - 1];
        std::byte key[16];
        store64(key, other.key_high.load(std::memory_order_relaxed));
        store64(key + 8, other.key_low.load(std::memory_order_relaxed));
        const std::size_t home =
            bucket_of(unpack(other.word.load(std::memory_order_relaxed)).port, wire::IpAddress::load_v6(key));
        if (((next - home) & bucket_mask_) >= ((next - hole) & bucket_mask_)) {
            buckets_[hole].store(entry, std::memory_order_release);
            hole = next;
        }
    }
    buckets_[hole].store(0, std::memory_order_release);
    const auto generation = static_cast<std::uint8_t>(generation_of(word) + 1);
    from.word.store(pack({}, generation, 0, NeighbourState::none), std::memory_order_release);
}

void Adjacencies::publish(std::uint32_t slot, const wire::MacAddress& mac, NeighbourState state) noexcept
{
    const std::uint64_t word = slots_[slot].word.load(std::memory_order_relaxed);
    slots_[slot].word.store(pack(mac, generation_of(word), unpack(word).port, state), std::memory_order_release);
}

bool Adjacencies::used(std::uint32_t slot) const noexcept { return slots_[slot].used.load(std::memory_order_relaxed); }

void Adjacencies::clear_used(std::uint32_t slot) noexcept { slots_[slot].used.store(false, std::memory_order_relaxed); }

bool Adjacencies::take_attention() noexcept
{
    return attention_.load(std::memory_order_relaxed) && attention_.exchange(false, std::memory_order_acquire);
}

AdjacencyIndex Adjacencies::handle_of(std::uint32_t slot) const noexcept
{
    return handle(slot, generation_of(slots_[slot].word.load(std::memory_order_relaxed)));
}

} // namespace sluice::neigh
