#include <proxy/http1_exchange.hpp>

#include <boost/asio/error.hpp>

namespace sluice::proxy {

using http::http1::Framing;
using http::http1::Status;

namespace {

http::http1::HeadLimits head_limits(const ServicePlan& plan) noexcept
{
    http::http1::HeadLimits limits;
    limits.header_bytes = plan.limits.header_bytes;
    return limits;
}

} // namespace

Http1Exchange::Http1Exchange(ClientConnection& connection)
    : Exchange{(*connection.service->plan())->timeouts.body}, connection_{connection}, holding_{connection.core.held,
                                                                                                Held::request},
      leg_{connection.transport, connection.input}, parser_{head_limits(**connection.service->plan())}
{
}

tcp::Awaitable<Http1Exchange::Head> Http1Exchange::read_head()
{
    Input& input = connection_.input;
    first_byte_ = connection_.core.parts.loop.now();
    for (;;) {
        if (!input.data().empty()) {
            const auto progress = parser_.feed(input.data());
            input.consume(progress.consumed);
            head_bytes_ += progress.consumed;
            if (head_bytes_ > usual_head_bytes && !large_head_) {
                large_head_.emplace(connection_.core.held, Held::large_head);
            }
            if (progress.status == Status::refused) {
                co_return Head::refused;
            }
            if (progress.status == Status::complete) {
                co_return Head::complete;
            }
            continue;
        }
        if (input.ended()) {
            co_return Head::gone;
        }
        if (input.deadline().expired()) {
            co_return Head::timed_out;
        }
        connection_.begin_waiting();
        co_await input.more();
    }
}

void Http1Exchange::begin_body(std::uint64_t body_limit)
{
    body_ = http::http1::BodyReader{parser_.framing()};
    body_limit_ = body_limit;
    client_keeps_ = http::http1::keep_alive(parser_.head().version, parser_.head().fields);
    watch_if_complete();
}

void Http1Exchange::end_request() noexcept
{
    connection_.input.watch(nullptr);
    parser_.reset();
    large_head_.reset();
    head_bytes_ = 0;
    piece_bytes_ = 0;
    unsent_.clear();
    keep_ = head_queued_ = silent_ = false;
}

/// Once the body is there, whatever comes is the next request, or the news that the client has left.
void Http1Exchange::watch_if_complete() noexcept
{
    if (body_.complete()) {
        connection_.input.watch(this);
    }
}

void Http1Exchange::input_changed() noexcept
{
    // A client that has closed its side is taken to have left: one that was killed looks the same until we write to it.
    if (connection_.input.ended()) {
        connection_.input.watch(nullptr);
        set_gone();
    }
}

tcp::Awaitable<BodyPiece> Http1Exchange::read_body()
{
    Input& input = connection_.input;
    interrupted_ = false;
    while (!body_.complete()) {
        if (input.data().empty()) {
            input.deadline().expires_after(stall_);
            co_await input.more();
            if (interrupted_) {
                co_return BodyPiece{{}, false, Outcome::stopped};
            }
            if (!input.data().empty()) {
                continue;
            }
            if (input.ended()) {
                set_gone();
                co_return BodyPiece{{}, false, Outcome::client_left};
            }
            if (input.deadline().expired()) {
                co_return BodyPiece{{}, false, Outcome::body_timeout};
            }
            continue;
        }
        input.deadline().expires_at(never);
        const auto piece = body_.next(input.data());
        if (piece.status == Status::refused) {
            reason_ = body_.reason();
            co_return BodyPiece{{}, false, Outcome::malformed};
        }
        if (body_.payload_bytes() > body_limit_) {
            co_return BodyPiece{{}, false, Outcome::body_too_large};
        }
        if (!piece.data.empty()) {
            piece_bytes_ = piece.consumed;
            co_return BodyPiece{piece.data, body_.complete(), Outcome::none};
        }
        input.consume(piece.consumed);
    }
    watch_if_complete();
    co_return BodyPiece{{}, true, Outcome::none};
}

void Http1Exchange::consume_body() noexcept
{
    connection_.input.consume(std::exchange(piece_bytes_, 0));
    watch_if_complete();
}

void Http1Exchange::interrupt_body() noexcept
{
    interrupted_ = true;
    connection_.input.wake();
}

tcp::Awaitable<bool> Http1Exchange::write(Transport::Pieces pieces)
{
    if (gone_) {
        co_return false;
    }
    Stall waiting{connection_.transport.write_deadline()};
    connection_.core.stalls.add(waiting, connection_.core.parts.loop.now());
    if (const tcp::ErrorCode error = co_await connection_.transport.write(pieces, stall_)) {
        stalled_ = connection_.transport.timed_out();
        keep_ = false;
        gone_ = true; // Without telling: who writes is told by the result.
        co_return false;
    }
    co_return true;
}

tcp::Awaitable<bool> Http1Exchange::send_informational(const http::ResponseHead& head)
{
    std::string text;
    http::http1::append_response_head(text, head);
    co_return co_await write(Transport::pieces(text));
}

void Http1Exchange::send_head(http::ResponseHead& head, const Framing& framing)
{
    const http::Version version = parser_.head().version;
    silent_ = http::response_has_no_content(head.status, parser_.head().method);
    framing_ = framing;
    if (!silent_ && framing.kind != Framing::Kind::length) {
        // HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
        framing_.kind = version == http::Version::http10 ? Framing::Kind::until_close : Framing::Kind::chunked;
    }
    // What is left of a body that nobody wants could be taken for the next request.
    keep_ = client_keeps_ && !connection_.ending() && body_.complete() && framing_.kind != Framing::Kind::until_close;
    bool fits = silent_ || http::http1::set_framing(head.fields, framing_);
    fits = fits && http::http1::set_connection(head.fields, keep_, version);
    if (!fits) {
        keep_ = false;
    }
    http::http1::append_response_head(unsent_, head);
    head_queued_ = true;
}

tcp::Awaitable<bool> Http1Exchange::flush()
{
    if (unsent_.empty()) {
        co_return true;
    }
    const bool written = co_await write(Transport::pieces(unsent_));
    unsent_.clear();
    co_return written;
}

tcp::Awaitable<bool> Http1Exchange::send_body(Bytes data)
{
    if (silent_) {
        co_return true;
    }
    const bool chunked = framing_.kind == Framing::Kind::chunked;
    if (chunked) {
        http::http1::append_chunk_start(unsent_, data.size());
    }
    const std::string_view suffix = chunked ? http::http1::chunk_end : std::string_view{};
    const bool written = co_await write(Transport::pieces(unsent_, data, suffix));
    unsent_.clear();
    co_return written;
}

tcp::Awaitable<bool> Http1Exchange::finish(const http::Fields* trailers)
{
    if (!silent_ && framing_.kind == Framing::Kind::chunked) {
        static const http::Fields none;
        http::http1::append_last_chunk(unsent_, trailers != nullptr ? *trailers : none);
    }
    co_return co_await flush();
}

void Http1Exchange::abort() noexcept
{
    keep_ = false;
    if (!head_queued_) {
        connection_.transport.abort();
        return;
    }
    // With a length or chunks the missing end tells; where the end of the connection would be the end of the body, only
    // a reset does.
    if (framing_.kind == Framing::Kind::until_close || gone_) {
        connection_.transport.abort();
    } else {
        connection_.transport.close();
    }
}

ClientLeg* Http1Exchange::take_over() noexcept
{
    connection_.input.watch(nullptr);
    keep_ = false;
    head_queued_ = true;
    return &leg_;
}

} // namespace sluice::proxy
