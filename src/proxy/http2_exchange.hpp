// HTTP/2 towards clients: the session of a connection, and a request on one of its streams. Owner of the loop only.
#pragma once

#include <proxy/client_connection.hpp>
#include <proxy/exchange.hpp>
#include <sluice/http/http2.hpp>

#include <deque>
#include <unordered_map>

namespace sluice::proxy {

class Http2Session;

class Http2Exchange final : public Exchange {
public:
    Http2Exchange(Http2Session& session, http::http2::StreamId id, http::RequestHead&& head, bool end);

    [[nodiscard]] http::http2::StreamId id() const noexcept { return id_; }
    [[nodiscard]] TimePoint first_byte() const noexcept { return first_byte_; }
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    /// The request is done with: what is unfinished on the stream is reset.
    void end() noexcept;

    // From the session.
    void on_data(Bytes data);
    void on_end(http::Fields&& trailers);
    [[nodiscard]] http::http2::BodyPiece on_pull(MutableBytes out) noexcept;
    void on_complete() noexcept;
    void on_reset() noexcept;
    void on_refused(http::Reason reason) noexcept;

    [[nodiscard]] http::RequestHead& request() noexcept override { return head_; }
    [[nodiscard]] http::http1::Framing request_framing() const noexcept override { return framing_; }
    [[nodiscard]] tcp::Awaitable<BodyPiece> read_body() override;
    [[nodiscard]] bool body_at_hand() const noexcept override { return !body_.empty() || ended_; }
    void consume_body() noexcept override;
    [[nodiscard]] const http::Fields& trailers() const noexcept override { return trailers_; }
    [[nodiscard]] bool body_complete() const noexcept override { return ended_ && body_.empty(); }
    void interrupt_body() noexcept override;

    [[nodiscard]] tcp::Awaitable<bool> send_informational(const http::ResponseHead& head) override;
    void send_head(http::ResponseHead& head, const http::http1::Framing& framing) override;
    [[nodiscard]] tcp::Awaitable<bool> flush() override;
    [[nodiscard]] tcp::Awaitable<bool> send_body(Bytes data) override;
    [[nodiscard]] tcp::Awaitable<bool> finish(const http::Fields* trailers) override;
    void abort() noexcept override;
    [[nodiscard]] ClientLeg* take_over() noexcept override { return nullptr; }

private:
    /// Waits until `sent_` is said, the stream ends, or the client takes nothing for too long.
    [[nodiscard]] tcp::Awaitable<bool> wait_for_client();

    Http2Session& session_;
    Holding holding_;
    http::http2::StreamId id_;
    http::RequestHead head_;
    http::http1::Framing framing_;
    TimePoint first_byte_;

    /// What came and was not consumed yet; at most the stream's window. A chunk is as large as a block from the start,
    /// so a piece of it that is on its way upstream stays where it is while more arrives.
    struct Chunk {
        Holding holding;
        std::string text;
    };
    std::deque<Chunk> body_;
    std::size_t taken_ = 0; ///< Of the first chunk
    std::size_t piece_bytes_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t body_limit_;
    http::Fields trailers_;
    bool ended_ = false;
    bool interrupted_ = false;
    bool refused_ = false;

    Bytes pending_; ///< Of the response, until the session has pulled it.
    const http::Fields* response_trailers_ = nullptr;
    bool answered_ = false;
    bool silent_ = false;
    bool finishing_ = false;
    bool completed_ = false;
    bool closed_ = false;

    Signal body_changed_;
    Signal response_changed_;
    Deadline body_deadline_;
    Deadline response_deadline_;
};

class Http2Session final : private http::http2::Handler, private ClientConnection::Protocol {
public:
    explicit Http2Session(ClientConnection& connection);
    ~Http2Session() override;

    [[nodiscard]] tcp::Awaitable<void> run();

private:
    friend class Http2Exchange;

    [[nodiscard]] tcp::Awaitable<void> read_input();
    [[nodiscard]] tcp::Awaitable<void> write_output();
    [[nodiscard]] tcp::Awaitable<void> serve(std::unique_ptr<Http2Exchange> exchange);
    void set_idle_deadline();
    void begin_shutdown();
    void drain() noexcept override;
    [[nodiscard]] Http2Exchange* find(http::http2::StreamId stream) noexcept;
    [[nodiscard]] TimePoint now() const noexcept { return connection_.core.parts.loop.now(); }

    void on_request(http::http2::StreamId stream, http::RequestHead& head, bool end) override;
    void on_data(http::http2::StreamId stream, Bytes data) override;
    void on_end(http::http2::StreamId stream, http::Fields& trailers) override;
    http::http2::BodyPiece on_pull(http::http2::StreamId stream, MutableBytes out) override;
    void on_complete(http::http2::StreamId stream) override;
    void on_reset(http::http2::StreamId stream, http::http2::ErrorCode code) override;
    void on_refused(http::http2::StreamId stream, http::Reason reason, const http::RequestHead* head) override;

    ClientConnection& connection_;
    http::http2::ServerSession session_;
    Signal writable_;
    Signal quiet_;
    std::unordered_map<http::http2::StreamId, Http2Exchange*> streams_; ///< Owned by the coroutines that serve them.
    bool over_ = false;
    bool writing_ = false;
    bool flushed_ = false;
    bool write_failed_ = false;
    bool shutting_down_ = false;
    TimePoint shutdown_due_ = never; ///< No new streams from then on, whatever the client says.
};

} // namespace sluice::proxy
