// One worker: the TCP stack, TLS, the proxy and the probes of a core, and what they need from it.
#pragma once

#include "core_context.hpp"
#include "events.hpp"
#include "ip_output.hpp"

#include <sluice/probe/runner.hpp>
#include <sluice/proxy/worker.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/telemetry/record_ring.hpp>

namespace sluice::app {

/// How much of the process's memory one worker may use, in numbers that the start prints.
struct WorkerBudget {
    std::size_t connections = 65536; ///< Plain ones without a request; others weigh more.
    std::size_t tcp_buffer_bytes = 128U << 20U;
    std::size_t proxy_blocks = 4096;
    std::size_t tls_blocks = 1024;
    std::size_t half_open = 16384;
    std::size_t time_wait = 65536;
};

class WorkerUnit final : private tcp::Output, private proxy::Environment, private probe::Environment {
public:
    WorkerUnit(CoreContext& context, IpOutput& output, EventSender& events, telemetry::RecordRing& access_records,
               const WorkerBudget& budget);
    ~WorkerUnit(); ///< Ends every connection.
    WorkerUnit(const WorkerUnit&) = delete;
    WorkerUnit& operator=(const WorkerUnit&) = delete;

    /// Puts the generation of this turn to work, if it is another one.
    void apply(const control::Snapshot& snapshot) noexcept;
    /// A packet that this worker owns: a segment, an ICMP error about one, an answer to a probe. Checksums are verified
    /// here. It is looked at when a burst of them is there, or by run().
    void receive(packet::Packet&& frame, const wire::ParsedPacket& parsed) noexcept;

    /// The rest of a turn: what was received, timers, one private-key operation, handlers within their budget, output.
    /// True when there is more to do at once.
    bool run() noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept;

    [[nodiscard]] tcp::Loop& loop() noexcept { return loop_; }
    [[nodiscard]] tcp::Stack& stack() noexcept { return stack_; }
    [[nodiscard]] proxy::Worker& proxy() noexcept { return proxy_; }
    [[nodiscard]] const tls::BufferPool& tls_buffers() const noexcept { return tls_buffers_; }
    [[nodiscard]] probe::Runner& probes() noexcept { return probes_; }

private:
    [[nodiscard]] std::optional<tcp::Path> find_path(const wire::IpAddress& source,
                                                     const wire::IpAddress& destination) noexcept override;
    [[nodiscard]] packet::Packet allocate(Purpose purpose) noexcept override;
    void transmit(packet::Packet&& packet, const wire::IpAddress& source, const wire::IpAddress& destination,
                  tcp::Path path) noexcept override;
    [[nodiscard]] bool reserved(const wire::Endpoint& local) noexcept override;
    [[nodiscard]] bool udp_reserved(const wire::Endpoint& local) noexcept override;
    [[nodiscard]] std::optional<wire::IpAddress> source_for(const wire::IpAddress& server) noexcept override;
    void record_access(const proxy::AccessRecord& record) noexcept override;
    [[nodiscard]] std::uint64_t own_drops() noexcept override;
    [[nodiscard]] bool port_up(const wire::IpAddress& server) noexcept override;
    [[nodiscard]] bool send_udp(const wire::Endpoint& local, const wire::Endpoint& server,
                                Bytes payload) noexcept override;
    [[nodiscard]] bool send_echo(const wire::IpAddress& local, const wire::IpAddress& server, std::uint16_t identifier,
                                 std::uint16_t sequence) noexcept override;
    void decided(const probe::ServerCheck& check, const health::Decision& decision) noexcept override;

    struct Arrived {
        packet::Packet frame;
        wire::ParsedPacket parsed;
        std::uint32_t prepared = 0; ///< See tcp::Stack::prepare
    };
    void take_arrived() noexcept;
    void take(packet::Packet&& frame, const wire::ParsedPacket& parsed, std::uint32_t prepared) noexcept;
    [[nodiscard]] bool pass_back(packet::Packet& frame, const wire::ParsedPacket& parsed) noexcept;
    void refuse_datagram(std::uint8_t port, Bytes frame, const wire::ParsedPacket& parsed) noexcept;
    void receive_icmp(Bytes frame, const wire::ParsedPacket& parsed) noexcept;

    CoreContext& context_;
    IpOutput& output_;
    EventSender& events_;
    telemetry::RecordRing& access_records_;
    tcp::Loop loop_;
    tcp::ShardPorts ports_;
    tcp::Stack stack_;
    tls::BufferPool tls_buffers_;
    tls::HandshakeGate gate_;
    proxy::Worker proxy_;
    probe::Runner probes_;
    neigh::RateLimit errors_{1000};
    std::vector<Arrived> arrived_;
    std::size_t arrived_count_ = 0;
    std::shared_ptr<const proxy::ProxyPlan> plan_;
    std::shared_ptr<const probe::ProbePlan> probe_plan_;
};

} // namespace sluice::app
