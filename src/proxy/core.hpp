// What the parts of one worker's proxy share. Owner of the loop only.
#pragma once

#include <proxy/holdings.hpp>
#include <proxy/pools.hpp>
#include <proxy/stalls.hpp>
#include <proxy/upstream.hpp>
#include <sluice/proxy/worker.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

namespace sluice::proxy {

/// A plan as this worker's requests hold it: counted without atomics, since all of them are on one core. The plan
/// itself is given back when the last request of its generation is done.
class PlanHolder : public boost::intrusive_ref_counter<PlanHolder, boost::thread_unsafe_counter> {
public:
    PlanHolder(std::shared_ptr<const ServicePlan> plan, std::size_t& held) noexcept
        : plan_{std::move(plan)}, held_{held}
    {
        ++held_;
    }
    PlanHolder(const PlanHolder&) = delete;
    PlanHolder& operator=(const PlanHolder&) = delete;
    ~PlanHolder() { --held_; }

    [[nodiscard]] const ServicePlan& operator*() const noexcept { return *plan_; }
    [[nodiscard]] const ServicePlan* operator->() const noexcept { return plan_.get(); }
    [[nodiscard]] const std::shared_ptr<const ServicePlan>& shared() const noexcept { return plan_; }

private:
    std::shared_ptr<const ServicePlan> plan_;
    std::size_t& held_;
};

using PlanRef = boost::intrusive_ptr<PlanHolder>;

/// A service across generations. Connections keep the handle and ask for the plan anew at each request: that is how a
/// reload changes routes under kept-alive connections.
class ServiceHandle : public boost::intrusive_ref_counter<ServiceHandle, boost::thread_unsafe_counter> {
public:
    explicit ServiceHandle(PlanRef plan) noexcept : plan_{std::move(plan)} {}
    [[nodiscard]] const PlanRef& plan() const noexcept { return plan_; }
    void set_plan(PlanRef plan) noexcept { plan_ = std::move(plan); }
    /// The service has left the configuration: connections end after the request they are at.
    [[nodiscard]] bool removed() const noexcept { return removed_; }
    void set_removed(bool removed) noexcept { removed_ = removed; }

private:
    PlanRef plan_;
    bool removed_ = false;
};

using ServiceRef = boost::intrusive_ptr<ServiceHandle>;

class Http1Exchange;

struct Core {
    Core(const WorkerParts& worker_parts, const WorkerOptions& worker_options)
        : parts{worker_parts}, options{worker_options}, held{options.connection_bytes}, blocks{options.block_limit},
          upstreams{parts, options, blocks, held}, pools{upstreams, options.random_seed}
    {
        blocks.when_scarce(&Core::relieve, this);
    }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// Memory for what is on its way between two connections: the proxy's blocks and TCP's buffers.
    [[nodiscard]] bool scarce() const noexcept { return blocks.scarce() || parts.stack.buffers_scarce(); }

    [[nodiscard]] bool nearly_gone() const noexcept
    {
        return blocks.nearly_gone() || parts.stack.buffers_nearly_gone();
    }

    /// It is scarce: whoever has kept some for long without using them gives them back.
    static void relieve(void* self) noexcept
    {
        Core& core = *static_cast<Core*>(self);
        const TimePoint now = core.parts.loop.now();
        if (!core.scarce()) {
            return;
        }
        const Duration patience = core.nearly_gone() ? short_patience : long_patience;
        core.stalls.relieve(now, patience, 8);
        const TimePoint ripe = core.stalls.ripe(patience);
        if (ripe != never) {
            core.relief.expires_at(std::max(ripe, now + std::chrono::milliseconds{10}));
        }
    }

    /// Whether there is memory for one more of what clients ask for; who has waited longest may have to go for it:
    /// clients without a request first, then requests without an answer.
    [[nodiscard]] bool make_room() noexcept
    {
        if (!held.full()) [[likely]] {
            return true;
        }
        const TimePoint now = parts.loop.now();
        if (waiters.evict_longest(now)) {
            parts.counters.count(telemetry::Counter::connections_evicted);
        } else if (unanswered.ripe(answer_patience) <= now) {
            unanswered.relieve(now, answer_patience, 1);
            parts.counters.count(telemetry::Counter::requests_evicted);
        } else {
            return false;
        }
        return !held.exhausted();
    }

    /// How long a client may take nothing while blocks are scarce, and while hardly any is left.
    static constexpr Duration long_patience = std::chrono::seconds{2};
    static constexpr Duration short_patience = std::chrono::milliseconds{20};
    /// What a server has at least to answer in, however crowded it is.
    static constexpr Duration answer_patience = std::chrono::milliseconds{500};

    WorkerParts parts;
    WorkerOptions options;
    Holdings held;
    BlockPool blocks;
    Stalls stalls;     ///< Peers that do not take what is written to them
    Stalls unanswered; ///< Requests whose server has not begun to answer
    Waiters waiters;
    Deadline relief{parts.loop, &Core::relieve, this};
    UpstreamConnections upstreams;
    Pools pools;
    http::ReasonCounters reasons;
    OutcomeCounters outcomes;
    std::size_t clients = 0; ///< Their connections
    std::size_t parked = 0;  ///< Those among them that hold no coroutine
    std::size_t requests = 0;
    std::size_t plans_held = 0;
    std::size_t leaving = 0; ///< Connections that a drain met
    bool draining = false;
    bool stopping = false; ///< Connections were reset: whatever fails now fails because of that.
};

} // namespace sluice::proxy
