// The server side of HTTP/2 without I/O (RFC 9113): bytes in, events out; answers in, bytes out. Framing, HPACK and
// stream states are nghttp2's; limits, validation, flow control's pace and graceful shutdown are decided here.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/base/result.hpp>
#include <sluice/base/time.hpp>
#include <sluice/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace sluice::http::http2 {

using StreamId = std::int32_t;

/// RFC 9113 section 7.
enum class ErrorCode : std::uint32_t {
    no_error = 0x0,
    protocol_error = 0x1,
    internal_error = 0x2,
    flow_control_error = 0x3,
    settings_timeout = 0x4,
    stream_closed = 0x5,
    frame_size_error = 0x6,
    refused_stream = 0x7,
    cancel = 0x8,
    compression_error = 0x9,
    connect_error = 0xa,
    enhance_your_calm = 0xb,
    inadequate_security = 0xc,
    http_1_1_required = 0xd
};

/// What the first bytes of a clear-text connection are (RFC 9113 section 3.4, prior knowledge).
enum class Preface : std::uint8_t { undecided, http2, other };
[[nodiscard]] Preface detect_preface(Bytes first) noexcept;

/// A token bucket: `burst` at once, `per_second` in the long run.
struct Rate {
    std::uint32_t burst;
    std::uint32_t per_second;
};

struct Limits {
    std::uint32_t concurrent_streams = 128;
    std::uint32_t header_list_bytes = 32 * 1024;         ///< As RFC 9113 counts (32 more a field); 431 above.
    std::uint32_t target_bytes = 8 * 1024;               ///< 414 above.
    std::uint16_t field_count = 128;                     ///< 431 above.
    std::uint16_t continuations = 8;                     ///< CONTINUATION frames of one header block.
    std::uint32_t stream_window_bytes = 256 * 1024;      ///< Unconsumed request body of one stream.
    std::uint32_t connection_window_bytes = 1024 * 1024; ///< Of all streams: bounds what a session holds of bodies.
    std::size_t memory_bytes = 4 * 1024 * 1024;          ///< Everything that nghttp2 allocates for the session.
    Rate resets{100,
                50}; ///< Streams reset by the client, or by us because it broke a rule (CVE-2023-44487, CVE-2025-8671).
    Rate control_frames{200, 50}; ///< PING, SETTINGS, PRIORITY and unknown frames.
    Rate empty_data{100, 20};     ///< DATA frames without data that end no stream.
};

/// What a pull of response body yields.
struct BodyPiece {
    /// Written to the front of the buffer. 0 without `end`: nothing yet, resume() will be called.
    std::size_t bytes = 0;
    /// The body is complete with these bytes.
    bool end = false;
    /// With `end`: sent as trailers unless null or empty. Read at once, before anything else is called.
    const Fields* trailers = nullptr;
};

/// Who serves the streams. Called from feed() and output() only; may call every function of the session but feed(),
/// output() and the destructor. For each stream on which on_request() was called, on_complete() or on_reset() is called
/// exactly once, and nothing after it; unless the connection ends first (feed() failed, terminate(), destruction): then
/// whoever drops the session ends its requests.
class Handler {
public:
    virtual ~Handler() = default;

    /// A checked request; `end`: it has no body. The head may be moved from. on_end() does not follow when `end` is
    /// true.
    virtual void on_request(StreamId stream, RequestHead& head, bool end) = 0;
    /// Body bytes, valid during the call. They count against both windows until consume().
    virtual void on_data(StreamId stream, Bytes data) = 0;
    /// The request is complete, and its length is what Content-Length said.
    virtual void on_end(StreamId stream, Fields& trailers) = 0;
    /// Fill `out` (never empty) with the response body, in the order of submit_response() with a body.
    virtual BodyPiece on_pull(StreamId stream, MutableBytes out) = 0;
    /// The response was framed wholly, and the stream is closed.
    virtual void on_complete(StreamId stream) = 0;
    /// The stream ended before its response did: reset by the client, by a violation (then on_refused() said which), or
    /// by reset().
    virtual void on_reset(StreamId stream, ErrorCode code) = 0;
    /// A request or the connection (stream 0) was refused; the session has already answered or reset. For counters and
    /// access records; on_request() has not been called for a refused request unless its body was at fault.
    virtual void on_refused(StreamId stream, Reason reason, const RequestHead* head) = 0;
};

/// One connection of one client. One thread at a time. Costs about 10 KB idle, at most limits.memory_bytes plus the
/// heads in flight (concurrent_streams × header_list_bytes).
class ServerSession {
public:
    ServerSession(Handler& handler, const Limits& limits, TimePoint now);
    ~ServerSession();
    ServerSession(const ServerSession&) = delete;
    ServerSession& operator=(const ServerSession&) = delete;

    /// Consumes all of `in`. On failure the connection is over: send what output() still yields (GOAWAY), then close.
    [[nodiscard]] Expected<void, Reason> feed(Bytes in, TimePoint now);
    /// The next bytes to send, in place; empty: nothing yet. Valid until the next call of any function. Pulls
    /// response bodies, so call it only when the transport can take the bytes: that is the back-pressure.
    [[nodiscard]] Bytes output(TimePoint now);
    /// Appends output until `out` holds at least `enough` bytes or nothing is left.
    void append_output(std::string& out, std::size_t enough, TimePoint now);
    /// Whether output() may yield something.
    [[nodiscard]] bool wants_output() const noexcept;
    /// Nothing more will be read or written: close.
    [[nodiscard]] bool finished() const noexcept;

    /// The body bytes of that stream went upstream: opens both windows by as much. Ignored for unknown streams, whose
    /// remainder was given back when they ended.
    void consume(StreamId stream, std::size_t bytes);

    /// 1xx other than 101, any number of times before submit_response(). False: no such stream or already answered.
    [[nodiscard]] bool submit_informational(StreamId stream, const ResponseHead& head);
    /// The final head. Names are lowered and hop-by-hop fields dropped. With `body`, on_pull() is called until it ends.
    /// When the response ends before the request did, the stream is reset with NO_ERROR (RFC 9113 section 8.1).
    [[nodiscard]] bool submit_response(StreamId stream, const ResponseHead& head, bool body);
    /// on_pull() has something again.
    void resume(StreamId stream);
    /// Ends one stream; on_reset() follows from output(). Never a complete-looking response (internal_error when the
    /// upstream died in the middle).
    void reset(StreamId stream, ErrorCode code);

    /// Graceful (RFC 9113 section 6.8): GOAWAY that announces, and once the client has answered a PING behind it,
    /// GOAWAY with the last stream taken. Streams go on; finished() when they are done.
    void shutdown();
    /// The second GOAWAY at once, for a client that does not answer: streams it opens from now on are refused.
    void shutdown_now();
    /// Ends the connection with this code as soon as output() was sent; no further event is delivered.
    void terminate(ErrorCode code);

    /// Streams between on_request() and on_complete()/on_reset().
    [[nodiscard]] std::size_t open_streams() const noexcept;
    /// What nghttp2 holds for this session now.
    [[nodiscard]] std::size_t memory_bytes() const noexcept;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace sluice::http::http2
