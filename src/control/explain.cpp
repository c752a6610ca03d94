// `sluicectl explain-flow`: what a forwarder decided, in words, each decision with the place in the file behind it.
#include "views.hpp"

#include <sluice/l4/service.hpp>
#include <sluice/l4/tcp_state.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace sluice::control {
namespace {

namespace json = boost::json;
using l4::Action;
using l4::Role;

class Words {
public:
    Words(Operations& node, const flow::FiveTuple& tuple, const FlowExplanation& answer)
        : node_{node}, tuple_{tuple}, core_{answer.core}, flow_{answer.decisions}
    {
    }

    [[nodiscard]] json::array steps()
    {
        address();
        if (flow_.is_address && flow_.held) {
            service();
        }
        if (service_ != nullptr && service_->forward) {
            forwarding();
        }
        verdict();
        return std::move(steps_);
    }

private:
    void step(std::string_view name, std::string decision, const config::Where& where = {})
    {
        json::object item;
        item["step"] = name;
        item["decision"] = std::move(decision);
        if (where.written()) {
            item["file"] = where.file;
            item["line"] = where.line;
            item["column"] = where.column;
        }
        steps_.push_back(std::move(item));
    }

    void address()
    {
        const std::string text = tuple_.destination.to_string();
        for (const config::VrrpInstance& instance : node_.model().vrrp) {
            for (const auto& owned : instance.addresses) {
                if (*owned == tuple_.destination) {
                    step("address",
                         fmt::format("{} belongs to vrrp instance {}, which {}", text, *instance.name,
                                     flow_.held ? "this node holds" : "this node does not hold"),
                         owned.where);
                    return;
                }
            }
        }
        for (const config::Port& port : node_.model().ports) {
            for (const auto& own : port.addresses) {
                if (own->address == tuple_.destination) {
                    step("address", fmt::format("{} is an address of port {}", text, *port.name), own.where);
                    return;
                }
            }
        }
        step("address", fmt::format("{} is no address of this node", text));
    }

    void service()
    {
        const l4::Service* const compiled =
            flow_.service ? node_.snapshot().services->service(*flow_.service) : nullptr;
        if (compiled == nullptr) {
            step("service", fmt::format("no service has port {}", tuple_.destination_port));
            return;
        }
        const auto& services = node_.model().services;
        const auto found = std::find_if(services.begin(), services.end(),
                                        [&](const config::Service& one) { return *one.name == compiled->name; });
        service_ = found == services.end() ? nullptr : &*found;
        step("service", fmt::format("{} {}", compiled->name, compiled->forwarding ? "forwards" : "is a proxy"),
             service_ != nullptr ? service_->name.where : config::Where{});
        clients();
        if (!compiled->forwarding) {
            step("core", fmt::format("shard {}: the worker on core {}", flow_.shard, core_));
            step("routes", "each request of the connection is routed by itself");
        } else {
            step("core", fmt::format("shard {}: the forwarder on core {}", flow_.shard, core_));
        }
    }

    void clients()
    {
        const config::Clients& clients = service_ != nullptr ? service_->clients : nothing_;
        if (clients == nothing_) {
            return;
        }
        const bool refused =
            flow_.action == Action::drop && (flow_.reason == telemetry::DropReason::client_denied ||
                                             flow_.reason == telemetry::DropReason::source_rate_exceeded ||
                                             flow_.reason == telemetry::DropReason::service_rate_exceeded);
        step("clients",
             refused ? fmt::format("{} may not open a flow: {}", tuple_.source.to_string(),
                                   telemetry::text(flow_.reason).name)
             : flow_.known && !flow_.known_is_over ? std::string{"not asked: the flow exists"}
                                                   : fmt::format("{} may open a flow", tuple_.source.to_string()),
             clients.where);
    }

    void forwarding()
    {
        if (flow_.known) {
            step("flow", fmt::format("known, {}{}", l4::name(static_cast<l4::TcpState>(flow_.known->state)),
                                     flow_.known_is_over ? "; a SYN would begin another one" : ""));
        } else {
            step("flow", "new");
        }
        if (!flow_.flow) {
            return;
        }
        const flow::Flow& planned = *flow_.flow;
        const config::Pool* const pool = config::find_pool(node_.model(), *service_->forward->pool);
        if (flow_.by_persistence) {
            step("persistence", "the client goes where it went before", service_->forward->where);
        } else if (!flow_.scheduler.empty()) {
            step("scheduler", fmt::format("{} of pool {}", flow_.scheduler, *service_->forward->pool),
                 pool != nullptr ? pool->balance.where : config::Where{});
        }
        server(planned, pool);
        const std::string method{l4::name(static_cast<l4::Method>(planned.method))};
        const wire::Endpoint local{planned.local, planned.local_port};
        const bool rewritten = planned.local != planned.client || planned.local_port != planned.client_port;
        step("method",
             planned.one_way != 0 || !rewritten ? method : fmt::format("{} from {}", method, local.to_string()),
             service_->forward->method.where);
        next_hop();
    }

    void server(const flow::Flow& planned, const config::Pool* pool)
    {
        const wire::Endpoint address{planned.server, planned.server_port};
        config::Where where;
        std::string name;
        for (const config::Server& server : pool != nullptr ? pool->servers : std::vector<config::Server>{}) {
            if (server.address->address == planned.server &&
                (server.address->port == planned.server_port || server.address->port == 0)) {
                where = server.address.where;
                name = server.name;
            }
        }
        step("server", name.empty() ? address.to_string() : fmt::format("{}, {}", name, address.to_string()), where);
    }

    void next_hop()
    {
        if (!flow_.next_hop) {
            step("next_hop", "no route leads there");
            return;
        }
        const neigh::Adjacency adjacency = node_.adjacencies().read(flow_.next_hop->adjacency);
        if (adjacency.state == neigh::NeighbourState::none) {
            step("next_hop", fmt::format("to be resolved; MTU {}", flow_.next_hop->mtu));
            return;
        }
        const auto& ports = node_.model().ports;
        const bool known = adjacency.port < ports.size();
        step("next_hop",
             fmt::format("{} ({}) by port {}, MTU {}", adjacency.mac.to_string(), neigh::name(adjacency.state),
                         known ? *ports[adjacency.port].name : std::string{}, flow_.next_hop->mtu),
             known ? ports[adjacency.port].name.where : config::Where{});
    }

    void verdict()
    {
        switch (flow_.action) {
        case Action::transmit:
        case Action::split:
            step("verdict", "forwarded");
            return;
        case Action::to_worker:
            step("verdict", "given to the worker");
            return;
        case Action::local:
            step("verdict", "answered by the node itself");
            return;
        case Action::to_forwarder:
            break;
        case Action::reset:
            step("verdict", fmt::format("answered with a TCP reset: {}", telemetry::text(flow_.reason).name));
            return;
        case Action::icmp_error:
            step("verdict", fmt::format("answered with an ICMP error: {}", telemetry::text(flow_.reason).name));
            return;
        case Action::drop:
            step("verdict", fmt::format("dropped: {}", telemetry::text(flow_.reason).name));
            return;
        }
    }

    Operations& node_;
    const flow::FiveTuple& tuple_;
    std::size_t core_;
    const l4::Explanation& flow_;
    const config::Service* service_ = nullptr;
    const config::Clients nothing_;
    json::array steps_;
};

} // namespace

json::object explanation_view(Operations& node, const flow::FiveTuple& tuple, const FlowExplanation& explanation)
{
    json::object object = answer(node);
    object["protocol"] = tuple.protocol == wire::protocol::tcp ? "tcp" : "udp";
    object["client"] = wire::Endpoint{tuple.source, tuple.source_port}.to_string();
    object["service_address"] = wire::Endpoint{tuple.destination, tuple.destination_port}.to_string();
    const Action action = explanation.decisions.action;
    object["passes"] =
        action == Action::transmit || action == Action::split || action == Action::to_worker || action == Action::local;
    object["steps"] = Words{node, tuple, explanation}.steps();
    return object;
}

} // namespace sluice::control
