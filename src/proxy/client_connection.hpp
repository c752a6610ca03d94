// One accepted connection: handshake, choice of protocol, and the loop over its requests. Owner of the loop only.
#pragma once

#include <proxy/core.hpp>
#include <proxy/request.hpp>

#include <boost/intrusive/list.hpp>

namespace sluice::proxy {

class ClientConnection : public AutoUnlink {
public:
    /// Told when the worker drains; set by whoever speaks the connection's protocol.
    class Protocol {
    public:
        /// Ends the connection after what is under way; idle ones at once.
        virtual void drain() noexcept = 0;

    protected:
        ~Protocol() = default;
    };

    ClientConnection(Core& core, ServiceRef service, tcp::Stream stream);
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;
    ~ClientConnection();

    Core& core;
    ServiceRef service;
    Transport transport;
    Input input;
    const wire::Endpoint client;
    const wire::Endpoint local;

    /// Serves the connection to its end and destroys it.
    static tcp::Awaitable<void> run(std::unique_ptr<ClientConnection> self);

    /// Takes what is under way, or a request that is still on its way, to its end.
    void drain() noexcept;
    void abort() noexcept { transport.abort(); }
    void set_protocol(Protocol* protocol) noexcept { protocol_ = protocol; }
    /// This connection should not take another request.
    [[nodiscard]] bool ending() const noexcept { return draining_ || service->removed(); }
    /// Accepted while the worker drains: its first request is waited for and served, and told to close.
    void serve_once() noexcept;
    /// drain() met it: it was accepted before.
    [[nodiscard]] bool leaving() const noexcept { return leaving_; }
    /// While no request is at hand: the connection may be closed.
    [[nodiscard]] bool may_go() const noexcept;
    /// The input is waited for until `idle_until`, or for a shorter time when the connection is ending.
    void expect_request(TimePoint idle_until) noexcept;

    [[nodiscard]] RequestContext context(TimePoint first_byte) const;
    /// A record for what never became a request.
    void log_refusal(const ServicePlan& plan, Outcome outcome, std::optional<http::Reason> reason,
                     const http::RequestHead* head, std::uint16_t status, TimePoint first_byte);

private:
    [[nodiscard]] tcp::Awaitable<void> serve();
    [[nodiscard]] tcp::Awaitable<bool> handshake();
    [[nodiscard]] tcp::Awaitable<void> refuse_clear_text();
    [[nodiscard]] tcp::Awaitable<bool> speaks_http2();

    Protocol* protocol_ = nullptr;
    TimePoint request_due_{}; ///< While it is draining: who has sent nothing by then is idle.
    bool draining_ = false;
    bool leaving_ = false;
};

using ClientList = boost::intrusive::list<ClientConnection, boost::intrusive::constant_time_size<false>>;

/// http1_session.cpp.
[[nodiscard]] tcp::Awaitable<void> serve_http1(ClientConnection& connection);
/// http2_session.cpp.
[[nodiscard]] tcp::Awaitable<void> serve_http2(ClientConnection& connection);

} // namespace sluice::proxy
