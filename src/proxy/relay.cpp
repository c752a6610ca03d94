#include <proxy/request.hpp>

#include <boost/asio/error.hpp>

namespace sluice::proxy {

using http::http1::Framing;
using http::http1::Status;

Outcome Request::client_failure() const noexcept
{
    if (core_.stopping) {
        return Outcome::stopped;
    }
    return exchange_.client_stalled() ? Outcome::client_stalled : Outcome::client_left;
}

/// Why a wait for the server brought nothing; none: wait on.
Outcome Request::failure_of_wait() const noexcept
{
    if (exchange_.client_gone()) {
        return client_failure();
    }
    if (sending_failed_ != Outcome::none) {
        return sending_failed_;
    }
    if (upstream_->transport.timed_out() || upstream_->input.deadline().expired()) {
        return response_started_ ? Outcome::upstream_stalled : Outcome::response_timeout;
    }
    if (upstream_->input.ended()) {
        return response_started_ ? Outcome::upstream_truncated : Outcome::upstream_reset;
    }
    return Outcome::none;
}

tcp::Awaitable<Outcome> Request::receive_head()
{
    http::http1::ResponseParser& parser = upstream_->parser;
    Input& input = upstream_->input;
    // While the client still sends, it is the client that we wait for.
    input.deadline().expires_after(sending_ ? no_timeout : timeouts_.response);
    Stall waiting{input.deadline()};
    core_.unanswered.add(waiting, now());
    for (;;) {
        if (input.data().empty()) {
            const Outcome failure = failure_of_wait();
            if (failure != Outcome::none) {
                co_return failure;
            }
            co_await input.more();
            continue;
        }
        if (!response_began_) {
            response_began_ = true;
            record_.first_byte = now() - stage_;
        }
        const auto progress = parser.feed(input.data());
        input.consume(progress.consumed);
        if (progress.status == Status::refused) {
            record_.reason = parser.reason();
            record_.has_reason = true;
            co_return Outcome::upstream_malformed;
        }
        if (progress.status == Status::need_more) {
            continue;
        }
        const std::uint16_t status = parser.head().status;
        if (status >= 200 || status == 101) {
            co_return Outcome::none;
        }
        http::remove_hop_by_hop(parser.head().fields);
        if (exchange_.request().version != http::Version::http10) {
            const bool told = co_await exchange_.send_informational(parser.head());
            if (!told) {
                co_return client_failure();
            }
        }
        parser.reset();
    }
}

tcp::Awaitable<Outcome> Request::relay_response()
{
    http::ResponseHead& head = upstream_->parser.head();
    record_.upstream_status = head.status;
    const auto framing = http::http1::response_framing(head, exchange_.request().method);
    if (!framing) {
        record_.reason = framing.error();
        record_.has_reason = true;
        co_return Outcome::upstream_malformed;
    }
    if (head.status == 101) {
        if (!websocket_ || !http::http1::is_websocket_accept(head)) {
            co_return Outcome::upgrade_unexpected;
        }
        co_return co_await tunnel();
    }
    reusable_ = http::http1::keep_alive(head.version, head.fields) && framing->kind != Framing::Kind::until_close;
    http::remove_hop_by_hop(head.fields);
    if (!apply_rules(head.fields, route_->response_headers)) {
        co_return Outcome::header_rules_overflow;
    }
    stage_ = now();
    record_.status = head.status;
    response_started_ = true;
    exchange_.send_head(head, *framing);
    co_return co_await relay_body(*framing);
}

tcp::Awaitable<Outcome> Request::relay_body(Framing framing)
{
    http::http1::BodyReader reader{framing};
    Input& input = upstream_->input;
    while (!reader.complete()) {
        if (input.data().empty()) {
            if (input.ended() && input.error() == boost::asio::error::eof && reader.finish() == Status::complete) {
                break;
            }
            if (const Outcome failure = failure_of_wait(); failure != Outcome::none) {
                co_return failure;
            }
            if (!co_await exchange_.flush()) {
                co_return client_failure();
            }
            input.deadline().expires_after(timeouts_.response);
            co_await input.more();
            continue;
        }
        input.deadline().expires_at(never); // Now it is the client that we wait for.
        const auto piece = reader.next(input.data());
        if (!piece.data.empty()) {
            if (!co_await exchange_.send_body(piece.data)) {
                co_return client_failure();
            }
            record_.bytes_sent += piece.data.size();
        }
        input.consume(piece.consumed);
        if (piece.status == Status::refused) {
            record_.reason = reader.reason();
            record_.has_reason = true;
            co_return Outcome::upstream_truncated;
        }
    }
    input.deadline().expires_at(never);
    const bool told = co_await exchange_.finish(&reader.trailers());
    co_return told ? Outcome::none : client_failure();
}

} // namespace sluice::proxy
