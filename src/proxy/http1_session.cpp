#include <proxy/http1_exchange.hpp>

namespace sluice::proxy {
namespace {

/// Between requests there is nothing but this frame, the connection and its stream: no buffer, no parser.
class IdleWatch final : private ClientConnection::Protocol {
public:
    explicit IdleWatch(ClientConnection& connection) noexcept : connection_{connection}
    {
        connection_.set_protocol(this);
    }
    IdleWatch(const IdleWatch&) = delete;
    IdleWatch& operator=(const IdleWatch&) = delete;
    ~IdleWatch() { connection_.set_protocol(nullptr); }

private:
    void drain() noexcept override { connection_.input.wake(); }

    ClientConnection& connection_;
};

/// An answer to what never became a request, in place.
tcp::Awaitable<void> refuse(ClientConnection& connection, const Http1Exchange& exchange, Outcome outcome,
                            std::optional<http::Reason> reason)
{
    const PlanRef plan = connection.service->plan();
    const std::uint16_t status = reason ? http::status_of(*reason) : text(outcome).status;
    connection.log_refusal(**plan, outcome, reason, &exchange.parser().head(), status, exchange.first_byte());
    std::string answer;
    http::http1::append_simple_response(answer, status, true);
    co_await connection.transport.write(answer, (*plan)->timeouts.body);
}

/// Reads a header and answers what does not become a request. False when the connection is to be closed. The plan is
/// held only here: what follows may last for many generations.
tcp::Awaitable<bool> receive_request(ClientConnection& connection, Http1Exchange& exchange)
{
    const PlanRef plan = connection.service->plan();
    connection.input.deadline().expires_after((*plan)->timeouts.header);
    const auto head = co_await exchange.read_head();
    connection.input.deadline().expires_at(never);
    switch (head) {
    case Http1Exchange::Head::gone:
        co_return false;
    case Http1Exchange::Head::timed_out:
        co_await refuse(connection, exchange, Outcome::header_timeout, std::nullopt);
        co_return false;
    case Http1Exchange::Head::refused:
        co_await refuse(connection, exchange, Outcome::malformed, exchange.parser().reason());
        co_return false;
    case Http1Exchange::Head::complete:
        break;
    }
    const auto& framing = exchange.parser().framing();
    const std::uint64_t body_limit = (*plan)->limits.body_bytes;
    if (framing.kind == http::http1::Framing::Kind::length && framing.length > body_limit) {
        co_await refuse(connection, exchange, Outcome::body_too_large, std::nullopt);
        co_return false;
    }
    exchange.begin_body(body_limit);
    co_return true;
}

/// Serves the requests that are at hand. False when the connection is to be closed.
tcp::Awaitable<bool> serve_requests(ClientConnection& connection)
{
    Http1Exchange exchange{connection};
    do {
        const bool received = co_await receive_request(connection, exchange);
        if (!received) {
            co_return false;
        }
        connection.end_waiting();
        {
            Request request{connection.core, exchange, connection.context(exchange.first_byte())};
            co_await request.serve();
        }
        const bool keep = exchange.keep();
        exchange.end_request();
        if (!keep) {
            co_return false;
        }
    } while (!connection.input.data().empty());
    co_return true;
}

} // namespace

tcp::Awaitable<bool> serve_http1(ClientConnection& connection)
{
    const IdleWatch watch{connection};
    for (;;) {
        const ClientConnection::Idle idle = co_await connection.wait_for_request();
        if (idle != ClientConnection::Idle::data) {
            co_return idle == ClientConnection::Idle::park;
        }
        const bool goes_on = co_await serve_requests(connection);
        if (!goes_on) {
            co_return false;
        }
        connection.begin_idle();
    }
}

} // namespace sluice::proxy
