#include <sluice/control/generations.hpp>

#include <algorithm>
#include <set>

namespace sluice::control {

void LiveGenerations::add(const Snapshot& snapshot)
{
    std::erase_if(parts_, [](const Part& part) { return part.object.expired(); });
    add(snapshot.neighbours, snapshot.generation);
    add(snapshot.services, snapshot.generation);
    add(snapshot.vrrp, snapshot.generation);
    add(snapshot.proxy, snapshot.generation);
    for (const auto& probes : snapshot.probes) {
        add(probes, snapshot.generation);
    }
    // Requests hold plans of services, not the list of them.
    if (snapshot.proxy) {
        for (const auto& service : snapshot.proxy->services) {
            add(service, snapshot.generation);
        }
    }
}

void LiveGenerations::add(std::shared_ptr<const void> object, std::uint64_t generation)
{
    if (!object) {
        return;
    }
    const auto known =
        std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) { return part.object.lock() == object; });
    if (known != parts_.end()) {
        known->generation = generation;
    } else {
        parts_.push_back({object, generation});
    }
}

std::size_t LiveGenerations::count()
{
    std::erase_if(parts_, [](const Part& part) { return part.object.expired(); });
    std::set<std::uint64_t> generations;
    for (const Part& part : parts_) {
        generations.insert(part.generation);
    }
    return generations.size();
}

} // namespace sluice::control
