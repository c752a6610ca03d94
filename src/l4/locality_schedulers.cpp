// lblc and lblcr: a destination keeps its server, or its few servers, as long as they are not too busy. For farms of
// caches, where what one server has fetched before is cheap there.
#include "affinity_kinds.hpp"
#include "schedulers.hpp"

#include <sluice/l4/server_loads.hpp>

namespace sluice::l4 {
namespace {

std::optional<std::uint32_t> index_of(std::span<const PoolServer> servers, ServerId id) noexcept
{
    for (std::uint32_t index = 0; id && index < servers.size(); ++index) {
        if (servers[index].id == id) {
            return index;
        }
    }
    return {};
}

/// LVS's measure: more established flows than its weight, while another has less than half of that.
bool is_too_busy(std::span<const PoolServer> servers, std::uint32_t index, const PickRequest& request) noexcept
{
    if (request.loads->of(servers[index], request.now).active <= servers[index].weight) {
        return false;
    }
    return std::any_of(servers.begin(), servers.end(), [&](const PoolServer& other) {
        return other.accepts_new() &&
               std::uint64_t{request.loads->of(other, request.now).active} * 2 < std::uint64_t{other.weight};
    });
}

bool usable(std::span<const PoolServer> servers, std::optional<std::uint32_t> index,
            const PickRequest& request) noexcept
{
    return index && servers[*index].accepts_new() && !request.was_tried(*index);
}

class Locality final : public Scheduler {
public:
    explicit Locality(std::uint32_t pool) : pool_{pool} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "lblc"; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor&) const noexcept override
    {
        AffinityTable& table = *request.affinities;
        const AffinityKey key = table.key(affinity_kind::locality, pool_, request.destination);
        const ServerId bound = table.find(key, request.now);
        auto chosen = index_of(servers, bound);
        if (!usable(servers, chosen, request) || is_too_busy(servers, *chosen, request)) {
            chosen = least_loaded(servers, request);
        }
        if (!chosen) {
            return {};
        }
        if (request.look_only) {
            return chosen;
        }
        const ServerId winner = table.bind(key, servers[*chosen].id, bound, request.now, locality_lifetime);
        const auto agreed = index_of(servers, winner);
        return usable(servers, agreed, request) ? agreed : chosen;
    }

private:
    std::uint32_t pool_;
};

/// The set of a destination is as many entries of the affinity table, one a member; a further one says that the set has
/// changed within its lifetime.
class ReplicatedLocality final : public Scheduler {
public:
    explicit ReplicatedLocality(std::uint32_t pool) : pool_{pool} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "lblcr"; }

    [[nodiscard]] std::optional<std::uint32_t> pick(std::span<const PoolServer> servers, const PickRequest& request,
                                                    Cursor&) const noexcept override
    {
        Set set = read(servers, request);
        if (set.size > 1 && !request.look_only && !has_changed(request)) {
            request.affinities->forget(key(request, set.busiest));
            note_change(request);
            set = read(servers, request);
        }
        if (set.least && !is_too_busy(servers, set.members[*set.least].server, request)) {
            return bind(servers, request, *set.least, set.members[*set.least].server, ServerId{});
        }
        const auto another = least_loaded(servers, request);
        if (!another) {
            return {};
        }
        for (std::uint32_t member = 0; member < maximum_members; ++member) {
            if (set.members[member].bound && set.members[member].server == *another) {
                return bind(servers, request, member, *another, ServerId{});
            }
        }
        note_change(request);
        const std::uint32_t place = set.vacant.value_or(set.busiest);
        return bind(servers, request, place, *another, set.members[place].bound);
    }

private:
    static constexpr std::uint32_t maximum_members = affinity_kind::replicas;
    static constexpr std::uint32_t nobody = ~std::uint32_t{0};

    struct Member {
        ServerId bound;
        std::uint32_t server = nobody; ///< Its index, when it is one of the pool
    };
    struct Set {
        std::array<Member, maximum_members> members{};
        std::uint32_t size = 0;
        std::optional<std::uint32_t> least;  ///< The member with the least load of those that may take the flow
        std::optional<std::uint32_t> vacant; ///< A place without a server of the pool
        std::uint32_t busiest = 0;
    };

    [[nodiscard]] AffinityKey key(const PickRequest& request, std::uint32_t member) const noexcept
    {
        return request.affinities->key(affinity_kind::first_replica + member, pool_, request.destination);
    }
    [[nodiscard]] Set read(std::span<const PoolServer> servers, const PickRequest& request) const noexcept
    {
        Set set;
        const auto less = [&](std::uint32_t left, std::uint32_t right) {
            const PoolServer& one = servers[set.members[left].server];
            const PoolServer& other = servers[set.members[right].server];
            return overhead(one, request) * other.weight < overhead(other, request) * one.weight;
        };
        for (std::uint32_t member = 0; member < maximum_members; ++member) {
            Member& entry = set.members[member];
            entry.bound = request.affinities->find(key(request, member), request.now);
            const auto index = index_of(servers, entry.bound);
            if (!index) {
                set.vacant = set.vacant.value_or(member);
                continue;
            }
            entry.server = *index;
            if (set.size++ == 0 || less(set.busiest, member)) {
                set.busiest = member;
            }
            if (usable(servers, index, request) && (!set.least || less(member, *set.least))) {
                set.least = member;
            }
        }
        return set;
    }
    [[nodiscard]] bool has_changed(const PickRequest& request) const noexcept
    {
        return static_cast<bool>(request.affinities->find(changed(request), request.now));
    }
    void note_change(const PickRequest& request) const noexcept
    {
        constexpr ServerId somebody{1};
        if (request.look_only) {
            return;
        }
        request.affinities->bind(changed(request), somebody, {}, request.now, locality_lifetime);
    }
    [[nodiscard]] AffinityKey changed(const PickRequest& request) const noexcept
    {
        return request.affinities->key(affinity_kind::replicas_changed, pool_, request.destination);
    }
    [[nodiscard]] std::uint32_t bind(std::span<const PoolServer> servers, const PickRequest& request,
                                     std::uint32_t member, std::uint32_t server, ServerId instead_of) const noexcept
    {
        if (request.look_only) {
            return server;
        }
        request.affinities->bind(key(request, member), servers[server].id, instead_of, request.now, locality_lifetime);
        return server;
    }

    std::uint32_t pool_;
};

} // namespace

std::unique_ptr<const Scheduler> make_locality(const SchedulerOptions& options)
{
    if (options.balance == Balance::lblcr) {
        return std::make_unique<ReplicatedLocality>(options.pool);
    }
    return std::make_unique<Locality>(options.pool);
}

} // namespace sluice::l4
