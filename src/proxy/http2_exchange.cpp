#include <proxy/http2_exchange.hpp>

#include <algorithm>
#include <charconv>

namespace sluice::proxy {

using http::http1::Framing;
using http::http2::ErrorCode;

namespace {

Framing framing_of(const http::RequestHead& head, bool end)
{
    if (end) {
        return {};
    }
    if (const auto length = head.fields.find("content-length")) {
        Framing framing{Framing::Kind::length, 0};
        const auto parsed = std::from_chars(length->data(), length->data() + length->size(), framing.length);
        if (parsed.ec == std::errc{} && parsed.ptr == length->data() + length->size()) {
            return framing;
        }
    }
    return {Framing::Kind::chunked, 0};
}

void notify(void* signal) noexcept { static_cast<Signal*>(signal)->notify(); }

} // namespace

Http2Exchange::Http2Exchange(Http2Session& session, http::http2::StreamId id, http::RequestHead&& head, bool end)
    : Exchange{(*session.connection_.service->plan())->timeouts.body}, session_{session},
      holding_{session.connection_.core.held, Held::request}, id_{id}, head_{std::move(head)}, framing_{framing_of(
                                                                                                   head_, end)},
      first_byte_{session.now()}, body_limit_{(*session.connection_.service->plan())->limits.body_bytes}, ended_{end},
      body_changed_{session.connection_.core.parts.loop}, response_changed_{session.connection_.core.parts.loop},
      body_deadline_{session.connection_.core.parts.loop, &notify, &body_changed_},
      response_deadline_{session.connection_.core.parts.loop, &notify, &response_changed_}
{
}

void Http2Exchange::on_data(Bytes data)
{
    received_ += data.size();
    while (!data.empty()) {
        if (body_.empty() || body_.back().text.size() == BlockPool::block_bytes) {
            body_.push_back({Holding{session_.connection_.core.held, Held::body}, {}});
            body_.back().text.reserve(BlockPool::block_bytes);
        }
        std::string& chunk = body_.back().text;
        const std::size_t size = std::min(data.size(), BlockPool::block_bytes - chunk.size());
        chunk.append(reinterpret_cast<const char*>(data.data()), size);
        data = data.subspan(size);
    }
    body_changed_.notify();
}

void Http2Exchange::on_end(http::Fields&& trailers)
{
    trailers_ = std::move(trailers);
    ended_ = true;
    body_changed_.notify();
}

http::http2::BodyPiece Http2Exchange::on_pull(MutableBytes out) noexcept
{
    http::http2::BodyPiece piece;
    piece.bytes = std::min(out.size(), pending_.size());
    std::copy_n(pending_.begin(), piece.bytes, out.begin());
    pending_ = pending_.subspan(piece.bytes);
    if (pending_.empty()) {
        response_changed_.notify();
        piece.end = finishing_;
        piece.trailers = finishing_ ? response_trailers_ : nullptr;
    }
    return piece;
}

void Http2Exchange::on_complete() noexcept
{
    closed_ = completed_ = true;
    response_changed_.notify();
}

void Http2Exchange::on_reset() noexcept
{
    if (!closed_) {
        closed_ = true;
        if (!refused_) {
            set_gone();
        }
        body_changed_.notify();
        response_changed_.notify();
    }
}

void Http2Exchange::on_refused(http::Reason reason) noexcept
{
    reason_ = reason;
    refused_ = true;
    body_changed_.notify();
}

tcp::Awaitable<BodyPiece> Http2Exchange::read_body()
{
    interrupted_ = false;
    body_deadline_.expires_after(stall_);
    for (;;) {
        if (received_ > body_limit_ || (framing_.kind == Framing::Kind::length && framing_.length > body_limit_)) {
            co_return BodyPiece{{}, false, Outcome::body_too_large};
        }
        if (refused_) {
            co_return BodyPiece{{}, false, Outcome::malformed};
        }
        if (gone_) {
            co_return BodyPiece{{}, false, Outcome::client_left};
        }
        if (!body_.empty()) {
            body_deadline_.off();
            const std::string_view piece = std::string_view{body_.front().text}.substr(taken_);
            piece_bytes_ = piece.size();
            co_return BodyPiece{std::as_bytes(std::span{piece}), ended_ && body_.size() == 1, Outcome::none};
        }
        if (ended_) {
            body_deadline_.off();
            co_return BodyPiece{{}, true, Outcome::none};
        }
        if (interrupted_) {
            co_return BodyPiece{{}, false, Outcome::stopped};
        }
        if (body_deadline_.expired()) {
            co_return BodyPiece{{}, false, Outcome::body_timeout};
        }
        co_await body_changed_.wait();
    }
}

void Http2Exchange::consume_body() noexcept
{
    taken_ += piece_bytes_;
    if (!body_.empty() && taken_ == body_.front().text.size()) {
        body_.pop_front();
        taken_ = 0;
    }
    session_.session_.consume(id_, std::exchange(piece_bytes_, 0));
    session_.writable_.notify();
}

void Http2Exchange::interrupt_body() noexcept
{
    interrupted_ = true;
    body_changed_.notify();
}

tcp::Awaitable<bool> Http2Exchange::send_informational(const http::ResponseHead& head)
{
    const bool sent = !closed_ && session_.session_.submit_informational(id_, head);
    session_.writable_.notify();
    co_return sent;
}

void Http2Exchange::send_head(http::ResponseHead& head, const Framing& framing)
{
    silent_ = http::response_has_no_content(head.status, head_.method) || !framing.has_body();
    answered_ = !closed_ && session_.session_.submit_response(id_, head, !silent_);
    session_.writable_.notify();
}

tcp::Awaitable<bool> Http2Exchange::flush() { co_return answered_ && (completed_ || !closed_); }

tcp::Awaitable<bool> Http2Exchange::wait_for_client()
{
    response_deadline_.expires_after(stall_);
    Stall waiting{response_deadline_};
    session_.connection_.core.stalls.add(waiting, session_.now());
    const auto done = [this] { return finishing_ ? completed_ : pending_.empty(); };
    while (!done()) {
        if (!answered_ || closed_) {
            pending_ = {};
            co_return false;
        }
        if (response_deadline_.expired()) {
            stalled_ = true;
            gone_ = true;
            pending_ = {};
            abort();
            co_return false;
        }
        co_await response_changed_.wait();
    }
    response_deadline_.off();
    co_return true;
}

tcp::Awaitable<bool> Http2Exchange::send_body(Bytes data)
{
    if (silent_) {
        co_return true;
    }
    pending_ = data;
    session_.session_.resume(id_);
    session_.writable_.notify();
    co_return co_await wait_for_client();
}

tcp::Awaitable<bool> Http2Exchange::finish(const http::Fields* trailers)
{
    finishing_ = true;
    response_trailers_ = trailers;
    if (!silent_) {
        session_.session_.resume(id_);
        session_.writable_.notify();
    }
    const bool sent = co_await wait_for_client();
    response_trailers_ = nullptr;
    co_return sent;
}

void Http2Exchange::abort() noexcept
{
    if (!closed_) {
        session_.session_.reset(id_, gone_ ? ErrorCode::cancel : ErrorCode::internal_error);
        session_.writable_.notify();
    }
}

void Http2Exchange::end() noexcept
{
    if (!completed_) {
        abort();
    }
}

} // namespace sluice::proxy
