#include <sluice/l4/server_loads.hpp>

#include <sluice/l4/server_registry.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

std::uint32_t estimate(std::uint32_t own, std::uint32_t own_before, std::uint32_t theirs_before, int others) noexcept
{
    const std::int64_t change = std::int64_t{own} - own_before;
    return static_cast<std::uint32_t>(own + std::max<std::int64_t>(theirs_before + change * others, 0));
}

} // namespace

health::FlowCounts ServerLoads::of(const PoolServer& server, TimePoint now) noexcept
{
    const health::FlowCounts own = server.record->counters(core_).flows.get();
    const std::size_t place = ServerRegistry::place(server.id);
    if (place >= known_.size()) {
        return own;
    }
    Known& known = known_[place];
    const std::int64_t period = now.time_since_epoch() / refresh + 1;
    if (known.read != period) {
        known = {period, own, {}};
        for (std::size_t core = 0; core < health::maximum_cores; ++core) {
            if (core != core_) {
                known.others += server.record->counters(core).flows.get();
            }
        }
    }
    return {estimate(own.active, known.own.active, known.others.active, others_),
            estimate(own.inactive, known.own.inactive, known.others.inactive, others_)};
}

} // namespace sluice::l4
