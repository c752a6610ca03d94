// What the owner of a session calls. Events from the client are in receive2.cpp.
#include "http/session2.hpp"

#include "http/characters.hpp"
#include "http/hop_by_hop.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace sluice::http::http2 {

static constexpr std::string_view client_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Marks the PING behind the announcing GOAWAY.
static constexpr std::array<std::uint8_t, 8> shutdown_ping{'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'};
static constexpr std::size_t longest_response_head = 128 * 1024;
static constexpr std::size_t most_queued_acknowledgements = 256;

Preface detect_preface(Bytes first) noexcept
{
    const std::size_t length = std::min(first.size(), client_preface.size());
    const std::string_view text{reinterpret_cast<const char*>(first.data()), length};
    if (text != client_preface.substr(0, length)) {
        return Preface::other;
    }
    return length == client_preface.size() ? Preface::http2 : Preface::undecided;
}

/// Fields as nghttp2 takes them: names in lower case, nothing that is HTTP/1's. nghttp2 copies what it is given.
class FieldBlock {
public:
    explicit FieldBlock(const Fields& fields)
    {
        if (has_hop_by_hop(fields)) {
            Fields kept = fields;
            remove_hop_by_hop(kept);
            append(kept);
        } else {
            append(fields);
        }
    }
    FieldBlock(std::uint16_t status, const Fields& fields) : FieldBlock{fields}
    {
        std::to_chars(status_.begin(), status_.end(), status);
        block_.insert(block_.begin(), entry(":status", {status_.data(), status_.size()}));
    }
    FieldBlock(const FieldBlock&) = delete;
    FieldBlock& operator=(const FieldBlock&) = delete;

    [[nodiscard]] const nghttp2_nv* data() const noexcept { return block_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return block_.size(); }

private:
    static nghttp2_nv entry(std::string_view name, std::string_view value) noexcept
    {
        const auto bytes = [](std::string_view text) {
            return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
        };
        return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    }
    void append(const Fields& fields)
    {
        // Values are copied along because `fields` may be a temporary copy; the reservation keeps views valid.
        text_.reserve(fields.bytes());
        block_.reserve(fields.size() + 1);
        for (const Field field : fields) {
            const std::size_t start = text_.size();
            for (const char character : field.name) {
                text_.push_back(lower(character));
            }
            text_.append(field.value);
            const std::string_view stored = std::string_view{text_}.substr(start);
            block_.push_back(entry(stored.substr(0, field.name.size()), stored.substr(field.name.size())));
        }
    }

    std::string text_;
    std::array<char, 3> status_{};
    std::vector<nghttp2_nv> block_;
};

ServerSession::Impl::Impl(Handler& handler, const Limits& limits, TimePoint now)
    : handler_{handler}, limits_{limits}, memory_{limits.memory_bytes}, now_{now}, resets_{limits.resets, now},
      control_frames_{limits.control_frames, now}, empty_data_{limits.empty_data, now}
{
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* options = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&options) != 0) {
        std::abort();
    }
    install_callbacks(*callbacks);
    nghttp2_option_set_no_auto_window_update(options, 1);
    // Messages are judged by RequestAssembler, with the same rules and reasons as those of HTTP/1.
    nghttp2_option_set_no_http_messaging(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_continuations(options, limits.continuations);
    nghttp2_option_set_max_outbound_ack(options, most_queued_acknowledgements);
    nghttp2_option_set_max_send_header_block_length(options, longest_response_head);
    // The library's own limiter reads a clock; ours takes `now`.
    nghttp2_option_set_stream_reset_rate_limit(options, std::numeric_limits<std::uint64_t>::max(),
                                               std::numeric_limits<std::uint64_t>::max());
    nghttp2_mem memory = memory_.interface();
    if (nghttp2_session_server_new3(&session_, callbacks, this, options, &memory) != 0) {
        std::abort();
    }
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    apply_settings();
}

ServerSession::Impl::~Impl()
{
    ended_ = true;
    nghttp2_session_del(session_);
}

void ServerSession::Impl::apply_settings()
{
    const std::array<nghttp2_settings_entry, 4> settings{
        {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.concurrent_streams},
         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window_bytes},
         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list_bytes},
         {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}}};
    const int submitted = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    const int widened = nghttp2_session_set_local_window_size(
        session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(limits_.connection_window_bytes));
    if (submitted != 0 || widened != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
}

Expected<void, Reason> ServerSession::Impl::feed(Bytes in, TimePoint now)
{
    now_ = now;
    if (!failure_ && !ended_) {
        frames_.scan(in, [this](const FrameHeader& header) { judge_frame(header); });
    }
    if (!failure_ && !ended_) {
        const auto* data = reinterpret_cast<const std::uint8_t*>(in.data());
        const ssize_t consumed = nghttp2_session_mem_recv(session_, data, in.size());
        if (consumed == NGHTTP2_ERR_NOMEM) {
            fail(Reason::http2_memory, ErrorCode::enhance_your_calm);
        } else if (consumed == NGHTTP2_ERR_FLOODED || consumed == NGHTTP2_ERR_TOO_MANY_SETTINGS) {
            fail(Reason::http2_control_flood, ErrorCode::enhance_your_calm);
        } else if (consumed == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
            fail(Reason::http2_continuation_flood, ErrorCode::enhance_your_calm);
        } else if (consumed < 0) {
            fail(Reason::http2_protocol_error, ErrorCode::protocol_error);
        }
    }
    if (failure_) {
        return failure(*failure_);
    }
    return {};
}

Bytes ServerSession::Impl::output(TimePoint now)
{
    now_ = now;
    const std::uint8_t* data = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_, &data);
    if (length < 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
        return {};
    }
    return {reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(length)};
}

Stream* ServerSession::Impl::find(StreamId id) const noexcept
{
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

Stream* ServerSession::Impl::open(StreamId id)
{
    if (spare_.empty()) {
        streams_.push_back(std::make_unique<Stream>());
        spare_.push_back(streams_.back().get());
    }
    Stream* stream = spare_.back();
    if (nghttp2_session_set_stream_user_data(session_, id, stream) != 0) {
        return nullptr;
    }
    spare_.pop_back();
    stream->id = id;
    return stream;
}

void ServerSession::Impl::release(Stream& stream)
{
    stream = Stream{};
    spare_.push_back(&stream);
}

void ServerSession::Impl::consume(StreamId id, std::size_t bytes)
{
    Stream* stream = find(id);
    if (stream == nullptr) {
        return;
    }
    const std::size_t accepted = std::min(bytes, stream->unconsumed_bytes);
    stream->unconsumed_bytes -= accepted;
    if (accepted != 0 && nghttp2_session_consume(session_, id, accepted) != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
}

bool ServerSession::Impl::submit(StreamId id, const ResponseHead& head, bool informational, bool body)
{
    Stream* stream = find(id);
    if (stream == nullptr || ended_ || stream->response_submitted || head.status == 101 ||
        (head.status < 200) != informational) {
        return false;
    }
    const FieldBlock block{head.status, head.fields};
    const nghttp2_data_provider provider = body_provider();
    int result = 0;
    if (informational || stream->reset_after_head) {
        result = nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, block.data(), block.size(), nullptr);
    } else {
        result = nghttp2_submit_response(session_, id, block.data(), block.size(), body ? &provider : nullptr);
    }
    if (result == NGHTTP2_ERR_NOMEM) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
    stream->response_submitted = !informational;
    return result == 0;
}

bool ServerSession::Impl::submit_trailers(StreamId id, const Fields& trailers)
{
    const FieldBlock block{trailers};
    return nghttp2_submit_trailer(session_, id, block.data(), block.size()) == 0;
}

void ServerSession::Impl::submit_reset(StreamId id, ErrorCode code)
{
    if (nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code)) != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
}

void ServerSession::Impl::reset(StreamId id, ErrorCode code)
{
    Stream* stream = find(id);
    if (stream == nullptr || stream->reset_by_us || ended_) {
        return;
    }
    stream->reset_by_us = true;
    submit_reset(id, code);
}

void ServerSession::Impl::shutdown()
{
    if (shutting_down_ || ended_) {
        return;
    }
    shutting_down_ = true;
    if (nghttp2_submit_shutdown_notice(session_) != 0 ||
        nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, shutdown_ping.data()) != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
}

void ServerSession::Impl::shutdown_now()
{
    if (last_goaway_submitted_ || ended_) {
        return;
    }
    shutting_down_ = true;
    last_goaway_submitted_ = true;
    if (nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                              NGHTTP2_NO_ERROR, nullptr, 0) != 0) {
        fail(Reason::http2_memory, ErrorCode::internal_error);
    }
}

void ServerSession::Impl::terminate(ErrorCode code)
{
    if (ended_) {
        return;
    }
    ended_ = true;
    // A failure here leaves nothing to send: finished() is what the owner sees.
    static_cast<void>(nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(code)));
}

void ServerSession::Impl::fail(Reason reason, ErrorCode code)
{
    if (failure_) {
        return;
    }
    failure_ = reason;
    if (!ended_) {
        terminate(code);
        handler_.on_refused(0, reason, nullptr);
    }
}

ServerSession::ServerSession(Handler& handler, const Limits& limits, TimePoint now)
    : impl_{std::make_unique<Impl>(handler, limits, now)}
{
}

ServerSession::~ServerSession() = default;

Expected<void, Reason> ServerSession::feed(Bytes in, TimePoint now) { return impl_->feed(in, now); }

Bytes ServerSession::output(TimePoint now) { return impl_->output(now); }

void ServerSession::append_output(std::string& out, std::size_t enough, TimePoint now)
{
    while (out.size() < enough) {
        const Bytes piece = impl_->output(now);
        if (piece.empty()) {
            break;
        }
        out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
}

bool ServerSession::wants_output() const noexcept { return nghttp2_session_want_write(impl_->session()) != 0; }

bool ServerSession::finished() const noexcept
{
    return nghttp2_session_want_read(impl_->session()) == 0 && nghttp2_session_want_write(impl_->session()) == 0;
}

void ServerSession::consume(StreamId stream, std::size_t bytes) { impl_->consume(stream, bytes); }

bool ServerSession::submit_informational(StreamId stream, const ResponseHead& head)
{
    return impl_->submit(stream, head, true, false);
}

bool ServerSession::submit_response(StreamId stream, const ResponseHead& head, bool body)
{
    return impl_->submit(stream, head, false, body);
}

void ServerSession::resume(StreamId stream)
{
    // Not deferred, or already gone: nothing to wake.
    static_cast<void>(nghttp2_session_resume_data(impl_->session(), stream));
}

void ServerSession::reset(StreamId stream, ErrorCode code) { impl_->reset(stream, code); }
void ServerSession::shutdown() { impl_->shutdown(); }
void ServerSession::shutdown_now() { impl_->shutdown_now(); }
void ServerSession::terminate(ErrorCode code) { impl_->terminate(code); }
std::size_t ServerSession::open_streams() const noexcept { return impl_->open_streams(); }
std::size_t ServerSession::memory_bytes() const noexcept { return impl_->memory_bytes(); }

} // namespace sluice::http::http2
