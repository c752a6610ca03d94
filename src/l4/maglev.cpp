#include <sluice/l4/maglev.hpp>

#include <sluice/base/siphash.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

constexpr std::uint16_t vacant = 0xffff;

/// Fills a table slot by slot.
class Filling {
public:
    Filling(std::span<const MaglevPreference> servers, std::uint32_t size)
        : servers_{servers}, table_(size, vacant), steps_(servers.size(), 0)
    {
    }

    /// The next free slot that `server` prefers becomes its own. 64 bits: offset + step * skip exceeds 32.
    void take(std::size_t server) noexcept
    {
        const MaglevPreference& preference = servers_[server];
        for (;;) {
            const std::uint64_t slot =
                (preference.offset + std::uint64_t{steps_[server]++} * preference.skip) % table_.size();
            if (table_[slot] == vacant) {
                table_[slot] = static_cast<std::uint16_t>(server);
                ++taken_;
                return;
            }
        }
    }
    [[nodiscard]] bool full() const noexcept { return taken_ == table_.size(); }
    [[nodiscard]] std::vector<std::uint16_t> result() && noexcept { return std::move(table_); }

private:
    std::span<const MaglevPreference> servers_;
    std::vector<std::uint16_t> table_;
    std::vector<std::uint32_t> steps_;
    std::size_t taken_ = 0;
};

/// The time of a server's next turn is turns / weight.
struct Turn {
    std::uint64_t turns;
    std::uint64_t weight;
    std::size_t server;

    /// Later in a max-heap's sense: due after the other.
    bool operator<(const Turn& other) const noexcept
    {
        const std::uint64_t mine = turns * other.weight;
        const std::uint64_t theirs = other.turns * weight;
        return mine != theirs ? mine > theirs : server > other.server;
    }
};

} // namespace

bool is_prime(std::uint32_t value) noexcept
{
    if (value < 2) {
        return false;
    }
    for (std::uint64_t divisor = 2; divisor * divisor <= value; ++divisor) {
        if (value % divisor == 0) {
            return false;
        }
    }
    return true;
}

MaglevPreference maglev_preference(const wire::Endpoint& server, std::uint32_t weight,
                                   std::uint32_t table_size) noexcept
{
    constexpr HashKey for_offset{0x536c756963652031ULL, 0x4d61676c65763a6fULL};
    constexpr HashKey for_skip{0x536c756963652031ULL, 0x4d61676c65763a73ULL};
    const std::uint64_t high = server.address.high();
    const std::uint64_t low = server.address.low();
    return {static_cast<std::uint32_t>(siphash13_words(for_offset, high, low, server.port) % table_size),
            static_cast<std::uint32_t>(siphash13_words(for_skip, high, low, server.port) % (table_size - 1) + 1),
            weight};
}

std::vector<std::uint16_t> maglev_table(std::span<const MaglevPreference> servers, std::uint32_t table_size)
{
    std::vector<Turn> turns;
    for (std::size_t server = 0; server < servers.size(); ++server) {
        if (servers[server].weight > 0) {
            turns.push_back({1, servers[server].weight, server});
        }
    }
    if (turns.empty()) {
        return {};
    }
    Filling filling{servers, table_size};
    const bool equal =
        std::all_of(turns.begin(), turns.end(), [&](const Turn& turn) { return turn.weight == turns.front().weight; });
    if (equal) {
        for (std::size_t next = 0; !filling.full(); next = (next + 1) % turns.size()) {
            filling.take(turns[next].server);
        }
    } else {
        std::make_heap(turns.begin(), turns.end());
        while (!filling.full()) {
            std::pop_heap(turns.begin(), turns.end());
            filling.take(turns.back().server);
            ++turns.back().turns;
            std::push_heap(turns.begin(), turns.end());
        }
    }
    return std::move(filling).result();
}

} // namespace sluice::l4
