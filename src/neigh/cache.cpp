#include <neigh/cache.hpp>

#include <sluice/neigh/icmp.hpp>

#include <algorithm>

namespace sluice::neigh {

using telemetry::DropReason;

namespace {

// RFC 4861 §10.
constexpr Duration retransmit_interval = std::chrono::seconds{1};
constexpr Duration reachable_time = std::chrono::seconds{30};
constexpr Duration delay_time = std::chrono::seconds{5};
constexpr std::uint8_t unicast_probes = 3;
constexpr std::uint8_t multicast_solicitations = 3;
// Ours.
constexpr Duration stale_time = std::chrono::minutes{10};
constexpr Duration failed_time = std::chrono::seconds{20};
constexpr Duration retry_time =
    std::chrono::seconds{1}; ///< A failed neighbour is asked for again by traffic after this
constexpr Duration gateway_retry_time = std::chrono::seconds{5};
constexpr std::uint32_t reports_per_second = 10;

/// Between half and one and a half of reachable_time (RFC 4861 §6.3.2), so that neighbours do not expire together.
Duration spread_reachable_time(std::uint32_t slot) noexcept
{
    return reachable_time / 2 + reachable_time * ((slot * 619U) % 1024U) / 1024;
}

} // namespace

wire::IpAddress source_for(const Interface& interface, const wire::IpAddress& target) noexcept
{
    wire::IpAddress first = target.is_v4() ? wire::IpAddress::v4(0) : link_local_source(interface);
    for (const wire::Prefix& own : interface.addresses) {
        if (own.contains(target)) {
            return own.address;
        }
        if (own.address.is_v4() && target.is_v4() && first.is_unspecified()) {
            first = own.address;
        }
    }
    return first;
}

wire::IpAddress link_local_source(const Interface& interface) noexcept
{
    for (const wire::Prefix& own : interface.addresses) {
        if (own.address.is_v6() && own.address.is_link_local()) {
            return own.address;
        }
    }
    return {};
}

Cache::Cache(const Limits& limits, Adjacencies& adjacencies, Frames& frames, Output& output,
             telemetry::CoreCounters& counters)
    : limits_{limits},
      adjacencies_{adjacencies}, frames_{frames}, output_{output}, counters_{counters}, reports_{reports_per_second},
      entries_(adjacencies.capacity()), deadlines_{adjacencies.capacity()},
      packets_(std::min<std::size_t>(limits.queued_total, no_packet - 1)), next_packet_(packets_.size(), no_packet)
{
    free_.reserve(entries_.size());
    for (std::size_t slot = entries_.size(); slot > 0; --slot) {
        free_.push_back(static_cast<std::uint32_t>(slot - 1));
    }
    for (std::size_t index = packets_.size(); index > 0; --index) {
        next_packet_[index - 1] = free_packet_;
        free_packet_ = static_cast<std::uint16_t>(index - 1);
    }
}

void Cache::set_table(const Table* table, TimePoint now) noexcept
{
    const Table* const previous = table_;
    table_ = table;
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        const Entry& entry = entries_[slot];
        if (entry.state == NeighbourState::none) {
            continue;
        }
        const Interface* before = previous != nullptr ? previous->interface(entry.port) : nullptr;
        const Interface* after = table != nullptr ? table->interface(entry.port) : nullptr;
        if (before == nullptr || after == nullptr || before->mac != after->mac) {
            erase(slot);
        }
    }
    release_kept(now);
}

std::optional<std::uint32_t> Cache::slot_of(AdjacencyIndex neighbour) const noexcept
{
    const std::uint32_t slot = (neighbour.value >> 8U) - 1;
    if (!neighbour || slot >= entries_.size() || entries_[slot].state == NeighbourState::none ||
        adjacencies_.handle_of(slot) != neighbour) {
        return std::nullopt;
    }
    return slot;
}

std::optional<std::uint32_t> Cache::free_slot(std::uint8_t port) noexcept
{
    if (!free_.empty() && count_[port] < limits_.neighbours_per_port) {
        const std::uint32_t slot = free_.back();
        free_.pop_back();
        return slot;
    }
    // Full: whoever is of no use for longest makes room, on the port that is over its limit or, failing that, anywhere.
    const bool port_full = count_[port] >= limits_.neighbours_per_port;
    std::optional<std::uint32_t> victim;
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        const Entry& entry = entries_[slot];
        const bool idle = entry.state == NeighbourState::stale || entry.state == NeighbourState::failed;
        if (idle && !entry.kept && (!port_full || entry.port == port) &&
            (!victim || entry.since < entries_[*victim].since)) {
            victim = slot;
        }
    }
    if (!victim) {
        return std::nullopt;
    }
    erase(*victim);
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
}

AdjacencyIndex Cache::resolve(std::uint8_t port, const wire::IpAddress& address, TimePoint now) noexcept
{
    if (table_ == nullptr || table_->interface(port) == nullptr || address.is_multicast() || address.is_unspecified()) {
        return {};
    }
    if (const AdjacencyIndex known = adjacencies_.find(port, address)) {
        return known;
    }
    const std::optional<std::uint32_t> slot = free_slot(port);
    if (!slot) {
        return {};
    }
    Entry& entry = entries_[*slot];
    entry = Entry{};
    entry.address = address;
    entry.port = port;
    count_[port]++;
    const AdjacencyIndex made = adjacencies_.insert(*slot, port, address);
    enter(*slot, NeighbourState::incomplete, now);
    ask(entry, true);
    return made;
}

void Cache::erase(std::uint32_t slot) noexcept
{
    Entry& entry = entries_[slot];
    while (packet::Packet packet = dequeue(entry)) {
        counters_.drop(DropReason::neighbour_failed);
    }
    adjacencies_.erase(slot);
    deadlines_.set(slot, never);
    count_[entry.port]--;
    entry = Entry{};
    free_.push_back(slot);
}

void Cache::enter(std::uint32_t slot, NeighbourState state, TimePoint now) noexcept
{
    Entry& entry = entries_[slot];
    entry.state = state;
    entry.since = now;
    entry.asked = 0;
    switch (state) {
    case NeighbourState::none:
        break;
    case NeighbourState::incomplete:
    case NeighbourState::probe:
        entry.state_deadline = now + retransmit_interval;
        break;
    case NeighbourState::reachable:
        entry.decided = true;
        entry.failure_reported = false;
        entry.state_deadline = now + spread_reachable_time(slot);
        break;
    case NeighbourState::stale:
        entry.decided = true;
        entry.state_deadline = entry.kept ? never : now + stale_time;
        adjacencies_.clear_used(slot);
        break;
    case NeighbourState::delay:
        entry.state_deadline = now + delay_time;
        break;
    case NeighbourState::failed:
        entry.decided = true;
        entry.state_deadline = now + (entry.kept ? gateway_retry_time : failed_time);
        break;
    }
    adjacencies_.publish(slot, entry.mac, state);
    deadlines_.set(slot, entry.state_deadline);
}

void Cache::ask(Entry& entry, bool everybody) noexcept
{
    entry.asked++;
    if (const Interface* interface = table_->interface(entry.port)) {
        frames_.solicit(*interface, source_for(*interface, entry.address), entry.address,
                        everybody ? std::nullopt : std::optional{entry.mac});
    }
}

void Cache::transmit(AdjacencyIndex neighbour, packet::Packet&& ip, TimePoint now) noexcept
{
    const std::optional<std::uint32_t> slot = slot_of(neighbour);
    if (!slot) {
        counters_.drop(neighbour ? DropReason::neighbour_failed : DropReason::neighbour_table_full);
        return;
    }
    Entry& entry = entries_[*slot];
    switch (entry.state) {
    case NeighbourState::none:
        break;
    case NeighbourState::failed:
        if (now - entry.since < retry_time) {
            counters_.drop(DropReason::neighbour_failed);
            return;
        }
        enter(*slot, NeighbourState::incomplete, now);
        ask(entry, true);
        [[fallthrough]];
    case NeighbourState::incomplete:
        enqueue(entry, std::move(ip));
        return;
    case NeighbourState::stale:
        enter(*slot, NeighbourState::delay, now);
        [[fallthrough]];
    case NeighbourState::reachable:
    case NeighbourState::delay:
    case NeighbourState::probe:
        send(entry, std::move(ip));
        return;
    }
}

void Cache::confirm(AdjacencyIndex neighbour, TimePoint now) noexcept
{
    const std::optional<std::uint32_t> slot = slot_of(neighbour);
    if (slot && adjacencies_.read(neighbour).usable()) {
        enter(*slot, NeighbourState::reachable, now);
    }
}

bool Cache::learn(std::uint8_t port, const wire::IpAddress& address, const Evidence& evidence, TimePoint now) noexcept
{
    const std::optional<std::uint32_t> slot = slot_of(adjacencies_.find(port, address));
    if (!slot) {
        return false;
    }
    Entry& entry = entries_[*slot];
    const bool waits = entry.state == NeighbourState::incomplete || entry.state == NeighbourState::failed;
    const bool moved = evidence.mac && *evidence.mac != entry.mac;
    if (waits) {
        if (evidence.mac) {
            entry.mac = *evidence.mac;
            enter(*slot, evidence.solicited ? NeighbourState::reachable : NeighbourState::stale, now);
            flush(*slot);
        }
        return true;
    }
    if (moved && !evidence.override_cache) {
        // Somebody without authority claims the address: check the one that we have (RFC 4861 §7.2.5).
        if (entry.state == NeighbourState::reachable) {
            enter(*slot, NeighbourState::stale, now);
        }
        return true;
    }
    if (moved) {
        move(*slot, *evidence.mac, now);
    }
    if (evidence.solicited) {
        enter(*slot, NeighbourState::reachable, now);
    } else if (moved) {
        enter(*slot, NeighbourState::stale, now);
    }
    return true;
}

/// Anybody on the link can make these by the thousand: they must not push everything else out of the log.
void Cache::report(const Event& event) noexcept
{
    if (reports_.allow(event.time)) {
        output_.report(event);
    }
}

void Cache::move(std::uint32_t slot, const wire::MacAddress& mac, TimePoint now) noexcept
{
    Entry& entry = entries_[slot];
    entry.mac = mac;
    report({Event::Kind::neighbour_moved, now, entry.port, entry.address, mac});
}

void Cache::keep(std::uint8_t port, const wire::IpAddress& address, TimePoint now) noexcept
{
    if (const std::optional<std::uint32_t> slot = slot_of(resolve(port, address, now))) {
        Entry& entry = entries_[*slot];
        entry.kept = true;
        if (entry.state == NeighbourState::stale) {
            entry.state_deadline = never;
            deadlines_.set(*slot, entry.state_deadline);
        }
    }
}

void Cache::release_kept(TimePoint now) noexcept
{
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        Entry& entry = entries_[slot];
        if (!entry.kept) {
            continue;
        }
        entry.kept = false;
        if (entry.state == NeighbourState::stale) {
            entry.state_deadline = now + stale_time;
            deadlines_.set(slot, entry.state_deadline);
        }
    }
}

bool Cache::decided(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    const std::optional<std::uint32_t> slot = slot_of(adjacencies_.find(port, address));
    return !slot || entries_[*slot].decided;
}

void Cache::advance(TimePoint now) noexcept
{
    if (adjacencies_.take_attention()) {
        heed_readers(now);
    }
    while (deadlines_.next() <= now) {
        expire(deadlines_.first(), now);
    }
}

void Cache::heed_readers(TimePoint now) noexcept
{
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        if (entries_[slot].state == NeighbourState::stale && adjacencies_.used(slot)) {
            enter(slot, NeighbourState::delay, now);
        }
    }
}

void Cache::link_up(std::uint8_t port, TimePoint now) noexcept
{
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
        Entry& entry = entries_[slot];
        if (entry.port != port) {
            continue;
        }
        const bool usable = entry.state >= NeighbourState::reachable && entry.state <= NeighbourState::probe;
        if (entry.kept && usable) {
            // Asking the MAC that we have might ask the wrong one: everybody is asked.
            enter(slot, NeighbourState::probe, now);
            entry.asked = unicast_probes;
            ask(entry, true);
        } else if (entry.kept && entry.state == NeighbourState::failed) {
            enter(slot, NeighbourState::incomplete, now);
            ask(entry, true);
        } else if (entry.state == NeighbourState::reachable) {
            enter(slot, NeighbourState::stale, now);
        }
    }
}

void Cache::expire(std::uint32_t slot, TimePoint now) noexcept
{
    Entry& entry = entries_[slot];
    switch (entry.state) {
    case NeighbourState::none:
        deadlines_.set(slot, never);
        break;
    case NeighbourState::incomplete:
        if (entry.asked >= multicast_solicitations) {
            fail(slot, now);
            break;
        }
        entry.state_deadline = now + retransmit_interval;
        deadlines_.set(slot, entry.state_deadline);
        ask(entry, true);
        break;
    case NeighbourState::reachable:
        enter(slot, NeighbourState::stale, now);
        break;
    case NeighbourState::stale:
        erase(slot);
        break;
    case NeighbourState::delay:
        enter(slot, NeighbourState::probe, now);
        ask(entry, false);
        break;
    case NeighbourState::probe:
        probe(slot, now);
        break;
    case NeighbourState::failed:
        if (!entry.kept) {
            erase(slot);
            break;
        }
        enter(slot, NeighbourState::incomplete, now);
        ask(entry, true);
        break;
    }
}

void Cache::probe(std::uint32_t slot, TimePoint now) noexcept
{
    Entry& entry = entries_[slot];
    if (entry.asked >= unicast_probes + multicast_solicitations) {
        fail(slot, now);
        return;
    }
    entry.state_deadline = now + retransmit_interval;
    deadlines_.set(slot, entry.state_deadline);
    ask(entry, entry.asked >= unicast_probes);
}

void Cache::fail(std::uint32_t slot, TimePoint now) noexcept
{
    Entry& entry = entries_[slot];
    while (packet::Packet packet = dequeue(entry)) {
        counters_.drop(DropReason::neighbour_failed);
    }
    enter(slot, NeighbourState::failed, now);
    if (!entry.failure_reported) {
        entry.failure_reported = true;
        report({Event::Kind::neighbour_failed, now, entry.port, entry.address, entry.mac});
    }
}

void Cache::enqueue(Entry& entry, packet::Packet&& ip) noexcept
{
    if (entry.queued >= limits_.queued_per_neighbour && entry.queued > 0) {
        // RFC 4861 §7.2.2: the newest replaces the oldest.
        const packet::Packet oldest = dequeue(entry);
        counters_.drop(DropReason::neighbour_queue_full);
    }
    if (free_packet_ == no_packet || limits_.queued_per_neighbour == 0) {
        counters_.drop(DropReason::neighbour_queue_full);
        return;
    }
    const std::uint16_t index = free_packet_;
    free_packet_ = next_packet_[index];
    packets_[index] = std::move(ip);
    next_packet_[index] = no_packet;
    (entry.last_packet == no_packet ? entry.first_packet : next_packet_[entry.last_packet]) = index;
    entry.last_packet = index;
    entry.queued++;
}

packet::Packet Cache::dequeue(Entry& entry) noexcept
{
    if (entry.first_packet == no_packet) {
        return {};
    }
    const std::uint16_t index = entry.first_packet;
    entry.first_packet = next_packet_[index];
    if (entry.first_packet == no_packet) {
        entry.last_packet = no_packet;
    }
    entry.queued--;
    next_packet_[index] = free_packet_;
    free_packet_ = index;
    return std::move(packets_[index]);
}

void Cache::flush(std::uint32_t slot) noexcept
{
    Entry& entry = entries_[slot];
    while (packet::Packet packet = dequeue(entry)) {
        send(entry, std::move(packet));
    }
}

void Cache::send(const Entry& entry, packet::Packet&& ip) noexcept
{
    const Interface* interface = table_->interface(entry.port);
    if (interface == nullptr || !prepend_ethernet(ip, entry.mac, interface->mac)) {
        counters_.drop(DropReason::stopped);
        return;
    }
    output_.send(entry.port, std::move(ip));
}

} // namespace sluice::neigh
