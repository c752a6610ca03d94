// lc, wlc, sed, nq, fo, ovf and twos: what servers have to do now decides.
#include "schedulers.hpp"

#include <sluice/l4/server_loads.hpp>

#include <numeric>

namespace sluice::l4 {
namespace {

/// Every server that may take the flow, from this forwarder's own place on: so ties, which LVS gives to the first in
/// the list, do not all go to one server where there are many forwarders.
template <class Visitor>
void each_candidate(std::span<const PoolServer> servers, const PickRequest& request, Visitor&& visit) noexcept
{
    const std::size_t start = servers.size() * request.forwarder / request.forwarders;
    for (std::size_t step = 0; step < servers.size(); ++step) {
        const std::size_t sum = start + step;
        const auto index = static_cast<std::uint32_t>(sum < servers.size() ? sum : sum - servers.size());
        if (servers[index].accepts_new() && !request.was_tried(index)) {
            visit(index);
        }
    }
}

/// The candidate with the least cost(server) / weight(server).
template <class Cost>
std::optional<std::uint32_t> cheapest(std::span<const PoolServer> servers, const PickRequest& request,
                                      Cost&& cost) noexcept
{
    std::optional<std::uint32_t> best;
    std::uint64_t best_cost = 0;
    std::uint64_t best_weight = 1;
    each_candidate(servers, request, [&](std::uint32_t index) {
        const auto [price, weight] = cost(servers[index]);
        if (!best || price * best_weight < best_cost * weight) {
            best = index;
            best_cost = price;
            best_weight = weight;
        }
    });
    return best;
}

struct Price {
    std::uint64_t cost;
    std::uint64_t weight;
};

std::uint64_t active(const PoolServer& server, const PickRequest& request) noexcept
{
    return request.loads->of(server, request.now).active;
}

class Comparison final : public Scheduler {
public:
    explicit Comparison(Balance balance) : balance_{balance} {}

    [[nodiscard]] std::string_view name() const noexcept override
    {
        switch (balance_) {
        case Balance::lc:
            return "lc";
        case Balance::sed:
            return "sed";
        case Balance::nq:
            return "nq";
        case Balance::fo:
            return "fo";
        case Balance::ovf:
            return "ovf";
        default:
            return "wlc";
        }
    }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor&) const noexcept override
    {
        switch (balance_) {
        case Balance::lc:
            return cheapest(servers, request, [&](const PoolServer& server) {
                return Price{overhead(server, request), 1};
            });
        case Balance::sed:
            return shortest_delay(servers, request);
        case Balance::nq:
            if (const auto idle = first_idle(servers, request)) {
                return idle;
            }
            return shortest_delay(servers, request);
        case Balance::fo:
            return heaviest(servers, request, [](const PoolServer&) { return true; });
        case Balance::ovf:
            return heaviest(servers, request,
                            [&](const PoolServer& server) { return active(server, request) <= server.weight; });
        default:
            return least_loaded(servers, request);
        }
    }

private:
    [[nodiscard]] static std::optional<std::uint32_t> shortest_delay(std::span<const PoolServer> servers,
                                                                     const PickRequest& request) noexcept
    {
        return cheapest(servers, request, [&](const PoolServer& server) {
            return Price{active(server, request) + 1, server.weight};
        });
    }
    [[nodiscard]] static std::optional<std::uint32_t> first_idle(std::span<const PoolServer> servers,
                                                                 const PickRequest& request) noexcept
    {
        std::optional<std::uint32_t> idle;
        each_candidate(servers, request, [&](std::uint32_t index) {
            if (!idle && active(servers[index], request) == 0) {
                idle = index;
            }
        });
        return idle;
    }
    /// The first in the list among equals, on every forwarder: here all are meant to choose the same.
    template <class Fits>
    [[nodiscard]] static std::optional<std::uint32_t> heaviest(std::span<const PoolServer> servers,
                                                               const PickRequest& request, Fits&& fits) noexcept
    {
        std::optional<std::uint32_t> best;
        for (std::uint32_t index = 0; index < servers.size(); ++index) {
            const PoolServer& server = servers[index];
            if (server.accepts_new() && !request.was_tried(index) && (!best || server.weight > servers[*best].weight) &&
                fits(server)) {
                best = index;
            }
        }
        return best;
    }

    Balance balance_;
};

/// Two draws by weight, and of those the less loaded one.
class TwoChoices final : public Scheduler {
public:
    explicit TwoChoices(std::span<const std::uint32_t> weights) : sums_(weights.size())
    {
        std::transform_inclusive_scan(weights.begin(), weights.end(), sums_.begin(), std::plus<>{},
                                      [](std::uint32_t weight) { return std::uint64_t{weight}; });
    }

    [[nodiscard]] std::string_view name() const noexcept override { return "twos"; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor& cursor) const noexcept override
    {
        if (sums_.empty() || sums_.back() == 0) {
            return {};
        }
        constexpr HashKey dice{0x536c756963652031ULL, 0x74776f733a646963ULL};
        std::optional<std::uint32_t> first;
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            const std::uint64_t thrown = siphash13_words(dice, cursor.picks++, request.forwarder);
            for (const std::uint64_t half : {thrown & 0xffffffffU, thrown >> 32U}) {
                const std::uint32_t drawn = at((half * sums_.back()) >> 32U);
                if (!servers[drawn].accepts_new() || request.was_tried(drawn)) {
                    continue;
                }
                if (!first) {
                    first = drawn;
                    continue;
                }
                if (drawn == *first) {
                    return first;
                }
                return overhead(servers[drawn], request) * servers[*first].weight <
                               overhead(servers[*first], request) * servers[drawn].weight
                           ? drawn
                           : first;
            }
        }
        return first ? first : any_server(servers, request, cursor.picks);
    }

private:
    /// Whose share `point`, less than the sum of all weights, falls on.
    [[nodiscard]] std::uint32_t at(std::uint64_t point) const noexcept
    {
        return static_cast<std::uint32_t>(std::upper_bound(sums_.begin(), sums_.end(), point) - sums_.begin());
    }

    std::vector<std::uint64_t> sums_; ///< Of the weights up to and including each server's
};

} // namespace

std::uint64_t overhead(const PoolServer& server, const PickRequest& request) noexcept
{
    const health::FlowCounts flows = request.loads->of(server, request.now);
    return std::uint64_t{flows.active} * 256 + flows.inactive;
}

std::optional<std::uint32_t> least_loaded(std::span<const PoolServer> servers, const PickRequest& request) noexcept
{
    return cheapest(servers, request, [&](const PoolServer& server) {
        return Price{overhead(server, request), server.weight};
    });
}

std::unique_ptr<const Scheduler> make_comparison(Balance balance) { return std::make_unique<Comparison>(balance); }

std::unique_ptr<const Scheduler> make_two_choices(std::span<const std::uint32_t> weights)
{
    return std::make_unique<TwoChoices>(weights);
}

} // namespace sluice::l4
