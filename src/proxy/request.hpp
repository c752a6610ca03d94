// The life of one request, from its complete header to its access record. docs/proxy.md draws it; the boxes of the
// chart are the functions here. Owner of the loop only.
#pragma once

#include <proxy/core.hpp>
#include <proxy/exchange.hpp>
#include <proxy/headers.hpp>
#include <proxy/route.hpp>

namespace sluice::proxy {

/// What the connection knows before a request is served.
struct RequestContext {
    PlanRef plan;
    ClientView view;
    TimePoint first_byte; ///< Of the request.
};

class Request final : private Exchange::Observer {
public:
    Request(Core& core, Exchange& exchange, const RequestContext& context);
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request();

    /// Serves it to its end, whatever that is; every path ends in log().
    [[nodiscard]] tcp::Awaitable<void> serve();

private:
    // request.cpp: everything but the servers
    void begin_record();
    [[nodiscard]] tcp::Awaitable<void> redirect(const Redirect& redirect);
    [[nodiscard]] tcp::Awaitable<void> respond(std::uint16_t status, std::string_view content_type,
                                               std::string_view body, std::string_view location);
    [[nodiscard]] tcp::Awaitable<void> refuse(Outcome outcome);
    void log() noexcept;
    void client_left() noexcept override;

    // forward.cpp: choosing servers, sending the request
    [[nodiscard]] tcp::Awaitable<void> forward(const std::shared_ptr<const Pool>& pool);
    [[nodiscard]] bool prepare(const Pool& pool);
    [[nodiscard]] tcp::Awaitable<Outcome> attempt(const std::shared_ptr<health::Server>& identity);
    [[nodiscard]] tcp::Awaitable<Outcome> connect_or_reuse(ServerConnections& server, bool fresh);
    [[nodiscard]] tcp::Awaitable<Outcome> converse();
    [[nodiscard]] tcp::Awaitable<void> send_request();
    [[nodiscard]] tcp::Awaitable<void> send_body();
    [[nodiscard]] tcp::Awaitable<bool> send_piece(std::string& prefix, Bytes data, bool end);
    [[nodiscard]] tcp::Awaitable<void> stop_sending();
    void retain(Bytes data);
    void remember_failure(const health::Server& server, Outcome outcome, Duration duration) noexcept;
    [[nodiscard]] AttemptState state_after(Outcome outcome) const noexcept;

    // relay.cpp: the response
    [[nodiscard]] tcp::Awaitable<Outcome> receive_head();
    [[nodiscard]] tcp::Awaitable<Outcome> relay_response();
    [[nodiscard]] tcp::Awaitable<Outcome> relay_body(http::http1::Framing framing);
    [[nodiscard]] Outcome failure_of_wait() const noexcept;
    [[nodiscard]] Outcome client_failure() const noexcept;

    // tunnel.cpp: bytes of another protocol
    [[nodiscard]] tcp::Awaitable<Outcome> tunnel();

    [[nodiscard]] TimePoint now() const noexcept { return core_.parts.loop.now(); }

    Core& core_;
    Exchange& exchange_;
    PlanRef plan_;
    ClientView view_;
    const Route* route_ = nullptr; ///< Into the plan.

    // What all attempts share.
    std::string request_text_; ///< The head as servers get it.
    PoolTimeouts timeouts_;
    std::uint32_t attempts_ = 0;
    std::uint32_t retries_ = 0;
    bool idempotent_ = false;
    bool websocket_ = false;
    BlockPool::Block retained_; ///< The body as far as it was taken from the client, for another attempt.
    std::size_t retained_bytes_ = 0;
    bool replayable_ = true;

    // The attempt under way.
    UpstreamConnections::Connection upstream_;
    ConnectCanceller* connecting_ = nullptr;
    Signal sending_done_;
    bool sending_ = false;      ///< send_request() runs beside us.
    bool stop_sending_ = false; ///< It shall end.
    bool sent_all_ = false;
    bool sent_any_ = false;
    bool response_began_ = false;            ///< A byte of a response came.
    bool response_started_ = false;          ///< The client has been given the final head.
    bool reusable_ = false;                  ///< The server's connection may carry another request.
    bool tunnelled_ = false;                 ///< The plan has been given back.
    Outcome sending_failed_ = Outcome::none; ///< The client's part of the upload failed.

    AccessRecord record_;
    TimePoint stage_;
};

} // namespace sluice::proxy
