#include <proxy/client_connection.hpp>

#include <sluice/http/http2.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include <new>

namespace sluice::proxy {
namespace {

Transport make_transport(tcp::Stream stream, const std::shared_ptr<const tls::ServerContext>& context,
                         const WorkerParts& parts)
{
    return context ? Transport{std::move(stream), context, parts.tls_buffers, parts.handshake_gate}
                   : Transport{std::move(stream)};
}

telemetry::Counter reason_of(const tcp::ErrorCode& error, bool timed_out) noexcept
{
    using telemetry::Counter;
    if (timed_out) {
        return Counter::tls_failed_timeout;
    }
    if (error.category() != tls::error_category()) {
        return Counter::tls_failed_closed; // the stream below: end, reset
    }
    switch (static_cast<tls::Error>(error.value())) {
    case tls::Error::not_tls:
        return Counter::tls_failed_not_tls;
    case tls::Error::unsupported_version:
    case tls::Error::no_shared_cipher:
        return Counter::tls_failed_nothing_shared;
    case tls::Error::alert_received:
        return Counter::tls_failed_alert;
    case tls::Error::truncated:
        return Counter::tls_failed_closed;
    default:
        return Counter::tls_failed_other;
    }
}

/// How long a client may take to notice that we are done with it.
constexpr Duration linger = std::chrono::seconds{2};
/// What a client sent before it could see the end of its connection is here by then. Who asks more often than this
/// never sees a connection end without an answer.
constexpr Duration request_patience = std::chrono::seconds{1};
/// Idle for that long, a connection gives up its coroutines: to start them again is nothing beside such a pause.
constexpr Duration park_after = std::chrono::seconds{1};

} // namespace

ClientConnection::ClientConnection(Core& core_of_worker, ServiceRef service_of_listener, tcp::Stream stream)
    : Task{&ClientConnection::on_resume}, core{core_of_worker}, service{std::move(service_of_listener)},
      transport{make_transport(std::move(stream), (*service->plan())->tls, core.parts)}, input{transport, core.blocks},
      client{transport.tcp().remote_endpoint()}, local{transport.tcp().local_endpoint()}, holding_{core.held,
                                                                                                   Held::client}
{
    ++core.clients;
    if (transport.secure() != nullptr) {
        session_.emplace(core.held, Held::tls_session);
        handshake_.emplace(core.held, Held::handshake);
    }
    begin_waiting();
}

ClientConnection::~ClientConnection()
{
    --core.clients;
    core.leaving -= leaving_ ? 1 : 0;
}

void ClientConnection::start(std::unique_ptr<ClientConnection>&& connection)
{
    boost::asio::co_spawn(connection->core.parts.loop.get_executor(), run(connection.get()), boost::asio::detached);
    static_cast<void>(connection.release());
}

tcp::Awaitable<void> ClientConnection::run(ClientConnection* connection)
{
    std::unique_ptr<ClientConnection> self{connection};
    try {
        const bool parks = co_await self->serve();
        if (parks) {
            self.release()->park();
            co_return;
        }
    } catch (const std::bad_alloc&) {
        // The one boundary for memory that ran out under a connection: it dies, the others go on.
        self->core.parts.counters.count(telemetry::Counter::proxy_memory);
        self->transport.abort();
    }
    self->transport.close();
    co_await self->input.stopped();
}

void ClientConnection::park() noexcept
{
    parked_ = true;
    ++core.parked;
    begin_waiting();
    input.deadline().expires_at(ending() ? std::min(idle_until_, request_due_) : idle_until_);
    input.watch(this);
}

void ClientConnection::resume() noexcept
{
    if (std::exchange(parked_, false)) {
        --core.parked;
        input.watch(nullptr);
        core.parts.loop.post(*this);
    }
}

void ClientConnection::on_resume(tcp::Task* task, bool run)
{
    auto* const self = static_cast<ClientConnection*>(task);
    std::unique_ptr<ClientConnection> owner{self};
    if (!run) {
        return;
    }
    try {
        start(std::move(owner));
    } catch (const std::bad_alloc&) {
        // Without memory for its coroutine it ends as soon as there is some.
        self->core.parts.counters.count(telemetry::Counter::proxy_memory);
        self->transport.abort();
        self->core.parts.loop.post(*self);
        static_cast<void>(owner.release());
    }
}

tcp::Awaitable<bool> ClientConnection::serve()
{
    if (stage_ == Stage::handshake) {
        if (transport.secure() != nullptr) {
            const bool secured = co_await handshake();
            if (!secured) {
                co_return false;
            }
        }
        begin_idle();
        stage_ = Stage::preface;
    }
    if (stage_ == Stage::preface) {
        const Idle idle = co_await read_preface();
        if (idle == Idle::park) {
            co_return true;
        }
    }
    if (stage_ == Stage::http2) {
        co_await serve_http2(*this);
    } else if (stage_ == Stage::http1) {
        const bool parks = co_await serve_http1(*this);
        if (parks) {
            co_return true;
        }
    }
    if (!transport.tcp().is_open() || input.ended()) {
        co_return false;
    }
    // Closing with unread data would reset the connection and could destroy our last response at the client
    // (RFC 9112 section 9.6): say that we are done, then read on for a moment.
    co_await transport.shutdown_send(linger);
    input.deadline().expires_after(linger);
    while (!input.ended() && !input.deadline().expired() && transport.tcp().is_open()) {
        input.discard();
        co_await input.more();
    }
    co_return false;
}

tcp::Awaitable<bool> ClientConnection::handshake()
{
    const tcp::ErrorCode error = co_await transport.handshake((*service->plan())->timeouts.handshake);
    handshake_.reset();
    telemetry::CoreCounters& counters = core.parts.counters;
    if (!error) {
        counters.count(telemetry::Counter::tls_handshakes);
        counters.count(telemetry::Counter::tls_resumptions, transport.secure()->resumed() ? 1 : 0);
        co_return true;
    }
    if (error == tls::Error::http_request) {
        co_await refuse_clear_text();
    } else {
        counters.count(telemetry::Counter::tls_handshakes_failed);
        counters.count(reason_of(error, transport.timed_out()));
    }
    co_return false;
}

tcp::Awaitable<void> ClientConnection::refuse_clear_text()
{
    const PlanRef plan = service->plan();
    std::string answer;
    http::http1::append_simple_response(answer, 400, true);
    log_refusal(**plan, Outcome::plain_http_on_tls, std::nullopt, nullptr, 400, core.parts.loop.now());
    // Below TLS: the client understands nothing else.
    Transport clear{std::move(transport.tcp())};
    if (!co_await clear.write(answer, linger)) {
        clear.tcp().shutdown_send();
        Input rest{clear, core.blocks};
        rest.deadline().expires_after(linger);
        while (!rest.ended() && !rest.deadline().expired()) {
            rest.discard();
            co_await rest.more();
        }
        clear.close();
        co_await rest.stopped();
    }
}

/// Moves on to the stage of the protocol that the client speaks, unless there is nothing to go on with.
tcp::Awaitable<ClientConnection::Idle> ClientConnection::read_preface()
{
    using http::http2::Preface;
    Preface preface = Preface::undecided;
    if (Transport::Secure* secure = transport.secure()) {
        preface = secure->alpn() == "h2" ? Preface::http2 : Preface::other;
    } else {
        const Idle idle = co_await wait_for_request();
        if (idle != Idle::data) {
            co_return idle;
        }
        input.deadline().expires_after((*service->plan())->timeouts.header);
        preface = http::http2::detect_preface(input.data());
        while (preface == Preface::undecided && !input.ended() && !input.deadline().expired()) {
            co_await input.more();
            preface = http::http2::detect_preface(input.data());
        }
        input.deadline().expires_at(never);
    }
    stage_ = preface == Preface::http2 ? Stage::http2 : Stage::http1;
    co_return Idle::data;
}

void ClientConnection::begin_idle() noexcept
{
    idle_until_ = time_after(core.parts.loop.now(), (*service->plan())->timeouts.keepalive);
}

tcp::Awaitable<ClientConnection::Idle> ClientConnection::wait_for_request()
{
    const tcp::Loop& loop = core.parts.loop;
    const TimePoint park_at = loop.now() + park_after;
    while (input.data().empty()) {
        if (input.ended() || loop.now() >= idle_until_ || may_go()) {
            co_return Idle::over;
        }
        if (loop.now() >= park_at) {
            co_return Idle::park;
        }
        const TimePoint until = std::min(idle_until_, park_at);
        input.deadline().expires_at(ending() ? std::min(until, request_due_) : until);
        co_await input.more();
    }
    co_return Idle::data;
}

bool ClientConnection::may_go() const noexcept { return ending() && core.parts.loop.now() >= request_due_; }

void ClientConnection::serve_once() noexcept
{
    draining_ = true;
    request_due_ = core.parts.loop.now() + request_patience;
}

void ClientConnection::drain() noexcept
{
    if (!leaving_) {
        leaving_ = true;
        ++core.leaving;
    }
    if (!draining_) {
        serve_once();
    }
    if (protocol_ != nullptr) {
        protocol_->drain();
    } else {
        input.wake();
    }
}

RequestContext ClientConnection::context(TimePoint first_byte) const
{
    const PlanRef& plan = service->plan();
    return {plan, {client, local, (*plan)->tls != nullptr, (*plan)->trusted}, first_byte};
}

void ClientConnection::log_refusal(const ServicePlan& plan, Outcome outcome, std::optional<http::Reason> reason,
                                   const http::RequestHead* head, std::uint16_t status, TimePoint first_byte)
{
    AccessRecord record;
    record.start = first_byte;
    record.header = record.total = core.parts.loop.now() - first_byte;
    record.client = client;
    record.local = local;
    record.secure = plan.tls != nullptr;
    record.service = plan.name;
    record.status = status;
    record.outcome = outcome;
    if (head != nullptr) {
        record.method = head->method;
        record.host = head->authority;
        record.target = head->target;
        record.version = head->version;
    }
    if (reason) {
        record.reason = *reason;
        record.has_reason = true;
        core.reasons.count(*reason);
    }
    core.outcomes.count(outcome);
    core.parts.environment.record_access(record);
}

} // namespace sluice::proxy
