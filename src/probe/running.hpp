// One check as it runs, and what the kinds of probes share.
#pragma once

#include <sluice/base/random.hpp>
#include <sluice/base/timer_wheel.hpp>
#include <sluice/probe/runner.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/timer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <cstdint>
#include <optional>
#include <unordered_map>

namespace sluice::probe {

inline constexpr auto as_result = boost::asio::as_tuple(tcp::use_awaitable);

/// Ends whatever operation a probe waits for: because its time is over, or because the check has gone.
class ProbeDeadline final : private TimerNode {
public:
    ProbeDeadline(tcp::Loop& loop, TimePoint when) noexcept : TimerNode{&ProbeDeadline::on_timer}, when_{when}
    {
        loop.timers().arm(*this, when);
    }

    [[nodiscard]] auto token() { return boost::asio::bind_cancellation_slot(signal_.slot(), as_result); }
    void cancel() noexcept
    {
        over_ = true;
        signal_.emit(boost::asio::cancellation_type::terminal);
    }
    [[nodiscard]] bool expired() const noexcept { return expired_; }
    /// No further operation may begin.
    [[nodiscard]] bool over() const noexcept { return over_; }
    [[nodiscard]] TimePoint when() const noexcept { return when_; }

private:
    static void on_timer(TimerNode& node, TimePoint) noexcept
    {
        auto& self = static_cast<ProbeDeadline&>(node);
        self.expired_ = true;
        self.cancel();
    }

    boost::asio::cancellation_signal signal_;
    TimePoint when_;
    bool expired_ = false;
    bool over_ = false;
};

/// A port whose last probe of the same server is still in TIME_WAIT, or that a service of ours has, is passed over.
inline constexpr int port_attempts = 8;

/// A datagram probe that waits for its answer.
struct PendingDatagram {
    wire::IpAddress server;
    std::uint16_t server_port = 0; ///< 0: an echo
    std::uint16_t sequence = 0;
    const std::optional<std::string>* expect = nullptr;
    std::optional<health::Reason> reason; ///< Set when the answer has come.
    tcp::Timer* wake = nullptr;
};

/// The slice of local ports, taken in turn.
class PortSlice {
public:
    /// Starts anywhere in the range: after a restart servers may still have the ports of the life before in TIME_WAIT.
    PortSlice(flow::local_ports::Range range, std::uint64_t shards, Random& random) noexcept
        : range_{range}, shards_{shards}, next_{static_cast<std::uint16_t>(
                                              range.first + random.below(range.last - range.first + std::uint64_t{1}))}
    {
    }
    [[nodiscard]] std::uint16_t take() noexcept;

private:
    flow::local_ports::Range range_;
    std::uint64_t shards_;
    std::uint16_t next_;
};

struct Shared {
    explicit Shared(const RunnerParts& runner_parts, const RunnerOptions& options)
        : parts{runner_parts}, random{options.random_seed}, ports{options.ports, options.shards, random}
    {
    }

    RunnerParts parts;
    Random random;
    PortSlice ports;
    std::uint16_t sequence = 0;
    std::unordered_map<std::uint16_t, PendingDatagram*> datagrams; ///< By local port or identifier.
};

/// http, https and tcp: stream_probe.cpp.
[[nodiscard]] tcp::Awaitable<health::Reason> probe_stream(Shared& shared, const ServerCheck& check,
                                                          ProbeDeadline& deadline, std::uint16_t& status);
/// icmp and udp: datagram_probe.cpp.
[[nodiscard]] tcp::Awaitable<health::Reason> probe_datagram(Shared& shared, const ServerCheck& check,
                                                            ProbeDeadline& deadline);

} // namespace sluice::probe
