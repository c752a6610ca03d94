// How many flows each server has, for the schedulers that ask. A forwarder's own counts are exact; those of other cores
// are read at most once in `refresh`, so that a pick does not read sixteen cores' counters of every server. Until they
// are read again the other forwarders are taken to have done what this one did: otherwise all of them would fill up the
// server that was the least loaded, each for itself. One core.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/l4/scheduler.hpp>

#include <cstdint>
#include <vector>

namespace sluice::l4 {

class ServerLoads {
public:
    static constexpr Duration refresh = std::chrono::milliseconds{1};

    /// `servers`: the capacity of the registry. `core`: whose counts are the own ones.
    ServerLoads(std::size_t servers, std::uint16_t core, std::uint16_t forwarders)
        : known_(servers), core_{core}, others_{forwarders - 1}
    {
    }

    [[nodiscard]] health::FlowCounts of(const PoolServer& server, TimePoint now) noexcept;

private:
    struct Known {
        std::int64_t read = 0; ///< In units of `refresh`, + 1; 0: never
        health::FlowCounts own;
        health::FlowCounts others;
    };

    std::vector<Known> known_; ///< By ServerRegistry::place()
    std::uint16_t core_;
    int others_; ///< Forwarders
};

} // namespace sluice::l4
