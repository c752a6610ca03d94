#include "lab.hpp"

#include <sluice/health/server.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

namespace sluice::proxy::test {
namespace {

const wire::IpAddress client_address = *wire::IpAddress::parse("198.51.100.7");
const wire::IpAddress node_address = *wire::IpAddress::parse("192.0.2.100");
const wire::IpAddress origin_address = *wire::IpAddress::parse("10.0.0.11");

tcp::StackOptions options_for(std::uint16_t seed)
{
    tcp::StackOptions options;
    options.secret = {seed, 77};
    options.random_seed = seed;
    options.buffer_limit = 16U << 20U; // So that a few hundred connections are a crowd.
    return options;
}

} // namespace

Host::Host(Lab& lab, const wire::IpAddress& own, std::uint16_t first_port)
    : address{own}, loop{lab.clock}, pool{8192}, stack{loop, *this, *this, counters, options_for(first_port)},
      lab_{lab}, next_port_{first_port}
{
}

void Host::transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress& destination,
                    tcp::Path) noexcept
{
    lab_.wire_.push_back({std::move(packet), destination});
}

std::uint16_t Host::choose(const wire::IpAddress&, const wire::Endpoint&, const tcp::PortQuestion& question) noexcept
{
    for (int attempt = 0; attempt < 20000; ++attempt) {
        const std::uint16_t port = next_port_;
        next_port_ = next_port_ == 65535 ? 20000 : static_cast<std::uint16_t>(next_port_ + 1);
        if (question.is_free(port)) {
            return port;
        }
    }
    return 0;
}

bool Host::turn()
{
    loop.start_turn();
    std::size_t ran = loop.run_timers();
    ran += loop.run_ready(std::chrono::seconds{1});
    ran += gate.admit_one() ? 1 : 0;
    ran += loop.run_ready(std::chrono::seconds{1});
    stack.flush();
    return ran != 0;
}

Peer::Peer(Host& host, tcp::Stream stream)
    : host_{host}, transport_{std::move(stream)}, input_{transport_, host.blocks}, write_{host.loop}, resume_{host.loop}
{
}

Peer::Peer(Host& host, tcp::Stream stream, std::shared_ptr<const tls::ClientContext> tls, std::string server_name,
           const tls::Session& resume)
    : host_{host}, transport_{std::move(stream), std::move(tls), server_name, host.tls_buffers},
      input_{transport_, host.blocks}, write_{host.loop}, resume_{host.loop}
{
    transport_.secure()->engine().resume(resume);
}

void Peer::start(const std::shared_ptr<Peer>& self, bool handshake)
{
    self->host_.peers.push_back(self);
    boost::asio::co_spawn(self->transport_.loop().get_executor(), read(self, handshake), boost::asio::detached);
}

tcp::Awaitable<void> Peer::read(std::shared_ptr<Peer> self, bool handshake)
{
    if (handshake) {
        if (co_await self->transport_.handshake(std::chrono::seconds{5})) {
            self->secure_failed = true;
            self->ended = true;
            co_return;
        }
        self->alpn = self->transport_.secure()->alpn();
    }
    self->writing_ = true;
    boost::asio::co_spawn(self->transport_.loop().get_executor(), write(self), boost::asio::detached);
    while (!self->input_.ended()) {
        while (self->paused_) {
            co_await self->resume_.wait();
        }
        co_await self->input_.more();
        const Bytes data = self->input_.data();
        self->received.append(reinterpret_cast<const char*>(data.data()), data.size());
        self->input_.consume(data.size());
        if (!data.empty() && self->on_data) {
            self->on_data(*self);
        }
    }
    self->was_reset = self->input_.error() == boost::asio::error::connection_reset;
    self->ended = true;
    if (self->on_data) {
        self->on_data(*self);
    }
}

tcp::Awaitable<void> Peer::write(std::shared_ptr<Peer> self)
{
    for (;;) {
        if (self->unsent_.empty()) {
            self->writing_ = false;
            if (self->disposed_) {
                co_return;
            }
            if (!self->after_session_.empty()) {
                co_await self->transport_.secure()->async_shutdown(boost::asio::as_tuple(tcp::use_awaitable));
                co_await boost::asio::async_write(self->transport_.tcp(), boost::asio::buffer(self->after_session_),
                                                  boost::asio::as_tuple(tcp::use_awaitable));
                co_return;
            }
            if (self->finishing_) {
                co_await self->transport_.shutdown_send(std::chrono::seconds{1});
                co_return;
            }
            co_await self->write_.wait();
            self->writing_ = true;
            continue;
        }
        const std::string now = self->unsent_.substr(0, 65536);
        if (co_await self->transport_.write(now, no_timeout)) {
            self->unsent_.clear();
            self->writing_ = false;
            co_return;
        }
        self->unsent_.erase(0, now.size());
    }
}

void Peer::send(std::string text)
{
    unsent_ += text;
    write_.notify();
}

void Peer::finish()
{
    finishing_ = true;
    write_.notify();
}

void Peer::end_session_and_send(std::string raw)
{
    after_session_ = std::move(raw);
    write_.notify();
}

void Peer::dispose()
{
    disposed_ = true;
    on_data = nullptr;
    transport_.abort();
    resume();
    write_.notify();
}

void Peer::resume()
{
    paused_ = false;
    resume_.notify();
}

Origin::Origin(Host& host, std::uint16_t port) : host_{host}, endpoint_{host.address, port}
{
    const bool listening = host_.stack.listen(endpoint_, {}, [this](tcp::Stream stream) {
        auto peer = std::make_shared<Peer>(host_, std::move(stream));
        peer->on_data = [this](Peer& self) {
            if (on_data) {
                on_data(self);
            }
        };
        peers.push_back(peer);
        Peer::start(peer, false);
        if (on_accept) {
            on_accept(*peer);
        }
    });
    if (!listening) {
        std::abort();
    }
}

Origin::~Origin()
{
    host_.stack.unlisten(endpoint_);
    for (const PeerRef& peer : peers) {
        peer->on_data = nullptr;
    }
}

std::size_t complete_message(const std::string& text)
{
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos) {
        return 0;
    }
    std::size_t length = 0;
    const auto field = text.find("Content-Length: ");
    if (field != std::string::npos && field < end) {
        length = std::stoul(text.substr(field + 16));
    }
    const std::size_t total = end + 4 + length;
    return text.size() >= total ? total : 0;
}

void Origin::answer_each(std::string answer)
{
    on_data = [answer = std::move(answer)](Peer& peer) {
        std::size_t seen = 0;
        while (const std::size_t size = complete_message(peer.received.substr(seen))) {
            seen += size;
        }
        // What was answered stays readable for the test: only requests beyond those counted are new.
        std::size_t count = 0;
        for (std::size_t at = peer.received.find("\r\n\r\n"); at != std::string::npos;
             at = peer.received.find("\r\n\r\n", at + 4)) {
            ++count;
        }
        while (seen != 0 && peer.requests < count) {
            ++peer.requests;
            peer.send(answer);
        }
    };
}

Lab::Lab()
    : client{*this, client_address, 20000}, node{*this, node_address, 30000}, origin{*this, origin_address, 40000}
{
    use({});
}

void Lab::use(const WorkerOptions& options)
{
    worker.reset();
    worker = std::make_unique<Worker>(
        WorkerParts{node.loop, node.stack, node.tls_buffers, node.gate, node.counters, *this}, options);
}

Lab::~Lab()
{
    blackhole.reset();
    worker->abort_all();
    run_for(std::chrono::seconds{5});
    for (Host* host : {&client, &origin}) {
        for (const std::weak_ptr<Peer>& peer : host->peers) {
            if (const PeerRef alive = peer.lock()) {
                alive->dispose();
            }
        }
        host->stack.abort_all();
    }
    run_for(std::chrono::milliseconds{200});
    wire_.clear();
}

std::optional<wire::IpAddress> Lab::source_for(const wire::IpAddress& server) noexcept
{
    return server.is_v4() ? std::optional{node.address} : std::nullopt;
}

std::shared_ptr<health::Server> Lab::make_server(const std::string& name, const wire::Endpoint& endpoint)
{
    return std::make_shared<health::Server>("web", name, endpoint);
}

std::shared_ptr<ServicePlan> Lab::make_plan(std::vector<std::shared_ptr<health::Server>> servers)
{
    auto pool = std::make_shared<Pool>();
    pool->name = "web";
    pool->balance = Balance::rr;
    for (auto& server : servers) {
        pool->servers.push_back({std::move(server), 1});
    }
    auto plan = std::make_shared<ServicePlan>();
    plan->name = "site";
    plan->listen = {{node_address, 80}};
    Route route;
    route.action = std::shared_ptr<const Pool>{pool};
    plan->routes.push_back(std::move(route));
    return plan;
}

Pool& Lab::pool_of(ServicePlan& plan)
{
    return const_cast<Pool&>(*std::get<std::shared_ptr<const Pool>>(plan.routes.at(0).action));
}

void Lab::apply(const std::vector<std::shared_ptr<ServicePlan>>& services)
{
    ProxyPlan plan;
    for (const auto& service : services) {
        plan.services.push_back(service);
    }
    if (!worker->apply(plan)) {
        std::abort();
    }
}

PeerRef Lab::connect(std::uint16_t port)
{
    PeerRef peer;
    bool failed = false;
    client.stack.async_connect({client.address, 0}, {node.address, port}, {},
                               [&](const tcp::ErrorCode& error, tcp::Stream stream) {
                                   failed = static_cast<bool>(error);
                                   if (!error) {
                                       peer = std::make_shared<Peer>(client, std::move(stream));
                                       Peer::start(peer, false);
                                   }
                               });
    run_until([&] { return peer || failed; });
    return peer;
}

PeerRef Lab::connect_tls(const std::shared_ptr<const tls::ClientContext>& context, const std::string& name,
                         std::uint16_t port, const tls::Session& resume)
{
    PeerRef peer;
    bool failed = false;
    client.stack.async_connect({client.address, 0}, {node.address, port}, {},
                               [&](const tcp::ErrorCode& error, tcp::Stream stream) {
                                   failed = static_cast<bool>(error);
                                   if (!error) {
                                       peer = std::make_shared<Peer>(client, std::move(stream), context, name, resume);
                                       Peer::start(peer, true);
                                   }
                               });
    run_until([&] { return peer || failed; });
    return peer;
}

bool Lab::step()
{
    bool moved = false;
    for (std::size_t count = wire_.size(); count != 0; --count) {
        InFlight flying = std::move(wire_.front());
        wire_.pop_front();
        moved = true;
        wire::ParsedPacket parsed;
        if (flying.destination == blackhole || wire::parse_ip(flying.packet.bytes(), parsed)) {
            continue;
        }
        for (Host* host : {&client, &node, &origin}) {
            if (host->address == flying.destination) {
                host->stack.input(std::move(flying.packet), parsed);
                break;
            }
        }
    }
    for (Host* host : {&client, &node, &origin}) {
        moved = host->turn() || moved;
    }
    return moved || !wire_.empty();
}

TimePoint Lab::next_deadline()
{
    return std::min({client.loop.next_deadline(), node.loop.next_deadline(), origin.loop.next_deadline()});
}

bool Lab::run_until(const std::function<bool()>& done, Duration limit)
{
    const TimePoint end = clock.now() + limit;
    while (!done()) {
        if (step()) {
            clock.advance(std::chrono::microseconds{20});
            if (clock.now() > end) {
                return done();
            }
            continue;
        }
        if (done()) {
            return true;
        }
        const TimePoint next = std::max(next_deadline(), clock.now() + std::chrono::microseconds{20});
        if (next > end) {
            clock.set(end);
            step();
            return done();
        }
        clock.set(next);
    }
    return true;
}

void Lab::run_for(Duration duration)
{
    run_until([] { return false; }, duration);
}

} // namespace sluice::proxy::test
