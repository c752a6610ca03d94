// One request and its response on the client's side. HTTP/1 and HTTP/2 implement it; the life of a request is written
// once, above it. Owner of the loop only.
#pragma once

#include <proxy/transport.hpp>
#include <sluice/http/http1.hpp>
#include <sluice/http/message.hpp>
#include <sluice/proxy/outcome.hpp>
#include <sluice/tcp/awaitable.hpp>

namespace sluice::proxy {

/// A piece of a request body.
struct BodyPiece {
    Bytes data;                      ///< Valid until consume_body(); may be empty at the end.
    bool end = false;                ///< The body is complete with this piece; trailers are known.
    Outcome outcome = Outcome::none; ///< Why there is no piece. Outcome::stopped: interrupt_body() was called.
};

/// The byte stream under an HTTP/1 request, for an upgrade.
struct ClientLeg {
    Transport& transport;
    Input& input;
};

class Exchange {
public:
    /// Told when the client leaves while its request is served. Must only cancel and notify.
    class Observer {
    public:
        virtual void client_left() noexcept = 0;

    protected:
        ~Observer() = default;
    };

    explicit Exchange(Duration stall) noexcept : stall_{stall} {}
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    // The request.

    [[nodiscard]] virtual http::RequestHead& request() noexcept = 0;
    /// none, length or chunked: what an HTTP/1.1 upstream must be told.
    [[nodiscard]] virtual http::http1::Framing request_framing() const noexcept = 0;
    /// The next piece of the body; the one before must have been consumed. Fails when the client leaves, stalls, breaks
    /// a rule or sends more than it may.
    [[nodiscard]] virtual tcp::Awaitable<BodyPiece> read_body() = 0;
    /// Something of the body, or its end, can be read without waiting.
    [[nodiscard]] virtual bool body_at_hand() const noexcept = 0;
    /// The piece has gone upstream: lets the client send more.
    virtual void consume_body() noexcept = 0;
    [[nodiscard]] virtual const http::Fields& trailers() const noexcept = 0;
    [[nodiscard]] virtual bool body_complete() const noexcept = 0;
    /// Ends a pending read_body() with Outcome::stopped; a later one goes on where it was.
    virtual void interrupt_body() noexcept = 0;

    // The response. Each returns false when the client cannot be reached any more.

    [[nodiscard]] virtual tcp::Awaitable<bool> send_informational(const http::ResponseHead& head) = 0;
    /// Hop-by-hop fields are removed already; the framing is that of the upstream's response, Content-Length included.
    /// The head may wait for the first piece of the body: flush() when there is none yet.
    virtual void send_head(http::ResponseHead& head, const http::http1::Framing& framing) = 0;
    [[nodiscard]] virtual tcp::Awaitable<bool> flush() = 0;
    [[nodiscard]] virtual tcp::Awaitable<bool> send_body(Bytes data) = 0;
    [[nodiscard]] virtual tcp::Awaitable<bool> finish(const http::Fields* trailers) = 0;
    /// The response stays incomplete, and the client can tell.
    virtual void abort() noexcept = 0;

    /// For an upgrade; null where there is none (HTTP/2). The connection is the caller's from then on.
    [[nodiscard]] virtual ClientLeg* take_over() noexcept = 0;

    void observe(Observer* observer) noexcept { observer_ = observer; }
    [[nodiscard]] bool client_gone() const noexcept { return gone_; }
    /// The client stopped taking the response: what it got stays incomplete.
    [[nodiscard]] bool client_stalled() const noexcept { return stalled_; }
    /// Which rule a body broke; valid after Outcome::malformed.
    [[nodiscard]] http::Reason reason() const noexcept { return reason_; }

protected:
    void set_gone() noexcept
    {
        gone_ = true;
        if (observer_ != nullptr) {
            observer_->client_left();
        }
    }

    Observer* observer_ = nullptr;
    Duration stall_; ///< The service's `body` timeout, for both directions.
    http::Reason reason_{};
    bool gone_ = false;
    bool stalled_ = false;
};

} // namespace sluice::proxy
