// HTTP/1.1 and HTTP/1.0 without I/O (RFC 9112): heads, framing, bodies, serialisation. Strict in both directions: what
// two implementations could read in two ways is refused with its Reason, so nothing ambiguous reaches an upstream or a
// client.
//
// All parsers take the bytes as they come, consume what belongs to them, and never look at a byte twice: a sender that
// dribbles costs no more than one that does not. One thread at a time.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::http::http1 {

struct HeadLimits {
    std::uint32_t header_bytes = 32 * 1024; ///< Start line and fields with their line ends: 431 above.
    std::uint32_t target_bytes = 8 * 1024;  ///< 414 above.
    std::uint16_t field_count = 128;        ///< 431 above.
};

/// How the end of a body is found (RFC 9112 section 6.3).
struct Framing {
    enum class Kind : std::uint8_t {
        none,        ///< No body.
        length,      ///< `length` bytes; may be 0.
        chunked,     ///< Chunks, then trailers.
        until_close, ///< Responses only.
        tunnel       ///< After 101: bytes of another protocol, both ways, until close.
    };
    Kind kind = Kind::none;
    std::uint64_t length = 0; ///< For Kind::length.

    [[nodiscard]] bool has_body() const noexcept
    {
        return kind != Kind::none && !(kind == Kind::length && length == 0);
    }
    bool operator==(const Framing&) const = default;
};

/// From Content-Length and Transfer-Encoding. Refuses every ambiguity: both together, either twice, anything but one
/// plain number without leading zeros, any coding but one final `chunked`, Transfer-Encoding in HTTP/1.0.
[[nodiscard]] Expected<Framing, Reason> request_framing(Version version, const Fields& fields);
/// Likewise for a response to `request_method`. 1xx, 204, 304 and answers to HEAD have no body whatever they claim;
/// their framing fields are judged all the same.
[[nodiscard]] Expected<Framing, Reason> response_framing(const ResponseHead& head, std::string_view request_method);

enum class Status : std::uint8_t {
    need_more, ///< All of the input was consumed and the message goes on.
    complete,  ///< The end was reached; bytes behind `consumed` belong to what follows.
    refused    ///< reason() says why. The connection cannot be used any further.
};

struct Progress {
    std::size_t consumed = 0;
    Status status = Status::need_more;
};

/// Lines of a head or of a trailer section, shared by the parsers below: finds CRLF, keeps a line that came in parts.
class LineReader {
public:
    struct Line {
        std::size_t consumed = 0;
        bool complete = false;
        bool bare_lf = false;  ///< Complete, but ends with LF alone.
        std::string_view text; ///< Without CRLF; valid until the next call.
    };
    [[nodiscard]] Line next(std::string_view in);
    [[nodiscard]] std::size_t pending() const noexcept { return carried_.size(); }
    void reset() noexcept;

private:
    std::string carried_;
    bool drop_carried_ = false;
};

/// The head of a request: the request line, the fields, and every check that needs both: target form, Host, framing,
/// Expect. One CRLF before the request line is ignored (RFC 9112 section 2.2). After `complete` take head() and
/// framing(), then reset() for the next request of the connection.
class RequestParser {
public:
    explicit RequestParser(const HeadLimits& limits = {}) noexcept : limits_{limits} {}

    [[nodiscard]] Progress feed(Bytes in);
    /// Forgets the message, keeps the memory.
    void reset() noexcept;

    /// Whether a byte of a message has come since reset(): tells an idle connection from a slow request.
    [[nodiscard]] bool started() const noexcept { return consumed_ != 0; }
    /// Complete after Status::complete, and may be moved from; before that as far as it was parsed, for access records.
    [[nodiscard]] RequestHead& head() noexcept { return head_; }
    [[nodiscard]] const RequestHead& head() const noexcept { return head_; }
    [[nodiscard]] const Framing& framing() const noexcept { return framing_; }
    /// `Expect: 100-continue` of a request that has a body: answer 100 before reading on, or a final status instead.
    [[nodiscard]] bool expects_continue() const noexcept { return expects_continue_; }
    [[nodiscard]] Reason reason() const noexcept { return reason_; }

private:
    enum class State : std::uint8_t { start, fields, complete, refused };
    [[nodiscard]] Progress refuse(Reason reason, std::size_t consumed) noexcept;
    [[nodiscard]] Expected<void, Reason> parse_request_line(std::string_view line);
    [[nodiscard]] Expected<void, Reason> parse_target(std::string_view target);
    [[nodiscard]] Expected<void, Reason> finish();
    [[nodiscard]] Expected<void, Reason> resolve_host();

    HeadLimits limits_;
    LineReader lines_;
    RequestHead head_;
    Framing framing_;
    std::uint64_t consumed_ = 0;
    State state_ = State::start;
    Reason reason_{};
    bool skipped_empty_line_ = false;
    bool expects_continue_ = false;
    bool absolute_target_ = false;
};

/// The head of a response. 1xx heads are delivered like others: after an informational one, reset() and feed on.
class ResponseParser {
public:
    explicit ResponseParser(const HeadLimits& limits = {}) noexcept : limits_{limits} {}

    [[nodiscard]] Progress feed(Bytes in);
    void reset() noexcept;

    [[nodiscard]] bool started() const noexcept { return consumed_ != 0; }
    [[nodiscard]] ResponseHead& head() noexcept { return head_; }
    [[nodiscard]] const ResponseHead& head() const noexcept { return head_; }
    [[nodiscard]] Reason reason() const noexcept { return reason_; }

private:
    enum class State : std::uint8_t { start, fields, complete, refused };
    [[nodiscard]] Progress refuse(Reason reason, std::size_t consumed) noexcept;
    [[nodiscard]] Expected<void, Reason> parse_status_line(std::string_view line);

    HeadLimits limits_;
    LineReader lines_;
    ResponseHead head_;
    std::uint64_t consumed_ = 0;
    State state_ = State::start;
    Reason reason_{};
};

/// A body in place: the payload is a piece of the input, never a copy.
///
///     while (!in.empty() && status == need_more) {
///         auto piece = reader.next(in);      // piece.data lies in `in`; empty when only framing was consumed
///         in = in.subspan(piece.consumed);
///     }
class BodyReader {
public:
    struct Piece {
        std::size_t consumed = 0;
        Status status = Status::need_more;
        Bytes data;
    };

    /// A message without a body: complete from the start.
    BodyReader() noexcept = default;
    explicit BodyReader(const Framing& framing, const HeadLimits& trailer_limits = {}) noexcept;

    /// At most one piece of payload a call. Once complete, consumes nothing.
    [[nodiscard]] Piece next(Bytes in);
    /// The peer closed: complete for until_close and tunnel, refused (body_truncated) in the middle of anything else.
    [[nodiscard]] Status finish() noexcept;

    [[nodiscard]] bool complete() const noexcept { return state_ == State::complete; }
    [[nodiscard]] std::uint64_t payload_bytes() const noexcept { return payload_bytes_; }
    /// Trailers of a chunked body once complete.
    [[nodiscard]] Fields& trailers() noexcept { return trailers_; }
    [[nodiscard]] Reason reason() const noexcept { return reason_; }

private:
    enum class State : std::uint8_t {
        complete,
        length,
        until_close,
        chunk_size,
        chunk_extension,
        chunk_size_lf,
        chunk_data,
        chunk_data_cr,
        chunk_data_lf,
        trailers,
        refused
    };
    Piece refuse(Reason reason, std::size_t consumed) noexcept;
    [[nodiscard]] Piece take_data(Bytes in, std::size_t skipped) noexcept;
    [[nodiscard]] bool step_chunk_frame(char byte) noexcept;
    [[nodiscard]] bool end_chunk_head() noexcept;
    [[nodiscard]] Piece next_trailers(Bytes in, std::size_t skipped);

    State state_ = State::complete;
    Reason reason_{};
    std::uint8_t size_digits_ = 0;
    std::uint32_t chunk_head_bytes_ = 0;
    std::uint64_t remaining_ = 0;
    std::uint64_t overhead_bytes_ = 0;
    std::uint64_t payload_bytes_ = 0;
    std::uint32_t trailer_bytes_ = 0;
    HeadLimits limits_;
    LineReader lines_;
    Fields trailers_;
};

/// Whether the connection may carry another message after this one, as far as its sender is concerned (RFC 9112
/// section 9.3). A response that ends with the connection, or a tunnel, needs its own look at the framing.
[[nodiscard]] bool keep_alive(Version version, const Fields& fields) noexcept;
/// RFC 6455 section 4.2.1, the parts that a proxy must know: GET, HTTP/1.1, `Connection: upgrade`, `Upgrade:
/// websocket`, a key, no body. Every other upgrade (h2c above all) is ignored, as remove_hop_by_hop() removes it.
[[nodiscard]] bool is_websocket_upgrade(const RequestHead& head, const Framing& framing) noexcept;
/// Whether a response accepts it: 101 with `Connection: upgrade` and `Upgrade: websocket`.
[[nodiscard]] bool is_websocket_accept(const ResponseHead& head) noexcept;

/// Replaces Content-Length and Transfer-Encoding by what the framing says; none and until_close remove both.
[[nodiscard]] bool set_framing(Fields& fields, const Framing& framing);
/// Connection: upgrade and Upgrade: `protocol`.
[[nodiscard]] bool set_upgrade(Fields& fields, std::string_view protocol);
/// Connection: close, or keep-alive where the peer's version needs it said (HTTP/1.0).
[[nodiscard]] bool set_connection(Fields& fields, bool keep, Version peer_version);

/// Serialisers append. The fields are written as they are, after Host (requests); the caller has removed hop-by-hop
/// fields and set the framing. The version on the wire is always HTTP/1.1.
void append_request_head(std::string& out, const RequestHead& head);
void append_response_head(std::string& out, const ResponseHead& head);
/// `SIZE CRLF` of a chunk of `bytes` > 0; its data and chunk_end follow.
void append_chunk_start(std::string& out, std::uint64_t bytes);
inline constexpr std::string_view chunk_end = "\r\n";
/// The last chunk and the trailers.
void append_last_chunk(std::string& out, const Fields& trailers);
/// A whole answer of our own with a short text body; `close` adds Connection: close.
void append_simple_response(std::string& out, std::uint16_t status, bool close, bool with_body = true);

} // namespace sluice::http::http1
