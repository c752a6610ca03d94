#include <proxy/upstream.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include <unordered_set>

namespace sluice::proxy {
namespace {

/// Our ports are few: what we closed first need not wait as long as a server must (the peer's clock is ours here).
tcp::ConnectionOptions connection_options()
{
    tcp::ConnectionOptions options;
    options.time_wait = std::chrono::seconds{2};
    options.linger = std::chrono::seconds{10};
    options.keepalive_idle = std::chrono::seconds{75};
    return options;
}

Outcome outcome_of(const tcp::ErrorCode& error, bool expired) noexcept
{
    namespace errors = boost::asio::error;
    if (error == errors::operation_aborted) {
        return expired ? Outcome::connect_timeout : Outcome::client_left;
    }
    if (error == errors::timed_out) {
        return Outcome::connect_timeout;
    }
    if (error == errors::network_unreachable || error == errors::host_unreachable) {
        return Outcome::connect_unreachable;
    }
    if (error == errors::address_in_use || error == errors::no_buffer_space) {
        return Outcome::no_port;
    }
    return Outcome::connect_refused;
}

} // namespace

UpstreamConnection::UpstreamConnection(UpstreamConnections& owner, ServerConnections& server, tcp::Stream stream,
                                       const wire::Endpoint& endpoint)
    : transport{std::move(stream)}, input{transport, owner.blocks_}, owner_{owner}, server_{server},
      endpoint_{endpoint}, idle_{transport.loop(), &UpstreamConnection::on_idle_expired, this}, holding_{owner.held_,
                                                                                                         Held::upstream}
{
    ++server_.connections;
    health::ServerCounters& counters = server_.identity->counters(owner_.core());
    counters.flows.begin(true);
    counters.flows_total.add();
}

UpstreamConnection::~UpstreamConnection()
{
    --server_.connections;
    server_.identity->counters(owner_.core()).flows.end(true);
}

void UpstreamConnection::input_changed() noexcept
{
    // Only idle connections are watched: whatever came, an end or bytes that nobody asked for, they are of no use any
    // more.
    input.watch(nullptr);
    AutoUnlink::unlink();
    --server_.idle_count;
    owner_.discard(UpstreamConnections::Connection{this}, !input.ended());
}

ServerConnections& UpstreamConnections::server(const std::shared_ptr<health::Server>& identity)
{
    return servers_.try_emplace(identity.get(), identity).first->second;
}

std::uint32_t UpstreamConnections::requests(const health::Server* identity) const noexcept
{
    const auto found = servers_.find(identity);
    return found == servers_.end() ? 0 : found->second.requests;
}

UpstreamConnections::Connection UpstreamConnections::reuse(ServerConnections& server,
                                                           const wire::Endpoint& endpoint) noexcept
{
    for (UpstreamConnection& idle : server.idle) {
        if (idle.endpoint_ != endpoint || !idle.transport.tcp().is_open()) {
            continue;
        }
        idle.unlink();
        --server.idle_count;
        idle.idle_.off();
        idle.input.watch(nullptr);
        idle.reused_ = true;
        idle.parser.reset();
        return Connection{&idle};
    }
    return nullptr;
}

tcp::Awaitable<UpstreamConnections::Connected> UpstreamConnections::connect(ServerConnections& server,
                                                                            wire::Endpoint endpoint, Duration timeout,
                                                                            ConnectCanceller& canceller)
{
    const auto source = parts_.environment.source_for(endpoint.address);
    if (!source) {
        co_return Connected{nullptr, Outcome::connect_unreachable};
    }
    Signal done{parts_.loop};
    tcp::ErrorCode error;
    tcp::Stream stream{parts_.loop.get_executor()};
    bool finished = false;
    const auto on_expired = [](void* signal) noexcept {
        static_cast<boost::asio::cancellation_signal*>(signal)->emit(boost::asio::cancellation_type::terminal);
    };
    Deadline deadline{parts_.loop, on_expired, &canceller.signal_};
    deadline.expires_after(timeout);
    parts_.stack.async_connect({*source, 0}, endpoint, connection_options(),
                               boost::asio::bind_cancellation_slot(canceller.signal_.slot(),
                                                                   [&](const tcp::ErrorCode& code, tcp::Stream opened) {
                                                                       error = code;
                                                                       stream = std::move(opened);
                                                                       finished = true;
                                                                       done.notify();
                                                                   }));
    while (!finished) {
        co_await done.wait();
    }
    health::ServerCounters& counters = server.identity->counters(core());
    if (error) {
        const Outcome outcome = outcome_of(error, deadline.expired());
        counters.failures_total.add(text(outcome).side == Side::upstream ? 1 : 0);
        co_return Connected{nullptr, outcome};
    }
    co_return Connected{std::make_unique<UpstreamConnection>(*this, server, std::move(stream), endpoint),
                        Outcome::none};
}

void UpstreamConnections::keep(Connection connection, Duration keepalive)
{
    ServerConnections& server = connection->server_;
    if (!server.listed || server.idle_count >= options_.idle_limit_per_server || connection->input.ended() ||
        !connection->input.data().empty()) {
        discard(std::move(connection), false);
        return;
    }
    UpstreamConnection& idle = *connection.release();
    server.idle.push_front(idle);
    ++server.idle_count;
    idle.idle_.expires_after(keepalive);
    idle.input.watch(&idle);
}

void UpstreamConnections::discard(Connection connection, bool reset)
{
    if (reset) {
        connection->transport.abort();
    } else {
        connection->transport.close();
    }
    connection->input.watch(nullptr);
    boost::asio::co_spawn(parts_.loop.get_executor(), end(std::move(connection)), boost::asio::detached);
}

tcp::Awaitable<void> UpstreamConnections::end(Connection connection) { co_await connection->input.stopped(); }

void UpstreamConnections::keep_only(const ProxyPlan& plan)
{
    std::unordered_set<const health::Server*> listed;
    for (const auto& service : plan.services) {
        for (const Route& route : service->routes) {
            if (const auto* pool = std::get_if<std::shared_ptr<const Pool>>(&route.action)) {
                for (const PoolServer& server : (*pool)->servers) {
                    listed.insert(server.identity.get());
                }
            }
        }
    }
    for (auto& [identity, server] : servers_) {
        server.listed = listed.contains(identity);
        if (!server.listed) {
            for (UpstreamConnection& idle : server.idle) {
                idle.transport.close(); // Its read ends, and with it the connection.
            }
        }
    }
    std::erase_if(servers_, [](const auto& entry) {
        return !entry.second.listed && entry.second.connections == 0 && entry.second.requests == 0;
    });
}

void UpstreamConnections::close_idle() noexcept
{
    for (auto& [identity, server] : servers_) {
        for (UpstreamConnection& idle : server.idle) {
            idle.transport.close();
        }
    }
}

std::size_t UpstreamConnections::connections() const noexcept
{
    std::size_t total = 0;
    for (const auto& [identity, server] : servers_) {
        total += server.connections;
    }
    return total;
}

std::size_t UpstreamConnections::idle() const noexcept
{
    std::size_t total = 0;
    for (const auto& [identity, server] : servers_) {
        total += server.idle_count;
    }
    return total;
}

} // namespace sluice::proxy
