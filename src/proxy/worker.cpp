#include <sluice/proxy/worker.hpp>

#include <proxy/client_connection.hpp>

#include <algorithm>
#include <map>
#include <string>

namespace sluice::proxy {

struct Worker::State {
    State(const WorkerParts& parts, const WorkerOptions& options) : core{parts, options} {}

    void accept(const ServiceRef& service, tcp::Stream stream);
    [[nodiscard]] PlanRef hold(const std::shared_ptr<const ServicePlan>& plan);

    Core core;
    std::map<std::string, ServiceRef> services;
    std::map<wire::Endpoint, ServiceRef> listeners;
    ClientList clients;
};

PlanRef Worker::State::hold(const std::shared_ptr<const ServicePlan>& plan)
{
    return PlanRef{new PlanHolder{plan, core.plans_held}};
}

void Worker::State::accept(const ServiceRef& service, tcp::Stream stream)
{
    if (!core.make_room()) {
        core.parts.counters.count(telemetry::Counter::connections_refused);
        stream.abort();
        return;
    }
    core.parts.counters.count(telemetry::Counter::connections_accepted);
    auto connection = std::make_unique<ClientConnection>(core, service, std::move(stream));
    clients.push_back(*connection);
    if (core.draining) {
        connection->serve_once();
    }
    ClientConnection::start(std::move(connection));
}

Worker::Worker(const WorkerParts& parts, const WorkerOptions& options) : state_{std::make_unique<State>(parts, options)}
{
}

Worker::~Worker()
{
    for (const auto& [endpoint, service] : state_->listeners) {
        state_->core.parts.stack.unlisten(endpoint);
    }
}

bool Worker::apply(const ProxyPlan& plan)
{
    State& state = *state_;
    std::map<std::string, ServiceRef> services;
    std::map<wire::Endpoint, ServiceRef> wanted;
    for (const auto& service : plan.services) {
        ServiceRef& handle = services[service->name];
        const auto known = state.services.find(service->name);
        if (known == state.services.end()) {
            handle = ServiceRef{new ServiceHandle{state.hold(service)}};
        } else {
            handle = known->second;
            if (handle->plan()->shared() != service) {
                handle->set_plan(state.hold(service));
            }
        }
        for (const wire::Endpoint& endpoint : service->listen) {
            wanted[endpoint] = handle;
        }
    }
    for (const auto& [name, handle] : state.services) {
        handle->set_removed(!services.contains(name));
    }
    bool all_listening = true;
    std::erase_if(state.listeners, [&](const auto& listener) {
        // A listener belongs to its service; an endpoint that changed hands is opened anew.
        const auto found = wanted.find(listener.first);
        const bool stays = found != wanted.end() && found->second == listener.second;
        if (!stays) {
            state.core.parts.stack.unlisten(listener.first);
        }
        return !stays;
    });
    for (const auto& [endpoint, handle] : wanted) {
        if (state.listeners.contains(endpoint)) {
            continue;
        }
        const auto on_accept = [&state, handle = handle](tcp::Stream stream) {
            state.accept(handle, std::move(stream));
        };
        if (state.core.parts.stack.listen(endpoint, {}, on_accept)) {
            state.listeners.emplace(endpoint, handle);
        } else {
            all_listening = false;
        }
    }
    state.services = std::move(services);
    for (ClientConnection& client : state.clients) {
        if (client.service->removed()) {
            client.drain();
        }
    }
    state.core.upstreams.keep_only(plan);
    state.core.pools.keep_only(plan);
    return all_listening;
}

void Worker::drain() noexcept
{
    state_->core.draining = true;
    for (ClientConnection& client : state_->clients) {
        client.drain();
    }
}

void Worker::drain(const wire::IpAddress& local) noexcept
{
    for (ClientConnection& client : state_->clients) {
        if (client.local.address == local) {
            client.drain();
        }
    }
}

void Worker::undrain() noexcept
{
    state_->core.draining = false;
    state_->core.stopping = false;
}

void Worker::abort_leaving() noexcept
{
    state_->core.stopping = true;
    for (ClientConnection& client : state_->clients) {
        if (client.leaving()) {
            client.abort();
        }
    }
}

void Worker::abort_all() noexcept
{
    state_->core.stopping = true;
    for (ClientConnection& client : state_->clients) {
        client.abort();
    }
    state_->core.upstreams.close_idle();
}

WorkerUsage Worker::usage() const noexcept
{
    const Core& core = state_->core;
    return {core.clients,
            core.parked,
            core.leaving,
            core.requests,
            core.upstreams.connections(),
            core.upstreams.idle(),
            core.blocks.lent(),
            core.options.block_limit,
            core.held.counts(),
            core.held.bytes(),
            core.held.limit(),
            core.plans_held};
}

const http::ReasonCounters& Worker::reasons() const noexcept { return state_->core.reasons; }
const OutcomeCounters& Worker::outcomes() const noexcept { return state_->core.outcomes; }

} // namespace sluice::proxy
