#include <probe/running.hpp>

namespace sluice::probe {

using health::Reason;

namespace {

/// Keeps the pending probe where received packets find it.
class Registered {
public:
    Registered(Shared& shared, std::uint16_t port, PendingDatagram& pending) : shared_{shared}, port_{port}
    {
        added_ = shared_.datagrams.try_emplace(port, &pending).second;
    }
    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;
    ~Registered()
    {
        if (added_) {
            shared_.datagrams.erase(port_);
        }
    }
    [[nodiscard]] bool added() const noexcept { return added_; }

private:
    Shared& shared_;
    std::uint16_t port_;
    bool added_ = false;
};

} // namespace

std::uint16_t PortSlice::take() noexcept
{
    for (unsigned step = 0; step <= flow::shard_count; ++step) {
        const std::uint16_t port = next_;
        next_ = next_ == range_.last ? range_.first : static_cast<std::uint16_t>(next_ + 1);
        if ((shards_ >> (port % flow::shard_count) & 1U) != 0) {
            return port;
        }
    }
    return 0;
}

tcp::Awaitable<Reason> probe_datagram(Shared& shared, const ServerCheck& check, ProbeDeadline& deadline)
{
    Environment& environment = shared.parts.environment;
    const auto source = environment.source_for(check.target.address);
    if (!source) {
        co_return Reason::unreachable;
    }
    tcp::Timer answer{shared.parts.loop.get_executor()};
    answer.expires_at(never);
    const auto* udp = std::get_if<UdpProbe>(&check.method);
    std::uint16_t local_port = shared.ports.take();
    for (int attempt = 1; attempt < port_attempts && udp != nullptr && environment.udp_reserved({*source, local_port});
         ++attempt) {
        local_port = shared.ports.take();
    }
    PendingDatagram pending;
    pending.server = check.target.address;
    pending.server_port = udp != nullptr ? check.target.port : std::uint16_t{0};
    pending.sequence = ++shared.sequence;
    pending.expect = udp != nullptr ? &udp->expect : nullptr;
    pending.wake = &answer;
    const Registered registered{shared, local_port, pending};
    if (local_port == 0 || !registered.added()) {
        co_return Reason::no_resources;
    }
    const bool sent =
        udp != nullptr ? environment.send_udp({*source, local_port}, check.target, std::as_bytes(std::span{udp->send}))
                       : environment.send_echo(*source, check.target.address, local_port, pending.sequence);
    if (!sent) {
        co_return Reason::no_resources;
    }
    while (!pending.reason && !deadline.over()) {
        co_await answer.async_wait(deadline.token());
    }
    co_return pending.reason.value_or(Reason::answer_timeout);
}

} // namespace sluice::probe
