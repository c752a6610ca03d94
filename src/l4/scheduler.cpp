#include <sluice/l4/scheduler.hpp>

#include "schedulers.hpp"
#include "weighted_order.hpp"

namespace sluice::l4 {
namespace {

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
            if (servers[server].accepts_new() && !request.was_tried(server)) {
                return server;
            }
        }
        return any_server(servers, request, cursor.picks);
    }

private:
    std::string_view name_;
    std::vector<std::uint16_t> order_;
};

} // namespace

std::optional<std::uint32_t> any_server(std::span<const PoolServer> servers, const PickRequest& request,
                                        std::uint64_t start) noexcept
{
    for (std::size_t step = 0; step < servers.size(); ++step) {
        const auto index = static_cast<std::uint32_t>((start + step) % servers.size());
        if (servers[index].accepts_new() && !request.was_tried(index)) {
            return index;
        }
    }
    return {};
}

std::unique_ptr<const Scheduler> make_scheduler(const SchedulerOptions& options, std::span<const PoolServer> servers)
{
    const bool any_takes_part =
        std::any_of(servers.begin(), servers.end(), [](const PoolServer& server) { return server.takes_part(); });
    std::vector<std::uint32_t> weights;
    weights.reserve(servers.size());
    for (const PoolServer& server : servers) {
        weights.push_back(any_takes_part && !server.takes_part() ? 0 : server.weight);
    }
    switch (options.balance) {
    case Balance::lc:
    case Balance::wlc:
    case Balance::sed:
    case Balance::nq:
    case Balance::fo:
    case Balance::ovf:
        return make_comparison(options.balance);
    case Balance::twos:
        return make_two_choices(weights);
    case Balance::sh:
    case Balance::dh:
    case Balance::mh:
        return make_hash(options, servers, weights);
    case Balance::lblc:
    case Balance::lblcr:
        return make_locality(options);
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
