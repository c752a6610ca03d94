// How one worker picks a server of a pool. State of one worker; never shared.
#pragma once

#include <sluice/base/random.hpp>
#include <sluice/proxy/plan.hpp>

#include <optional>
#include <span>
#include <vector>

namespace sluice::proxy {

/// What a decision knows of a server at this moment.
struct ServerLoad {
    std::uint32_t weight = 0;
    std::uint32_t active = 0; ///< Requests of this worker in progress there.
    bool eligible = false;    ///< Up, not drained, weight above 0, not tried by this request yet.
};

/// Maglev's table (Eisenbud et al., NSDI 2016, §3.4) with weights: a slot names the server of the hashes that fall on
/// it. It is built over all servers whatever their health, so a failure moves only the clients of the failed one.
class MaglevTable {
public:
    MaglevTable() = default;
    /// `names` give every server the same place in every worker and on both nodes.
    MaglevTable(std::span<const std::uint64_t> names, std::span<const std::uint32_t> weights);

    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }
    [[nodiscard]] std::uint16_t at(std::uint64_t hash) const noexcept { return slots_[hash % slots_.size()]; }

private:
    std::vector<std::uint16_t> slots_;
};

/// What sh and mh look up: the same on every worker and on both nodes.
[[nodiscard]] std::uint64_t client_hash(const wire::Endpoint& client, bool with_port) noexcept;

class Balancer {
public:
    Balancer(Balance method, std::span<const PoolServer> servers, std::uint64_t seed);

    /// The index of the server for this request, or nothing when none is eligible. `client_hash` and `destination`
    /// serve the hashing methods. `loads` has one entry per server, in the pool's order.
    [[nodiscard]] std::optional<std::size_t> pick(std::span<const ServerLoad> loads, std::uint64_t client_hash,
                                                  const wire::Endpoint& destination) noexcept;

private:
    [[nodiscard]] std::optional<std::size_t> in_turn(std::span<const ServerLoad> loads) noexcept;
    [[nodiscard]] std::optional<std::size_t> in_weighted_turn(std::span<const ServerLoad> loads) noexcept;
    [[nodiscard]] std::optional<std::size_t> by_hash(std::span<const ServerLoad> loads,
                                                     std::uint64_t hash) const noexcept;
    [[nodiscard]] std::optional<std::size_t> of_two(std::span<const ServerLoad> loads) noexcept;
    template <class Better>
    [[nodiscard]] std::optional<std::size_t> best(std::span<const ServerLoad> loads, Better better) noexcept;

    Balance method_;
    std::size_t turn_ = 0;
    std::vector<std::int64_t> credits_;
    MaglevTable table_;
    Random random_;
};

} // namespace sluice::proxy
