#include <sluice/l4/scheduler.hpp>

#include <sluice/base/siphash.hpp>
#include <sluice/l4/maglev.hpp>

#include "weighted_order.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace sluice::l4 {
namespace {

/// How often a scheduler's own order is followed over refusing servers before all servers are simply tried in turn.
constexpr std::uint32_t patience = 32;

/// The last resort, so that "no server" is only ever said when it is true.
std::optional<std::uint32_t> any_server(std::span<const PoolServer> servers, std::uint64_t start) noexcept
{
    for (std::size_t step = 0; step < servers.size(); ++step) {
        const std::size_t index = (start + step) % servers.size();
        if (servers[index].accepts_new()) {
            return static_cast<std::uint32_t>(index);
        }
    }
    return {};
}

/// rr and wrr: an order that is gone round and round.
class Rotation final : public Scheduler {
public:
    Rotation(std::string_view name, std::vector<std::uint16_t> order) : name_{name}, order_{std::move(order)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return name_; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor& cursor) const noexcept override
    {
        if (order_.empty()) {
            return {};
        }
        const std::uint64_t start = order_.size() * std::uint64_t{request.forwarder} / request.forwarders;
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            const std::uint16_t server = order_[(start + cursor.picks++) % order_.size()];
            if (servers[server].accepts_new()) {
                return server;
            }
        }
        return any_server(servers, cursor.picks);
    }

private:
    std::string_view name_;
    std::vector<std::uint16_t> order_;
};

class Maglev final : public Scheduler {
public:
    Maglev(bool hash_port, std::vector<std::uint16_t> table) : hash_port_{hash_port}, table_{std::move(table)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "mh"; }
    [[nodiscard]] bool consistent() const noexcept override { return true; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor&) const noexcept override
    {
        if (table_.empty()) {
            return {};
        }
        // Agreed by both nodes of a pair; hashing again is what both do when a server refuses.
        constexpr HashKey agreed{0x536c756963652031ULL, 0x4d61676c65763a63ULL};
        const std::uint64_t port = hash_port_ ? request.client_port : 0;
        std::uint64_t hash = 0;
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            hash = siphash13_words(agreed, request.client.high(), request.client.low(), port,
                                   std::uint64_t{request.attempt} + tries);
            const std::uint16_t server = table_[hash % table_.size()];
            if (servers[server].accepts_new()) {
                return server;
            }
        }
        return any_server(servers, hash);
    }

private:
    bool hash_port_;
    std::vector<std::uint16_t> table_;
};

/// Servers in the order of their addresses, whatever order the configuration lists them in.
std::vector<std::uint16_t> table_by_identity(std::span<const PoolServer> servers,
                                             std::span<const std::uint32_t> weights, std::uint32_t table_size)
{
    std::vector<std::uint16_t> order(servers.size());
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::sort(order.begin(), order.end(), [&](std::uint16_t left, std::uint16_t right) {
        return servers[left].record->address() < servers[right].record->address();
    });
    std::vector<MaglevPreference> preferences;
    preferences.reserve(order.size());
    for (const std::uint16_t server : order) {
        preferences.push_back(maglev_preference(servers[server].record->address(), weights[server], table_size));
    }
    std::vector<std::uint16_t> table = maglev_table(preferences, table_size);
    for (std::uint16_t& slot : table) {
        slot = order[slot];
    }
    return table;
}

} // namespace

std::unique_ptr<const Scheduler> make_scheduler(const SchedulerOptions& options, std::span<const PoolServer> servers)
{
    const bool any_accepts =
        std::any_of(servers.begin(), servers.end(), [](const PoolServer& server) { return server.accepts_new(); });
    std::vector<std::uint32_t> weights;
    weights.reserve(servers.size());
    for (const PoolServer& server : servers) {
        weights.push_back(any_accepts && !server.accepts_new() ? 0 : server.weight);
    }
    switch (options.balance) {
    case Balance::mh:
        return std::make_unique<Maglev>(options.hash_port, table_by_identity(servers, weights, options.table_size));
    case Balance::rr:
        for (std::uint32_t& weight : weights) {
            weight = std::min(weight, 1U);
        }
        return std::make_unique<Rotation>("rr", weighted_order(weights));
    case Balance::wrr:
        break;
    }
    return std::make_unique<Rotation>("wrr", weighted_order(weights));
}

} // namespace sluice::l4
