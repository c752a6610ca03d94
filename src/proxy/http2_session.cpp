#include <proxy/http2_exchange.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <new>

namespace sluice::proxy {

using http::http2::ErrorCode;
using http::http2::StreamId;

namespace {

http::http2::Limits limits_of(const ServicePlan& plan) noexcept
{
    http::http2::Limits limits;
    limits.header_list_bytes = plan.limits.header_bytes;
    return limits;
}

constexpr std::size_t write_size = BlockPool::block_bytes;
/// What a connection may have at the same time while memory is scarce.
constexpr std::size_t fair_streams = 8;
/// How long a client has to notice that the connection is ending before streams it still opens are refused.
constexpr Duration shutdown_patience = std::chrono::seconds{1};

} // namespace

Http2Session::Http2Session(ClientConnection& connection)
    : connection_{connection}, session_{*this, limits_of(**connection.service->plan()),
                                        connection.core.parts.loop.now()},
      writable_{connection.core.parts.loop}, quiet_{connection.core.parts.loop}
{
    connection_.set_protocol(this);
}

Http2Session::~Http2Session() { connection_.set_protocol(nullptr); }

tcp::Awaitable<void> Http2Session::run()
{
    writing_ = true;
    boost::asio::co_spawn(connection_.core.parts.loop.get_executor(), write_output(), boost::asio::detached);
    co_await read_input();
    over_ = true;
    writable_.notify();
    for (auto& [id, stream] : streams_) {
        stream->on_reset();
    }
    while (writing_ || !streams_.empty()) {
        co_await quiet_.wait();
    }
    if (!flushed_) {
        connection_.transport.abort();
    }
}

/// Ends when the client has closed, broken a rule, been idle for too long, or when the session is finished.
tcp::Awaitable<void> Http2Session::read_input()
{
    Input& input = connection_.input;
    while (!session_.finished() && !write_failed_) {
        if (!input.data().empty()) {
            const auto fed = session_.feed(input.data(), now());
            input.consume(input.data().size());
            writable_.notify();
            if (!fed) {
                co_return;
            }
            continue;
        }
        if (connection_.ending() && !shutting_down_) {
            begin_shutdown();
        }
        set_idle_deadline();
        co_await input.more();
        if (input.ended()) {
            co_return;
        }
        if (input.deadline().expired()) {
            session_.shutdown_now();
            shutting_down_ = true;
            shutdown_due_ = never; // What is left are streams, and each minds its own time.
            writable_.notify();
        }
    }
}

void Http2Session::set_idle_deadline()
{
    Deadline& deadline = connection_.input.deadline();
    if (shutting_down_) {
        deadline.expires_at(shutdown_due_); // Which bytes that keep coming do not put off.
    } else if (streams_.empty()) {
        connection_.begin_waiting();
        deadline.expires_after((*connection_.service->plan())->timeouts.keepalive);
    } else {
        deadline.expires_at(never); // Each stream minds its own time.
    }
}

void Http2Session::begin_shutdown()
{
    shutting_down_ = true;
    shutdown_due_ = now() + shutdown_patience;
    session_.shutdown();
    writable_.notify();
}

void Http2Session::drain() noexcept { connection_.input.wake(); }

/// Pulls frames only when the transport has taken those before: that is the back-pressure on response bodies.
tcp::Awaitable<void> Http2Session::write_output()
{
    std::string output;
    for (;;) {
        session_.append_output(output, write_size, now());
        if (output.empty()) {
            flushed_ = true;
            if (over_ || session_.finished()) {
                break;
            }
            co_await writable_.wait();
            continue;
        }
        flushed_ = false;
        const Duration stall = (*connection_.service->plan())->timeouts.body;
        if (co_await connection_.transport.write(output, stall)) {
            write_failed_ = true;
            break;
        }
        output.clear();
        flushed_ = true;
    }
    writing_ = false;
    connection_.input.wake();
    quiet_.notify();
}

void Http2Session::on_request(StreamId stream, http::RequestHead& head, bool end)
{
    connection_.end_waiting();
    const bool crowded = connection_.core.scarce() || connection_.core.held.full();
    if (crowded && streams_.size() >= fair_streams) {
        // One connection must not take for a hundred streams what others need for one. The client may try again.
        const PlanRef plan = connection_.service->plan();
        connection_.log_refusal(**plan, Outcome::no_port, std::nullopt, &head, text(Outcome::no_port).status, now());
        session_.reset(stream, ErrorCode::refused_stream);
        return;
    }
    auto exchange = std::make_unique<Http2Exchange>(*this, stream, std::move(head), end);
    streams_.emplace(stream, exchange.get());
    boost::asio::co_spawn(connection_.core.parts.loop.get_executor(), serve(std::move(exchange)),
                          boost::asio::detached);
}

tcp::Awaitable<void> Http2Session::serve(std::unique_ptr<Http2Exchange> exchange)
{
    try {
        Request request{connection_.core, *exchange, connection_.context(exchange->first_byte())};
        co_await request.serve();
    } catch (const std::bad_alloc&) {
        connection_.core.parts.counters.count(telemetry::Counter::proxy_memory); // The stream ends, the others go on.
    }
    if (!exchange->closed()) {
        exchange->end();
    }
    streams_.erase(exchange->id());
    if (streams_.empty()) {
        connection_.input.wake(); // An idle connection has a deadline.
    }
    quiet_.notify();
}

Http2Exchange* Http2Session::find(StreamId stream) noexcept
{
    const auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : found->second;
}

void Http2Session::on_data(StreamId stream, Bytes data)
{
    Http2Exchange* const exchange = find(stream);
    if (exchange != nullptr && connection_.core.held.exhausted()) [[unlikely]] {
        connection_.core.parts.counters.count(telemetry::Counter::proxy_memory);
        session_.reset(stream, ErrorCode::enhance_your_calm);
        exchange->on_reset();
        session_.consume(stream, data.size());
    } else if (exchange != nullptr) {
        exchange->on_data(data);
    } else {
        session_.consume(stream, data.size());
    }
}

void Http2Session::on_end(StreamId stream, http::Fields& trailers)
{
    if (Http2Exchange* exchange = find(stream)) {
        exchange->on_end(std::move(trailers));
    }
}

http::http2::BodyPiece Http2Session::on_pull(StreamId stream, MutableBytes out)
{
    Http2Exchange* exchange = find(stream);
    return exchange != nullptr ? exchange->on_pull(out) : http::http2::BodyPiece{0, true, nullptr};
}

void Http2Session::on_complete(StreamId stream)
{
    if (Http2Exchange* exchange = find(stream)) {
        exchange->on_complete();
    }
}

void Http2Session::on_reset(StreamId stream, ErrorCode)
{
    if (Http2Exchange* exchange = find(stream)) {
        exchange->on_reset();
    }
}

void Http2Session::on_refused(StreamId stream, http::Reason reason, const http::RequestHead* head)
{
    if (Http2Exchange* exchange = find(stream)) {
        exchange->on_refused(reason); // Its record names the reason.
        return;
    }
    const PlanRef plan = connection_.service->plan();
    connection_.log_refusal(**plan, Outcome::malformed, reason, head, http::status_of(reason), now());
}

tcp::Awaitable<void> serve_http2(ClientConnection& connection)
{
    Http2Session session{connection};
    co_await session.run();
}

} // namespace sluice::proxy
