#include <proxy/request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include <new>

namespace sluice::proxy {

using http::http1::Framing;

tcp::Awaitable<void> Request::forward(const std::shared_ptr<const Pool>& pool)
{
    record_.pool = pool->name;
    if (!prepare(*pool)) {
        co_await refuse(Outcome::header_rules_overflow);
        co_return;
    }
    Tried tried;
    Outcome outcome = Outcome::no_server;
    const TimePoint began = now();
    for (;;) {
        const auto index = core_.pools.pick(pool, view_.client, view_.local, tried);
        if (!index) {
            break;
        }
        const std::shared_ptr<health::Server> identity = pool->servers[*index].identity;
        const TimePoint attempt_began = now();
        ++attempts_;
        record_.connect = attempt_began - began;
        outcome = co_await attempt(identity);
        if (outcome == Outcome::none || response_started_) {
            break;
        }
        remember_failure(*identity, outcome, now() - attempt_began);
        tried.push_back(*index);
        if (exchange_.client_gone() || !may_retry(state_after(outcome))) {
            break;
        }
        core_.parts.counters.count(telemetry::Counter::upstream_retries);
    }
    if (outcome == Outcome::none) {
        co_return;
    }
    if (!response_started_) {
        co_await refuse(outcome);
        co_return;
    }
    // The client has a part of the response and must be able to tell that it is one.
    record_.outcome = outcome;
    if (text(outcome).side == Side::client && !tunnelled_) {
        record_.status = text(outcome).status;
    }
    exchange_.abort();
}

bool Request::prepare(const Pool& pool)
{
    http::RequestHead& request = exchange_.request();
    const Framing framing = exchange_.request_framing();
    idempotent_ = http::is_idempotent_method(request.method);
    websocket_ = http::http1::is_websocket_upgrade(request, framing);
    timeouts_ = pool.timeouts;
    retries_ = pool.retries;
    bool fits =
        prepare_request(request, view_, route_->request_headers) && http::http1::set_framing(request.fields, framing);
    if (websocket_) {
        fits = fits && http::http1::set_upgrade(request.fields, "websocket");
    }
    if (fits) {
        http::http1::append_request_head(request_text_, request);
    }
    return fits;
}

tcp::Awaitable<Outcome> Request::attempt(const std::shared_ptr<health::Server>& identity)
{
    ServerConnections& server = core_.upstreams.server(identity);
    const RequestInProgress counted{server, core_.options.core};
    for (bool fresh = false;; fresh = true) {
        Outcome outcome = co_await connect_or_reuse(server, fresh);
        if (outcome != Outcome::none) {
            co_return outcome;
        }
        const bool reused = upstream_->reused();
        outcome = co_await converse();
        co_await stop_sending();
        if (outcome == Outcome::none && reusable_ && sent_all_) {
            core_.upstreams.keep(std::move(upstream_), timeouts_.keepalive);
        } else {
            core_.upstreams.discard(std::move(upstream_), outcome != Outcome::none || !sent_all_);
        }
        // The server closed a kept connection just when we used it: that says nothing about the server.
        const bool stale = reused && outcome == Outcome::upstream_reset && !response_began_;
        const bool harmless = replayable_ && (idempotent_ || !sent_any_);
        if (!stale || !harmless || exchange_.client_gone()) {
            co_return outcome;
        }
    }
}

tcp::Awaitable<Outcome> Request::connect_or_reuse(ServerConnections& server, bool fresh)
{
    wire::Endpoint endpoint = server.identity->address();
    if (endpoint.port == 0) {
        endpoint.port = view_.local.port;
    }
    if (!fresh) {
        upstream_ = core_.upstreams.reuse(server, endpoint);
    }
    if (!upstream_) {
        ConnectCanceller canceller;
        connecting_ = &canceller;
        if (exchange_.client_gone()) {
            connecting_ = nullptr;
            co_return client_failure();
        }
        core_.parts.counters.count(telemetry::Counter::upstream_connects);
        auto connected = co_await core_.upstreams.connect(server, endpoint, timeouts_.connect, canceller);
        connecting_ = nullptr;
        if (!connected.connection) {
            co_return exchange_.client_gone() ? client_failure() : connected.outcome;
        }
        upstream_ = std::move(connected.connection);
        record_.connect = now() - stage_;
    }
    record_.server = server.identity->name();
    record_.reused = upstream_->reused();
    co_return Outcome::none;
}

/// One request and its response on the connection that attempt() has found.
tcp::Awaitable<Outcome> Request::converse()
{
    stage_ = now();
    sent_any_ = sent_all_ = reusable_ = response_began_ = stop_sending_ = false;
    sending_failed_ = Outcome::none;
    if (exchange_.client_gone()) {
        co_return client_failure();
    }
    if (exchange_.request_framing().has_body()) {
        sending_ = true;
        boost::asio::co_spawn(core_.parts.loop.get_executor(), send_request(), boost::asio::detached);
    } else {
        const tcp::ErrorCode error = co_await upstream_->transport.write(request_text_, timeouts_.response);
        sent_any_ = sent_all_ = !error;
        if (error == boost::asio::error::no_buffer_space) {
            co_return Outcome::no_port; // Nothing has left, so nothing will come.
        }
    }
    Outcome outcome = co_await receive_head();
    if (outcome == Outcome::none) {
        outcome = co_await relay_response();
    }
    co_return outcome;
}

/// Runs beside the reading of the response: both directions move at once, and a server may answer early.
tcp::Awaitable<void> Request::send_request()
{
    try {
        co_await send_body();
    } catch (const std::bad_alloc&) {
        sending_failed_ = Outcome::no_port;
        upstream_->transport.cancel();
        upstream_->input.wake();
    }
    sending_ = false;
    if (!response_started_) { // A 100 that the client waited for, or half a head, is not an answer yet.
        upstream_->input.deadline().expires_after(timeouts_.response);
    }
    sending_done_.notify();
}

tcp::Awaitable<void> Request::send_body()
{
    std::string prefix = request_text_;
    bool ended = false;
    if (retained_bytes_ != 0) {
        ended = !co_await send_piece(prefix, {retained_.get(), retained_bytes_}, false);
    } else if (!exchange_.body_at_hand()) {
        // The client may be waiting for 100 (RFC 9110 section 10.1.1), or be slow: the server shall see the head
        // meanwhile.
        ended = !co_await send_piece(prefix, {}, false);
    }
    while (!ended && !stop_sending_) {
        const BodyPiece piece = co_await exchange_.read_body();
        if (piece.outcome != Outcome::none) {
            if (piece.outcome != Outcome::stopped) {
                sending_failed_ = piece.outcome;
                upstream_->transport.cancel();
                upstream_->input.wake();
            }
            co_return;
        }
        if (stop_sending_) {
            co_return;
        }
        retain(piece.data);
        record_.bytes_received += piece.data.size();
        const bool sent = co_await send_piece(prefix, piece.data, piece.end);
        exchange_.consume_body();
        sent_all_ = sent && piece.end;
        ended = !sent || piece.end;
    }
}

/// `prefix` is what has not been sent yet of what comes before. False when the server takes no more: its response, or
/// the end of its connection, tells the rest.
tcp::Awaitable<bool> Request::send_piece(std::string& prefix, Bytes data, bool end)
{
    const bool chunked = exchange_.request_framing().kind == Framing::Kind::chunked;
    std::string suffix;
    if (chunked && !data.empty()) {
        http::http1::append_chunk_start(prefix, data.size());
        suffix = http::http1::chunk_end;
    }
    if (chunked && end) {
        http::Fields trailers = exchange_.trailers();
        prepare_trailers(trailers, route_->request_headers);
        http::http1::append_last_chunk(suffix, trailers);
    }
    const Transport::Pieces pieces = Transport::pieces(prefix, data, suffix);
    Stall waiting{upstream_->transport.write_deadline()};
    core_.stalls.add(waiting, now());
    const tcp::ErrorCode error = co_await upstream_->transport.write(pieces, timeouts_.response);
    prefix.clear();
    sent_any_ = sent_any_ || !error;
    if (error == boost::asio::error::no_buffer_space) {
        sending_failed_ = Outcome::no_port;
        upstream_->input.wake();
    }
    co_return !error;
}

tcp::Awaitable<void> Request::stop_sending()
{
    stop_sending_ = true;
    if (sending_) {
        exchange_.interrupt_body();
        upstream_->transport.cancel();
    }
    while (sending_) {
        co_await sending_done_.wait();
    }
}

void Request::retain(Bytes data)
{
    if (!replayable_ || data.empty()) {
        return;
    }
    if (!retained_ && idempotent_ && retries_ != 0) {
        retained_ = core_.blocks.take();
    }
    if (!retained_ || retained_bytes_ + data.size() > BlockPool::block_bytes) {
        replayable_ = false;
        retained_.reset();
        retained_bytes_ = 0;
        return;
    }
    std::memcpy(retained_.get() + retained_bytes_, data.data(), data.size());
    retained_bytes_ += data.size();
}

void Request::remember_failure(const health::Server& server, Outcome outcome, Duration duration) noexcept
{
    if (text(outcome).side != Side::upstream) {
        return;
    }
    if (record_.failure_count < AccessRecord::maximum_failures) {
        FailedAttempt& failed = record_.failures[record_.failure_count];
        failed.server = server.name();
        failed.outcome = outcome;
        failed.duration = duration;
    }
    record_.failure_count = static_cast<std::uint8_t>(std::min(record_.failure_count + 1, 255));
    record_.server = std::string_view{};
}

AttemptState Request::state_after(Outcome outcome) const noexcept
{
    return {.outcome = outcome,
            .sent_any = sent_any_,
            .response_began = response_began_,
            .idempotent = idempotent_,
            .body_replayable = replayable_,
            .attempts = attempts_,
            .retries = core_.held.full() ? 0 : retries_}; // Who was given up to make room does not come again.
}

} // namespace sluice::proxy
