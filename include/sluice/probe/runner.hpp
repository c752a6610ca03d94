// Runs health checks on a worker, over the data plane's own stack: what is probed is the path that traffic takes. Owner
// thread of the loop only.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/flow/flow.hpp>
#include <sluice/health/check.hpp>
#include <sluice/probe/plan.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/tls/buffer_pool.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace sluice::probe {

/// What the worker gives its probes. Implemented by `app` and by tests; called on the loop's thread.
class Environment {
public:
    virtual ~Environment() = default;

    /// The address of ours from which this server is reached; nothing when no route leads there.
    [[nodiscard]] virtual std::optional<wire::IpAddress> source_for(const wire::IpAddress& server) noexcept = 0;
    /// A number that grows whenever something of ours (port, ring, buffer pool) has dropped packets: a timeout
    /// meanwhile says nothing about the server.
    [[nodiscard]] virtual std::uint64_t own_drops() noexcept = 0;
    /// Whether the port that leads to this server is up.
    [[nodiscard]] virtual bool port_up(const wire::IpAddress& server) noexcept = 0;

    /// Whether a UDP service of ours answers at this endpoint: no probe may be sent from there.
    [[nodiscard]] virtual bool udp_reserved(const wire::Endpoint& local) noexcept = 0;
    /// Sends one UDP packet; false when it could not be sent for a reason of ours.
    [[nodiscard]] virtual bool send_udp(const wire::Endpoint& local, const wire::Endpoint& server,
                                        Bytes payload) noexcept = 0;
    /// Sends one echo request; the identifier is a port of the slice, so the reply comes back to this worker.
    [[nodiscard]] virtual bool send_echo(const wire::IpAddress& local, const wire::IpAddress& server,
                                         std::uint16_t identifier, std::uint16_t sequence) noexcept = 0;

    /// A check has changed its mind; the server's live word says so already. For events.
    virtual void decided(const ServerCheck& check, const health::Decision& decision) noexcept = 0;
};

struct RunnerOptions {
    flow::local_ports::Range ports = flow::local_ports::probes;
    std::uint64_t shards = ~std::uint64_t{0}; ///< Bit s: ports with port mod 64 = s are ours.
    std::uint64_t random_seed = 1;
};

/// References that must outlive the runner; all of one core.
struct RunnerParts {
    tcp::Loop& loop;
    tcp::Stack& stack;
    tls::BufferPool& tls_buffers;
    Environment& environment;
};

class Runner {
public:
    Runner(const RunnerParts& parts, const RunnerOptions& options);
    /// stop() first, then turns of the loop until idle().
    ~Runner();
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    /// The checks that this worker owns from now on. Those of known servers keep their state; others begin with a probe
    /// at once. A check that goes leaves its server's status as it is: whoever took it away decides what follows.
    void apply(const ProbePlan& plan);
    void stop() noexcept;
    /// No check is listed and no probe is under way.
    [[nodiscard]] bool idle() const noexcept;

    /// A UDP packet for a local port of the slice.
    /// False when no probe has this port: the sender is told so.
    bool udp_received(std::uint16_t local_port, const wire::Endpoint& from, Bytes payload) noexcept;
    /// An echo reply.
    void echo_received(std::uint16_t identifier, const wire::IpAddress& from, std::uint16_t sequence) noexcept;
    /// An ICMP error about a UDP packet or echo request from this local port or identifier.
    void unreachable(std::uint16_t local_port, const wire::IpAddress& server) noexcept;

    /// Whether every check has decided at least once: no address is taken before.
    [[nodiscard]] bool all_decided() const noexcept;
    /// For `sluicectl servers`.
    void visit(const std::function<void(const ServerCheck&, const health::Check&)>& visitor) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace sluice::probe
