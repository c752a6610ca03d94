#include <sluice/app/layout.hpp>

#include <algorithm>

namespace sluice::app {

Layout make_layout(std::span<const unsigned> forwarder_cpus, std::span<const unsigned> worker_cpus)
{
    Layout layout;
    const auto core_on = [&layout](unsigned cpu) {
        const auto found = std::find_if(layout.cores.begin(), layout.cores.end(),
                                        [cpu](const CoreRole& role) { return role.cpu == cpu; });
        if (found != layout.cores.end()) {
            return static_cast<std::size_t>(found - layout.cores.begin());
        }
        layout.cores.push_back({cpu, {}, {}});
        return layout.cores.size() - 1;
    };
    for (const unsigned cpu : forwarder_cpus) {
        const std::size_t core = core_on(cpu);
        layout.cores[core].forwarder = layout.forwarder_core.size();
        layout.forwarder_core.push_back(core);
    }
    for (const unsigned cpu : worker_cpus) {
        const std::size_t core = core_on(cpu);
        layout.cores[core].worker = layout.worker_core.size();
        layout.worker_core.push_back(core);
    }
    layout.forwarders = flow::ShardMap{layout.forwarder_core.size()};
    layout.workers = flow::ShardMap{layout.worker_core.size()};
    return layout;
}

std::string Layout::to_string() const
{
    std::string text;
    for (std::size_t index = 0; index < cores.size(); ++index) {
        const CoreRole& role = cores[index];
        text += (index == 0 ? "core " : "; core ") + std::to_string(index) + " (cpu " + std::to_string(role.cpu) + "):";
        if (role.forwarder) {
            text += " forwarder " + std::to_string(*role.forwarder);
        }
        if (role.worker) {
            text += (role.forwarder ? ", worker " : " worker ") + std::to_string(*role.worker);
        }
    }
    return text;
}

} // namespace sluice::app
