// sh, dh and mh: who asks, or what is asked for, decides alone.
#include "schedulers.hpp"
#include "weighted_order.hpp"

#include <sluice/base/siphash.hpp>
#include <sluice/l4/maglev.hpp>

#include <numeric>

namespace sluice::l4 {
namespace {

class HashScheduler final : public Scheduler {
public:
    HashScheduler(const SchedulerOptions& options, std::vector<std::uint16_t> table)
        : balance_{options.balance}, hash_port_{options.hash_port}, fallback_{options.hash_fallback}, table_{std::move(
                                                                                                          table)}
    {
    }

    [[nodiscard]] std::string_view name() const noexcept override
    {
        return balance_ == Balance::mh ? "mh" : balance_ == Balance::sh ? "sh" : "dh";
    }
    [[nodiscard]] bool consistent() const noexcept override { return true; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor&) const noexcept override
    {
        const bool by_destination = balance_ == Balance::dh;
        if (table_.empty() || (by_destination && request.attempt != 0)) {
            return {};
        }
        // Agreed by both nodes of a pair; hashing again is what both do when a server refuses.
        constexpr HashKey agreed{0x536c756963652031ULL, 0x4d61676c65763a63ULL};
        const wire::IpAddress& subject = by_destination ? request.destination : request.client;
        const std::uint64_t port = hash_port_ && !by_destination ? request.client_port : 0;
        std::uint64_t hash = 0;
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            hash = siphash13_words(agreed, subject.high(), subject.low(), port, std::uint64_t{request.attempt} + tries);
            const std::uint16_t server = table_[hash % table_.size()];
            if (request.was_tried(server)) {
                continue;
            }
            if (servers[server].accepts_new()) {
                return server;
            }
            if (servers[server].takes_part() && !fallback_) {
                return {}; // Full, and its clients are to wait for it.
            }
        }
        return any_server(servers, request, hash);
    }

private:
    Balance balance_;
    bool hash_port_;
    bool fallback_;
    std::vector<std::uint16_t> table_;
};

} // namespace

std::unique_ptr<const Scheduler> make_hash(const SchedulerOptions& options, std::span<const PoolServer> servers,
                                           std::span<const std::uint32_t> weights)
{
    // Servers in the order of their addresses, whatever order the configuration lists them in.
    std::vector<std::uint16_t> order(servers.size());
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::sort(order.begin(), order.end(), [&](std::uint16_t left, std::uint16_t right) {
        return servers[left].record->address() < servers[right].record->address();
    });
    std::vector<std::uint16_t> table;
    if (options.balance == Balance::mh) {
        std::vector<MaglevPreference> preferences;
        preferences.reserve(order.size());
        for (const std::uint16_t server : order) {
            preferences.push_back(
                maglev_preference(servers[server].record->address(), weights[server], options.table_size));
        }
        table = maglev_table(preferences, options.table_size);
    } else {
        std::vector<std::uint32_t> shares;
        shares.reserve(order.size());
        for (const std::uint16_t server : order) {
            shares.push_back(options.balance == Balance::dh ? std::min(weights[server], 1U) : weights[server]);
        }
        table = weighted_order(shares);
    }
    for (std::uint16_t& slot : table) {
        slot = order[slot];
    }
    return std::make_unique<HashScheduler>(options, std::move(table));
}

} // namespace sluice::l4
