#include "fragment_map.hpp"

namespace sluice::l4 {

FragmentMap::FragmentMap(const HashKey& key, std::uint16_t forwarder, std::uint16_t forwarders)
    : key_{key}, next_identification_{forwarder}, stride_{forwarders}, entries_{
                                                                           std::make_unique<std::array<Set, sets>>()}
{
}

FragmentMap::Set& FragmentMap::set_of(const wire::ParsedPacket& fragment) noexcept
{
    const std::uint64_t hash =
        siphash13_words(key_, fragment.source.high(), fragment.source.low(), fragment.destination.high(),
                        fragment.destination.low(), std::uint64_t{fragment.fragment_id} << 8U | fragment.protocol);
    return (*entries_)[hash % sets];
}

FragmentMap::Entry* FragmentMap::find(Set& set, const wire::ParsedPacket& fragment, TimePoint now) noexcept
{
    for (Entry& entry : set) {
        if (entry.protocol == fragment.protocol && entry.identification == fragment.fragment_id &&
            entry.source == fragment.source && entry.destination == fragment.destination && entry.deadline > now) {
            return &entry;
        }
    }
    return nullptr;
}

FragmentMap::Result FragmentMap::another_part(Entry& entry) noexcept
{
    if (entry.parts == maximum_parts) {
        return {std::nullopt, Problem::limit};
    }
    ++entry.parts;
    return {entry.learned, {}};
}

FragmentMap::Result FragmentMap::first(const wire::ParsedPacket& fragment, TimePoint now) noexcept
{
    Set& set = set_of(fragment);
    if (Entry* known = find(set, fragment, now); known != nullptr) {
        const bool same = known->learned.source_port == fragment.source_port &&
                          known->learned.destination_port == fragment.destination_port;
        return same ? another_part(*known) : Result{};
    }
    for (Entry& entry : set) {
        if (entry.protocol == 0 || entry.deadline <= now) {
            next_identification_ += stride_;
            entry = {fragment.source,
                     fragment.destination,
                     fragment.fragment_id,
                     fragment.protocol,
                     1,
                     now + lifetime,
                     {fragment.source_port, fragment.destination_port, next_identification_}};
            return {entry.learned, {}};
        }
    }
    return {std::nullopt, Problem::limit};
}

FragmentMap::Result FragmentMap::later(const wire::ParsedPacket& fragment, TimePoint now) noexcept
{
    Entry* const known = find(set_of(fragment), fragment, now);
    return known == nullptr ? Result{} : another_part(*known);
}

} // namespace sluice::l4
