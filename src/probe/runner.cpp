#include <probe/running.hpp>

#include <sluice/health/schedule.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <vector>

namespace sluice::probe {

using health::ProbeResult;
using health::Reason;

namespace {

/// One check; lives as long as its coroutine or its listing.
struct Running {
    Running(tcp::Loop& loop, std::shared_ptr<const ServerCheck> listed)
        : definition{std::move(listed)}, check{definition->settings, loop.now()}, pause{loop.get_executor()}
    {
    }

    std::shared_ptr<const ServerCheck> definition;
    health::Check check;
    tcp::Timer pause;
    ProbeDeadline* probing = nullptr;
    bool stopped = false;
};

} // namespace

struct Runner::State : std::enable_shared_from_this<Runner::State> {
    State(const RunnerParts& parts, const RunnerOptions& options) : shared{parts, options} {}

    /// Probe, judge, publish, sleep; until the check is taken away.
    static tcp::Awaitable<void> run(std::shared_ptr<State> state, std::shared_ptr<Running> running);
    [[nodiscard]] tcp::Awaitable<ProbeResult> probe(Running& running, const ServerCheck& check);
    void stop(Running& running) noexcept;

    Shared shared;
    std::vector<std::shared_ptr<Running>> checks;
    std::size_t coroutines = 0;
};

tcp::Awaitable<void> Runner::State::run(std::shared_ptr<State> state, std::shared_ptr<Running> running)
{
    tcp::Loop& loop = state->shared.parts.loop;
    running->pause.expires_at(health::first_probe(running->definition->settings, loop.now(), state->shared.random));
    co_await running->pause.async_wait(as_result);
    while (!running->stopped) {
        const TimePoint started = loop.now();
        // A reload may replace the definition while this probe is under way.
        const std::shared_ptr<const ServerCheck> definition = running->definition;
        const ProbeResult result = co_await state->probe(*running, *definition);
        if (running->stopped) {
            break;
        }
        const health::Decision decision = running->check.apply(loop.now(), result);
        if (decision.changed) {
            definition->server->set_status(decision.to);
            state->shared.parts.environment.decided(*definition, decision);
        }
        running->pause.expires_at(
            health::next_probe(running->definition->settings, started, loop.now(), state->shared.random));
        co_await running->pause.async_wait(as_result);
    }
    --state->coroutines;
}

tcp::Awaitable<ProbeResult> Runner::State::probe(Running& running, const ServerCheck& check)
{
    tcp::Loop& loop = shared.parts.loop;
    Environment& environment = shared.parts.environment;
    const TimePoint started = loop.now();
    const std::uint64_t drops_before = environment.own_drops();
    ProbeDeadline deadline{loop, health::deadline(check.settings, started)};
    running.probing = &deadline;
    ProbeResult result;
    if (!environment.port_up(check.target.address)) {
        result.reason = Reason::port_down;
    } else if (std::holds_alternative<HttpProbe>(check.method) || std::holds_alternative<TcpProbe>(check.method)) {
        result.reason = co_await probe_stream(shared, check, deadline, result.status);
    } else {
        result.reason = co_await probe_datagram(shared, check, deadline);
    }
    running.probing = nullptr;
    const bool timed_out = result.reason == Reason::connect_timeout || result.reason == Reason::answer_timeout;
    if (running.stopped) {
        result.reason = Reason::cancelled;
    } else if (timed_out && !environment.port_up(check.target.address)) {
        result.reason = Reason::port_down;
    } else if (timed_out && !health::timeout_counts(check.settings, deadline.when(), loop.now(),
                                                    environment.own_drops() != drops_before)) {
        result.reason = Reason::overload;
    }
    result.elapsed = loop.now() - started;
    co_return result;
}

void Runner::State::stop(Running& running) noexcept
{
    running.stopped = true;
    running.pause.cancel();
    if (running.probing != nullptr) {
        running.probing->cancel();
    }
}

Runner::Runner(const RunnerParts& parts, const RunnerOptions& options) : state_{std::make_shared<State>(parts, options)}
{
}

Runner::~Runner() { stop(); }

void Runner::apply(const ProbePlan& plan)
{
    std::vector<std::shared_ptr<Running>> checks;
    for (const auto& listed : plan.checks) {
        const auto known = std::ranges::find_if(state_->checks, [&](const auto& running) {
            return running && running->definition->server == listed->server;
        });
        if (known != state_->checks.end()) {
            (*known)->definition = listed;
            (*known)->check.reconfigure(listed->settings);
            checks.push_back(std::move(*known));
            continue;
        }
        auto running = std::make_shared<Running>(state_->shared.parts.loop, listed);
        checks.push_back(running);
        ++state_->coroutines;
        boost::asio::co_spawn(state_->shared.parts.loop.get_executor(), State::run(state_, running),
                              boost::asio::detached);
    }
    for (const auto& gone : state_->checks) {
        if (gone) {
            state_->stop(*gone);
        }
    }
    state_->checks = std::move(checks);
}

void Runner::stop() noexcept
{
    for (const auto& running : state_->checks) {
        state_->stop(*running);
    }
    state_->checks.clear();
}

bool Runner::idle() const noexcept { return state_->coroutines == 0; }

bool Runner::udp_received(std::uint16_t local_port, const wire::Endpoint& from, Bytes payload) noexcept
{
    const auto found = state_->shared.datagrams.find(local_port);
    if (found == state_->shared.datagrams.end()) {
        return false;
    }
    PendingDatagram& pending = *found->second;
    if (pending.server_port == 0 || pending.reason || from != wire::Endpoint{pending.server, pending.server_port}) {
        return true;
    }
    const std::string_view text{reinterpret_cast<const char*>(payload.data()), payload.size()};
    const bool expected = !*pending.expect || text.starts_with(**pending.expect);
    pending.reason = expected ? Reason::answered : Reason::answer_unexpected;
    pending.wake->cancel();
    return true;
}

void Runner::echo_received(std::uint16_t identifier, const wire::IpAddress& from, std::uint16_t sequence) noexcept
{
    const auto found = state_->shared.datagrams.find(identifier);
    if (found == state_->shared.datagrams.end()) {
        return;
    }
    PendingDatagram& pending = *found->second;
    if (pending.server_port == 0 && !pending.reason && pending.server == from && pending.sequence == sequence) {
        pending.reason = Reason::answered;
        pending.wake->cancel();
    }
}

void Runner::unreachable(std::uint16_t local_port, const wire::IpAddress& server) noexcept
{
    const auto found = state_->shared.datagrams.find(local_port);
    if (found != state_->shared.datagrams.end() && found->second->server == server && !found->second->reason) {
        found->second->reason = found->second->server_port != 0 ? Reason::connection_refused : Reason::unreachable;
        found->second->wake->cancel();
    }
}

bool Runner::all_decided() const noexcept
{
    return std::ranges::none_of(
        state_->checks, [](const auto& running) { return running->check.status() == health::Status::checking; });
}

void Runner::visit(const std::function<void(const ServerCheck&, const health::Check&)>& visitor) const
{
    for (const auto& running : state_->checks) {
        visitor(*running->definition, running->check);
    }
}

} // namespace sluice::probe
