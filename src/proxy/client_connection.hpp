// One accepted connection: handshake, choice of protocol, and the loop over its requests. Owner of the loop only.
//
// While a connection serves, it is a chain of coroutines. One that has been idle for a moment is parked: nothing is
// left but this object, its stream and one outstanding wait, and whatever happens to it (bytes, its end, its deadline,
// a drain) starts the coroutines again. That is what lets a worker hold a million of them.
#pragma once

#include <proxy/core.hpp>
#include <proxy/request.hpp>

#include <boost/intrusive/list.hpp>

namespace sluice::proxy {

class ClientConnection final : public AutoUnlink, public Waiter, private Input::Watcher, private tcp::Task {
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

    /// Serves the connection to its end; from then on it belongs to itself. It stays the caller's when memory runs out.
    static void start(std::unique_ptr<ClientConnection>&& connection);

    /// Takes what is under way, or a request that is still on its way, to its end.
    void drain() noexcept;
    void abort() noexcept
    {
        transport.abort();
        input.abandon();
    }
    void evict() noexcept override { abort(); }
    /// No whole request is at hand: it may have to make room for others.
    void begin_waiting() noexcept { core.waiters.add(*this, core.parts.loop.now()); }
    void end_waiting() noexcept { Waiters::remove(*this); }
    void set_protocol(Protocol* protocol) noexcept { protocol_ = protocol; }
    /// This connection should not take another request.
    [[nodiscard]] bool ending() const noexcept { return draining_ || service->removed(); }
    /// Accepted while the worker drains: its first request is waited for and served, and told to close.
    void serve_once() noexcept;
    /// drain() met it: it was accepted before.
    [[nodiscard]] bool leaving() const noexcept { return leaving_; }
    /// While no request is at hand: the connection may be closed.
    [[nodiscard]] bool may_go() const noexcept;
    /// The time without a request begins.
    void begin_idle() noexcept;

    enum class Idle : std::uint8_t { data, over, park };
    /// Waits for the first byte of a request: it came, the connection is to be closed, or it is to be parked.
    [[nodiscard]] tcp::Awaitable<Idle> wait_for_request();

    [[nodiscard]] RequestContext context(TimePoint first_byte) const;
    /// A record for what never became a request.
    void log_refusal(const ServicePlan& plan, Outcome outcome, std::optional<http::Reason> reason,
                     const http::RequestHead* head, std::uint16_t status, TimePoint first_byte);

private:
    enum class Stage : std::uint8_t { handshake, preface, http1, http2 };

    static tcp::Awaitable<void> run(ClientConnection* connection);
    static void on_resume(tcp::Task* task, bool run);
    void input_changed() noexcept override { resume(); }
    void input_woken() noexcept override { resume(); }
    void park() noexcept;
    void resume() noexcept;

    /// True when it is to be parked, false at its end.
    [[nodiscard]] tcp::Awaitable<bool> serve();
    [[nodiscard]] tcp::Awaitable<bool> handshake();
    [[nodiscard]] tcp::Awaitable<void> refuse_clear_text();
    [[nodiscard]] tcp::Awaitable<Idle> read_preface();

    Holding holding_;
    std::optional<Holding> session_;
    std::optional<Holding> handshake_;
    Protocol* protocol_ = nullptr;
    TimePoint idle_until_ = never;
    TimePoint request_due_{}; ///< While it is draining: who has sent nothing by then is idle.
    Stage stage_ = Stage::handshake;
    bool draining_ = false;
    bool leaving_ = false;
    bool parked_ = false;
};

using ClientList = boost::intrusive::list<ClientConnection, boost::intrusive::constant_time_size<false>>;

/// http1_session.cpp. True when the connection is to be parked.
[[nodiscard]] tcp::Awaitable<bool> serve_http1(ClientConnection& connection);
/// http2_session.cpp.
[[nodiscard]] tcp::Awaitable<void> serve_http2(ClientConnection& connection);

} // namespace sluice::proxy
