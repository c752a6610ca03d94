#include <proxy/balance.hpp>
#include <sluice/health/server.hpp>

#include <algorithm>

namespace sluice::proxy {
namespace {

// Both nodes of a pair and every worker must build the same tables, so this key is a constant and no secret: whoever
// could aim at one server by choosing addresses could also just send it requests.
constexpr HashKey table_key{0x736c756963652f37ULL, 0x6d61676c65762f37ULL};
constexpr std::size_t small_table = 4099;
constexpr std::size_t large_table = 65537;
constexpr std::uint16_t no_server = 0xffff;

std::uint64_t hash_of(const wire::IpAddress& address, std::uint64_t salt) noexcept
{
    return siphash13_words(table_key, address.high(), address.low(), salt);
}

} // namespace

std::uint64_t client_hash(const wire::Endpoint& client, bool with_port) noexcept
{
    return hash_of(client.address, with_port ? client.port : 0);
}

MaglevTable::MaglevTable(std::span<const std::uint64_t> names, std::span<const std::uint32_t> weights)
{
    const std::uint32_t heaviest = weights.empty() ? 0 : std::ranges::max(weights);
    if (heaviest == 0) {
        return;
    }
    // A hundred slots per server keep the imbalance near 1 %.
    const std::size_t size = names.size() * 100 <= small_table ? small_table : large_table;
    struct Permutation {
        std::size_t position;
        std::size_t skip;
        std::uint64_t credit;
    };
    std::vector<Permutation> permutations;
    permutations.reserve(names.size());
    for (const std::uint64_t name : names) {
        permutations.push_back({siphash13_words(table_key, name, 1ULL) % size,
                                siphash13_words(table_key, name, 2ULL) % (size - 1) + 1, 0});
    }
    slots_.assign(size, no_server);
    std::size_t filled = 0;
    while (filled < size) {
        for (std::size_t server = 0; server < names.size() && filled < size; ++server) {
            Permutation& own = permutations[server];
            own.credit += weights[server];
            if (own.credit < heaviest) {
                continue;
            }
            own.credit -= heaviest;
            while (slots_[own.position] != no_server) {
                own.position = (own.position + own.skip) % size;
            }
            slots_[own.position] = static_cast<std::uint16_t>(server);
            ++filled;
        }
    }
}

Balancer::Balancer(Balance method, std::span<const PoolServer> servers, std::uint64_t seed)
    : method_{method}, credits_(servers.size(), 0), random_{seed}
{
    if (method == Balance::sh || method == Balance::dh || method == Balance::mh) {
        std::vector<std::uint64_t> names;
        std::vector<std::uint32_t> weights;
        for (const PoolServer& server : servers) {
            const wire::Endpoint& endpoint = server.identity->address();
            names.push_back(hash_of(endpoint.address, endpoint.port));
            weights.push_back(server.weight);
        }
        table_ = MaglevTable{names, weights};
    }
}

std::optional<std::size_t> Balancer::in_turn(std::span<const ServerLoad> loads) noexcept
{
    for (std::size_t step = 0; step < loads.size(); ++step) {
        const std::size_t index = (turn_ + step) % loads.size();
        if (loads[index].eligible) {
            turn_ = index + 1;
            return index;
        }
    }
    return std::nullopt;
}

std::optional<std::size_t> Balancer::in_weighted_turn(std::span<const ServerLoad> loads) noexcept
{
    std::optional<std::size_t> chosen;
    std::int64_t total = 0;
    for (std::size_t index = 0; index < loads.size(); ++index) {
        if (!loads[index].eligible) {
            continue;
        }
        credits_[index] += loads[index].weight;
        total += loads[index].weight;
        if (!chosen || credits_[index] > credits_[*chosen]) {
            chosen = index;
        }
    }
    if (chosen) {
        credits_[*chosen] -= total;
    }
    return chosen;
}

std::optional<std::size_t> Balancer::by_hash(std::span<const ServerLoad> loads, std::uint64_t hash) const noexcept
{
    if (table_.empty()) {
        return std::nullopt;
    }
    for (std::uint64_t attempt = 0; attempt < loads.size() * 2; ++attempt) {
        const std::size_t index = table_.at(attempt == 0 ? hash : siphash13_words(table_key, hash, attempt));
        if (loads[index].eligible) {
            return index;
        }
    }
    const auto any = std::ranges::find_if(loads, &ServerLoad::eligible);
    return any == loads.end() ? std::nullopt : std::optional{static_cast<std::size_t>(any - loads.begin())};
}

std::optional<std::size_t> Balancer::of_two(std::span<const ServerLoad> loads) noexcept
{
    const std::size_t offset = loads.empty() ? 0 : random_.below(loads.size());
    std::optional<std::size_t> first;
    const std::size_t distance = loads.size() < 2 ? 1 : 1 + random_.below(loads.size() - 1);
    for (std::size_t step = 0; step < loads.size(); ++step) {
        // Start at one random server, look for the second one from another random place on.
        const std::size_t index = (offset + (first ? distance + step - 1 : step)) % loads.size();
        if (!loads[index].eligible || index == first) {
            continue;
        }
        if (!first) {
            first = index;
            continue;
        }
        return loads[index].active < loads[*first].active ? index : *first;
    }
    return first;
}

template <class Better>
std::optional<std::size_t> Balancer::best(std::span<const ServerLoad> loads, Better better) noexcept
{
    // Beginning at the turn spreads ties.
    std::optional<std::size_t> chosen;
    for (std::size_t step = 0; step < loads.size(); ++step) {
        const std::size_t index = (turn_ + step) % loads.size();
        if (loads[index].eligible && (!chosen || better(loads[index], loads[*chosen]))) {
            chosen = index;
        }
    }
    if (chosen) {
        turn_ = *chosen + 1;
    }
    return chosen;
}

std::optional<std::size_t> Balancer::pick(std::span<const ServerLoad> loads, std::uint64_t client_hash,
                                          const wire::Endpoint& destination) noexcept
{
    const auto fewest = [](const ServerLoad& a, const ServerLoad& b) { return a.active < b.active; };
    const auto fewest_by_weight = [](const ServerLoad& a, const ServerLoad& b) {
        return std::uint64_t{a.active} * b.weight < std::uint64_t{b.active} * a.weight;
    };
    const auto shortest_delay = [](const ServerLoad& a, const ServerLoad& b) {
        return (std::uint64_t{a.active} + 1) * b.weight < (std::uint64_t{b.active} + 1) * a.weight;
    };
    const auto heaviest = [](const ServerLoad& a, const ServerLoad& b) { return a.weight > b.weight; };
    switch (method_) {
    case Balance::rr:
        return in_turn(loads);
    case Balance::wrr:
        return in_weighted_turn(loads);
    case Balance::lc:
        return best(loads, fewest);
    case Balance::wlc:
        return best(loads, fewest_by_weight);
    case Balance::sh:
    case Balance::mh:
        return by_hash(loads, client_hash);
    case Balance::dh:
        return by_hash(loads, hash_of(destination.address, destination.port));
    case Balance::sed:
        return best(loads, shortest_delay);
    case Balance::nq:
        return best(loads, [&](const ServerLoad& a, const ServerLoad& b) {
            return (a.active == 0) != (b.active == 0) ? a.active == 0 : shortest_delay(a, b);
        });
    case Balance::fo:
        turn_ = 0;
        return best(loads, heaviest);
    case Balance::ovf:
        turn_ = 0;
        return best(loads, [&](const ServerLoad& a, const ServerLoad& b) {
            const bool a_full = a.active >= a.weight;
            const bool b_full = b.active >= b.weight;
            return a_full != b_full ? b_full : heaviest(a, b);
        });
    case Balance::twos:
        return of_two(loads);
    }
    return std::nullopt;
}

} // namespace sluice::proxy
