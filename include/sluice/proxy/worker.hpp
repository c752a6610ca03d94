// The HTTP proxy of one worker core: listeners, client connections, connections to servers. Everything is called on the
// worker's own thread, inside its turns.
#pragma once

#include <sluice/http/reason.hpp>
#include <sluice/proxy/access_record.hpp>
#include <sluice/proxy/outcome.hpp>
#include <sluice/proxy/plan.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/tls/buffer_pool.hpp>
#include <sluice/tls/handshake_gate.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

namespace sluice::proxy {

/// What the worker gives the proxy to live on. Implemented by `app` and by tests.
class Environment {
public:
    virtual ~Environment() = default;
    /// The address of ours from which this server is reached; nothing when no route leads there.
    [[nodiscard]] virtual std::optional<wire::IpAddress> source_for(const wire::IpAddress& server) noexcept = 0;
    /// Takes a copy, or counts that it could not. Once per request.
    virtual void record_access(const AccessRecord& record) noexcept = 0;
};

/// What connections and requests hold beside buffers, by kind; each has its weight (proxy/holdings.hpp).
enum class Held : std::uint8_t {
    client,      ///< A connection of a client
    tls_session, ///< More, when it speaks TLS
    handshake,   ///< More, until its TLS handshake is done
    request,     ///< In progress, from its first byte on
    large_head,  ///< More, when its header is long
    body,        ///< 16 KiB of an HTTP/2 request's body that no server has taken yet
    upstream,    ///< A connection to a server
};
inline constexpr std::size_t held_kinds = 7;
/// How much a plain connection may take of WorkerOptions::connection_bytes.
inline constexpr std::size_t connection_weight = 2048;

struct WorkerOptions {
    std::size_t core = 0; ///< Index into the servers' counters.
    /// For what connections and requests hold beside buffers, see Held. When it is used up, who has waited longest
    /// without a request is reset for who is new.
    std::size_t connection_bytes = 256U << 20U;
    std::size_t block_limit = 16'384;        ///< Blocks of 16 KiB for heads and bodies in flight.
    std::size_t idle_limit_per_server = 256; ///< Idle connections kept to one server.
    std::uint64_t random_seed = 1;
};

/// References that must outlive the proxy; all of one core.
struct WorkerParts {
    tcp::Loop& loop;
    tcp::Stack& stack;
    tls::BufferPool& tls_buffers;
    tls::HandshakeGate& handshake_gate;
    telemetry::CoreCounters& counters;
    Environment& environment;
};

struct WorkerUsage {
    std::size_t client_connections = 0;
    std::size_t parked = 0;   ///< Those among them that are idle and hold no coroutine
    std::size_t leaving = 0;  ///< Those among them that a drain met
    std::size_t requests = 0; ///< In progress, tunnels included
    std::size_t upstream_connections = 0;
    std::size_t upstream_idle = 0;
    std::size_t blocks = 0;
    std::size_t block_limit = 0;
    std::array<std::size_t, held_kinds> held{}; ///< How many of each kind
    std::size_t held_bytes = 0;                 ///< Their weights
    std::size_t held_limit = 0;
    std::size_t plans = 0; ///< Service plans of any generation that something still refers to
};

/// How requests ended. Written by the worker, read by any thread.
class OutcomeCounters {
public:
    void count(Outcome outcome) noexcept { cells_[static_cast<std::size_t>(outcome)].add(); }
    [[nodiscard]] std::uint64_t get(Outcome outcome) const noexcept
    {
        return cells_[static_cast<std::size_t>(outcome)].get();
    }

private:
    alignas(64) std::array<telemetry::Cell, outcome_count> cells_{};
};

class Worker {
public:
    Worker(const WorkerParts& parts, const WorkerOptions& options);
    /// Every connection must have ended: abort_all(), then turns of the loop until usage() is zero.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Takes a generation. Listeners appear and go; connections stay and see the new plan at their next request; those
    /// of a service that is gone finish what they do. False when an endpoint could not be listened on.
    bool apply(const ProxyPlan& plan);

    /// No new requests: HTTP/1.1 responses say `Connection: close`, HTTP/2 connections get GOAWAY, idle ones are closed
    /// (those that have had no request yet a second later: it may be on its way). Listeners go on accepting: who still
    /// arrives here is served, one request a connection.
    void drain() noexcept;
    /// The same for the connections to one of our addresses, without a word about those that come later.
    void drain(const wire::IpAddress& local) noexcept;
    /// Back to normal after a handover.
    void undrain() noexcept;
    /// Resets what drain() has met and is still open; requests are recorded with `stopped`. Who came later is served.
    void abort_leaving() noexcept;
    /// Resets all that is open.
    void abort_all() noexcept;

    [[nodiscard]] WorkerUsage usage() const noexcept;
    [[nodiscard]] const http::ReasonCounters& reasons() const noexcept;
    [[nodiscard]] const OutcomeCounters& outcomes() const noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace sluice::proxy
