// The inside of ServerSession: one nghttp2 session, its streams and its limiters.
#pragma once

#include <sluice/http/http2.hpp>

#include "http/frame_scanner2.hpp"
#include "http/memory2.hpp"
#include "http/rate.hpp"
#include "http/request2.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace sluice::http::http2 {

/// From the first HEADERS until the stream is closed.
struct Stream {
    StreamId id = 0;
    RequestAssembler request;
    std::size_t unconsumed_bytes = 0;          ///< Given to the handler, not yet consumed.
    std::optional<ErrorCode> reset_after_head; ///< A refusal was answered: reset once the answer was framed.
    bool dispatched = false;                   ///< on_request() was called.
    bool refused = false;
    bool request_ended = false;
    bool response_submitted = false;
    bool response_ended = false; ///< END_STREAM was framed.
    bool pull_body = false;
    bool reset_by_us = false; ///< A decision of ours and not of the client's making.
};

class ServerSession::Impl {
public:
    Impl(Handler& handler, const Limits& limits, TimePoint now);
    ~Impl();

    [[nodiscard]] Expected<void, Reason> feed(Bytes in, TimePoint now);
    [[nodiscard]] Bytes output(TimePoint now);
    void consume(StreamId stream, std::size_t bytes);
    [[nodiscard]] bool submit(StreamId stream, const ResponseHead& head, bool informational, bool body);
    void reset(StreamId stream, ErrorCode code);
    void shutdown();
    void shutdown_now();
    void terminate(ErrorCode code);

    [[nodiscard]] nghttp2_session* session() const noexcept { return session_; }
    [[nodiscard]] std::size_t open_streams() const noexcept { return open_streams_; }
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_.used_bytes(); }

private:
    /// The C functions that nghttp2 calls; like the events below in src/http/receive2.cpp.
    struct Callbacks;
    static void install_callbacks(nghttp2_session_callbacks& callbacks) noexcept;
    [[nodiscard]] static nghttp2_data_provider body_provider() noexcept;

    void judge_frame(const FrameHeader& header);
    [[nodiscard]] int on_headers_begin(const nghttp2_frame& frame);
    void on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
    void on_data(StreamId id, Bytes data);
    void on_frame(const nghttp2_frame& frame);
    void on_frame_sent(const nghttp2_frame& frame);
    void on_frame_not_sent(const nghttp2_frame& frame);
    void on_invalid_frame(const nghttp2_frame& frame, int error);
    void on_stream_closed(StreamId id, ErrorCode code);
    [[nodiscard]] ssize_t on_pull(StreamId id, MutableBytes out, std::uint32_t& flags);

    void on_headers_complete(Stream& stream, const nghttp2_headers& frame);
    void end_request(Stream& stream);
    void refuse_request(Stream& stream);
    void take(RateLimiter& limiter, Reason reason);
    void fail(Reason reason, ErrorCode code);
    [[nodiscard]] Stream* find(StreamId id) const noexcept;
    [[nodiscard]] Stream* open(StreamId id);
    void release(Stream& stream);
    void submit_reset(StreamId id, ErrorCode code);
    [[nodiscard]] bool submit_trailers(StreamId id, const Fields& trailers);
    void apply_settings();

    Handler& handler_;
    Limits limits_;
    CappedMemory memory_;
    nghttp2_session* session_ = nullptr;
    FrameScanner frames_;
    TimePoint now_;
    RateLimiter resets_;
    RateLimiter control_frames_;
    RateLimiter empty_data_;
    std::vector<std::unique_ptr<Stream>> streams_; ///< Owns all, used and spare.
    std::vector<Stream*> spare_;
    std::size_t open_streams_ = 0;
    std::optional<Reason> failure_;
    bool ended_ = false; ///< Nothing is delivered to the handler any more.
    bool shutting_down_ = false;
    bool last_goaway_submitted_ = false;
};

} // namespace sluice::http::http2
