// Events of nghttp2: frames received, frames sent, streams closed, bodies pulled.
#include "http/session2.hpp"

#include <utility>

namespace sluice::http::http2 {

void ServerSession::Impl::take(RateLimiter& limiter, Reason reason)
{
    if (!failure_ && !limiter.take(now_)) {
        fail(reason, ErrorCode::enhance_your_calm);
    }
}

void ServerSession::Impl::judge_frame(const FrameHeader& header)
{
    switch (header.type) {
    case NGHTTP2_DATA:
        if (header.payload_bytes == 0 && (header.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
            take(empty_data_, Reason::http2_empty_data_flood);
        }
        break;
    case NGHTTP2_RST_STREAM:
        take(resets_, Reason::http2_reset_flood);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_WINDOW_UPDATE:
        break;
    default:
        take(control_frames_, Reason::http2_control_flood);
        break;
    }
}

int ServerSession::Impl::on_headers_begin(const nghttp2_frame& frame)
{
    if (ended_) {
        return 0;
    }
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST && open(frame.hd.stream_id) == nullptr) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
}

void ServerSession::Impl::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value)
{
    Stream* stream = find(frame.hd.stream_id);
    if (stream == nullptr || ended_) {
        return;
    }
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
        stream->request.add_header(name, value, limits_);
    } else {
        stream->request.add_trailer(name, value, limits_);
    }
}

void ServerSession::Impl::on_data(StreamId id, Bytes data)
{
    Stream* stream = find(id);
    const bool wanted = stream != nullptr && stream->dispatched && !stream->request.refusal() &&
                        !stream->response_ended && !stream->reset_by_us && !ended_;
    if (wanted) {
        stream->request.add_data(data.size());
    }
    if (!wanted || stream->request.refusal()) {
        if (wanted) {
            refuse_request(*stream);
        }
        if (nghttp2_session_consume(session_, id, data.size()) != 0) {
            fail(Reason::http2_memory, ErrorCode::internal_error);
        }
        return;
    }
    stream->unconsumed_bytes += data.size();
    handler_.on_data(id, data);
}

void ServerSession::Impl::on_frame(const nghttp2_frame& frame)
{
    if (ended_) {
        return;
    }
    const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
        if (Stream* stream = find(frame.hd.stream_id); stream != nullptr) {
            on_headers_complete(*stream, frame.headers);
        }
        break;
    case NGHTTP2_DATA:
        if (!end && frame.hd.length != 0 && frame.data.padlen == frame.hd.length) {
            take(empty_data_, Reason::http2_empty_data_flood);
        }
        if (Stream* stream = find(frame.hd.stream_id); stream != nullptr && end) {
            end_request(*stream);
        }
        break;
    case NGHTTP2_PING:
        if (shutting_down_ && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            shutdown_now();
        }
        break;
    default:
        break;
    }
}

void ServerSession::Impl::on_headers_complete(Stream& stream, const nghttp2_headers& frame)
{
    const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame.cat != NGHTTP2_HCAT_REQUEST) {
        if (!end) {
            // RFC 9113 section 8.1: a second header block is the trailers and ends the stream.
            stream.request.refuse(Reason::http2_message_invalid);
        }
        end_request(stream);
        return;
    }
    stream.request_ended = end;
    stream.request.finish_headers(limits_, end);
    if (stream.request.refusal()) {
        refuse_request(stream);
        return;
    }
    stream.dispatched = true;
    ++open_streams_;
    handler_.on_request(stream.id, stream.request.head(), end);
}

void ServerSession::Impl::end_request(Stream& stream)
{
    if (stream.request_ended || !stream.dispatched) {
        stream.request_ended = true;
        return;
    }
    stream.request_ended = true;
    stream.request.finish_request();
    if (stream.request.refusal()) {
        refuse_request(stream);
    } else if (!stream.reset_by_us && !stream.response_ended) {
        handler_.on_end(stream.id, stream.request.trailers());
    }
}

/// A request that never reached the handler is answered; one that did is reset, since its answer may have begun.
void ServerSession::Impl::refuse_request(Stream& stream)
{
    if (std::exchange(stream.refused, true)) {
        return;
    }
    const Reason reason = *stream.request.refusal();
    handler_.on_refused(stream.id, reason, stream.dispatched ? nullptr : &stream.request.head());
    if (stream.dispatched || stream.response_submitted) {
        submit_reset(stream.id, ErrorCode::protocol_error);
        return;
    }
    ResponseHead answer;
    answer.status = status_of(reason);
    if (answer.status == 400) {
        // Malformed: a stream error, which the answer may precede (RFC 9113 section 8.1.1).
        stream.reset_after_head = ErrorCode::protocol_error;
    }
    if (!submit(stream.id, answer, false, false)) {
        submit_reset(stream.id, ErrorCode::protocol_error);
    }
}

void ServerSession::Impl::on_frame_sent(const nghttp2_frame& frame)
{
    if (ended_) {
        return;
    }
    if (frame.hd.type == NGHTTP2_GOAWAY) {
        // nghttp2 ends connections for violations on its own account.
        switch (static_cast<ErrorCode>(frame.goaway.error_code)) {
        case ErrorCode::no_error:
            return;
        case ErrorCode::compression_error:
            return fail(Reason::http2_compression_error, ErrorCode::compression_error);
        case ErrorCode::flow_control_error:
            return fail(Reason::http2_flow_control_error, ErrorCode::flow_control_error);
        default:
            return fail(Reason::http2_protocol_error, ErrorCode::protocol_error);
        }
    }
    Stream* stream = find(frame.hd.stream_id);
    if (frame.hd.type == NGHTTP2_RST_STREAM) {
        if (stream == nullptr || !stream->reset_by_us) {
            take(resets_, Reason::http2_reset_flood);
        }
        return;
    }
    if (stream == nullptr || (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA)) {
        return;
    }
    if (stream->reset_after_head) {
        submit_reset(stream->id, *stream->reset_after_head);
    } else if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream->response_ended = true;
        if (!stream->request_ended) {
            stream->reset_by_us = true;
            submit_reset(stream->id, ErrorCode::no_error);
        }
    }
}

void ServerSession::Impl::on_frame_not_sent(const nghttp2_frame& frame)
{
    // A head that cannot be framed (too large): the stream has no answer.
    if (frame.hd.type == NGHTTP2_HEADERS && find(frame.hd.stream_id) != nullptr) {
        reset(frame.hd.stream_id, ErrorCode::internal_error);
    }
}

void ServerSession::Impl::on_invalid_frame(const nghttp2_frame& frame, int error)
{
    if (!ended_ && error == NGHTTP2_ERR_REFUSED_STREAM) {
        handler_.on_refused(frame.hd.stream_id, Reason::http2_too_many_streams, nullptr);
    }
}

void ServerSession::Impl::on_stream_closed(StreamId id, ErrorCode code)
{
    Stream* stream = find(id);
    if (stream == nullptr) {
        return;
    }
    if (stream->unconsumed_bytes != 0 && !ended_ &&
        nghttp2_session_consume_connection(session_, stream->unconsumed_bytes) != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
    const bool dispatched = stream->dispatched;
    const bool complete = stream->response_ended;
    nghttp2_session_set_stream_user_data(session_, id, nullptr);
    release(*stream);
    if (!dispatched) {
        return;
    }
    --open_streams_;
    if (ended_) {
        return;
    }
    if (complete) {
        handler_.on_complete(id);
    } else {
        handler_.on_reset(id, code);
    }
}

ssize_t ServerSession::Impl::on_pull(StreamId id, MutableBytes out, std::uint32_t& flags)
{
    if (ended_) {
        return NGHTTP2_ERR_DEFERRED;
    }
    const BodyPiece piece = handler_.on_pull(id, out);
    if (!piece.end) {
        return piece.bytes == 0 ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(piece.bytes);
    }
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (piece.trailers != nullptr && !piece.trailers->empty() && submit_trailers(id, *piece.trailers)) {
        flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(piece.bytes);
}

/// noexcept: an exception must not cross the library.
struct ServerSession::Impl::Callbacks {
    static Impl& self(void* user) noexcept { return *static_cast<Impl*>(user); }
    static std::string_view text(const std::uint8_t* data, std::size_t size) noexcept
    {
        return {reinterpret_cast<const char*>(data), size};
    }

    static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept
    {
        return self(user).on_headers_begin(*frame);
    }
    static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) noexcept
    {
        self(user).on_header(*frame, text(name, name_size), text(value, value_size));
        return 0;
    }
    static int data_chunk(nghttp2_session*, std::uint8_t, StreamId id, const std::uint8_t* data, std::size_t size,
                          void* user) noexcept
    {
        self(user).on_data(id, {reinterpret_cast<const std::byte*>(data), size});
        return 0;
    }
    static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept
    {
        self(user).on_frame(*frame);
        return 0;
    }
    static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept
    {
        self(user).on_frame_sent(*frame);
        return 0;
    }
    static int frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) noexcept
    {
        self(user).on_frame_not_sent(*frame);
        return 0;
    }
    static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) noexcept
    {
        self(user).on_invalid_frame(*frame, error);
        return 0;
    }
    static int stream_close(nghttp2_session*, StreamId id, std::uint32_t code, void* user) noexcept
    {
        self(user).on_stream_closed(id, static_cast<ErrorCode>(code));
        return 0;
    }
    static ssize_t pull(nghttp2_session*, StreamId id, std::uint8_t* out, std::size_t size, std::uint32_t* flags,
                        nghttp2_data_source*, void* user) noexcept
    {
        return self(user).on_pull(id, {reinterpret_cast<std::byte*>(out), size}, *flags);
    }
};

void ServerSession::Impl::install_callbacks(nghttp2_session_callbacks& callbacks) noexcept
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(&callbacks, Callbacks::begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(&callbacks, Callbacks::header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(&callbacks, Callbacks::data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(&callbacks, Callbacks::frame_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(&callbacks, Callbacks::frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(&callbacks, Callbacks::frame_not_sent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(&callbacks, Callbacks::invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(&callbacks, Callbacks::stream_close);
}

nghttp2_data_provider ServerSession::Impl::body_provider() noexcept
{
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::pull;
    return provider;
}

} // namespace sluice::http::http2
