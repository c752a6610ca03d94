// A request and its response over HTTP/1. Reused for the requests of a connection and, by the worker, across
// connections.
#pragma once

#include <proxy/client_connection.hpp>
#include <proxy/exchange.hpp>

namespace sluice::proxy {

class Http1Exchange final : public Exchange, private Input::Watcher {
public:
    explicit Http1Exchange(ClientConnection& connection);

    enum class Head : std::uint8_t { complete, refused, timed_out, gone };
    /// Reads a request header. `deadline` is already running on the input.
    [[nodiscard]] tcp::Awaitable<Head> read_head();
    [[nodiscard]] const http::http1::RequestParser& parser() const noexcept { return parser_; }
    [[nodiscard]] TimePoint first_byte() const noexcept { return first_byte_; }

    /// Between read_head() and serving: how the body ends, and from when on the client is watched.
    void begin_body(std::uint64_t body_limit);
    /// Before the next read_head(): nothing of the last request is left.
    void end_request() noexcept;
    /// The connection may carry another request.
    [[nodiscard]] bool keep() const noexcept { return keep_ && !gone_; }
    [[nodiscard]] bool response_begun() const noexcept { return head_queued_; }

    [[nodiscard]] http::RequestHead& request() noexcept override { return parser_.head(); }
    [[nodiscard]] http::http1::Framing request_framing() const noexcept override { return parser_.framing(); }
    [[nodiscard]] tcp::Awaitable<BodyPiece> read_body() override;
    [[nodiscard]] bool body_at_hand() const noexcept override
    {
        return body_.complete() || !connection_.input.data().empty();
    }
    void consume_body() noexcept override;
    [[nodiscard]] const http::Fields& trailers() const noexcept override
    {
        return const_cast<http::http1::BodyReader&>(body_).trailers();
    }
    [[nodiscard]] bool body_complete() const noexcept override { return body_.complete(); }
    void interrupt_body() noexcept override;

    [[nodiscard]] tcp::Awaitable<bool> send_informational(const http::ResponseHead& head) override;
    void send_head(http::ResponseHead& head, const http::http1::Framing& framing) override;
    [[nodiscard]] tcp::Awaitable<bool> flush() override;
    [[nodiscard]] tcp::Awaitable<bool> send_body(Bytes data) override;
    [[nodiscard]] tcp::Awaitable<bool> finish(const http::Fields* trailers) override;
    void abort() noexcept override;
    [[nodiscard]] ClientLeg* take_over() noexcept override;

private:
    void input_changed() noexcept override;
    void watch_if_complete() noexcept;
    [[nodiscard]] tcp::Awaitable<bool> write(Transport::Pieces pieces);

    ClientConnection& connection_;
    Holding holding_;
    std::optional<Holding> large_head_;
    std::size_t head_bytes_ = 0;
    ClientLeg leg_;
    http::http1::RequestParser parser_;
    http::http1::BodyReader body_;
    std::uint64_t body_limit_ = unlimited;
    std::size_t piece_bytes_ = 0; ///< Of the input, under the piece that was given out.
    std::string unsent_;          ///< A head that waits for the first piece of the body.
    TimePoint first_byte_;
    http::http1::Framing framing_; ///< Of the response, towards this client.
    bool silent_ = false;          ///< The response has no content whatever its header says.
    bool keep_ = false;
    bool client_keeps_ = false;
    bool head_queued_ = false;
    bool interrupted_ = false;
};

} // namespace sluice::proxy
