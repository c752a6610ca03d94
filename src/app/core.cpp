#include "core.hpp"

namespace sluice::app {
namespace {

using telemetry::Counter;
using telemetry::DropReason;

constexpr Duration late_turn = std::chrono::milliseconds{5};
/// Also an idle core finishes a turn this often, so that a stall of a second is a stall.
constexpr Duration longest_sleep = std::chrono::milliseconds{250};
/// A turn without work takes a fraction of this. One that seems to take longer did not have the processor meanwhile.
constexpr Duration longest_poll = std::chrono::microseconds{2};
/// Below this a system call costs more than the wait.
constexpr Duration shortest_sleep = std::chrono::microseconds{20};

std::vector<int> receive_descriptors(const Shared& shared, std::size_t core)
{
    std::vector<int> descriptors;
    for (const port::Port* port : shared.ports) {
        for (std::uint16_t queue = 0; queue < port->capabilities().receive_queues; ++queue) {
            if (shared.layout.receive_core(queue) == core) {
                descriptors.push_back(port->descriptor(queue));
            }
        }
    }
    return descriptors;
}

} // namespace

Core::Core(std::size_t index, Shared& shared, packet::Pool& pool, packet::Pool& reserve, const CoreOptions& options,
           telemetry::EventRing& events, telemetry::RecordRing& access_records, handoff::Wakeup& control)
    : context_{index, shared, pool, reserve}, options_{options}, events_{events, control},
      sleeper_{shared.mesh.wakeup(index), receive_descriptors(shared, index)}
{
    context_.now = shared.clock.now();
    if (context_.is_first_forwarder()) {
        first_.emplace(context_, events_, options.neighbour_limits);
    }
    output_.emplace(context_, first_ ? &first_->neighbours() : nullptr);
    if (context_.role().worker) {
        worker_.emplace(context_, *output_, events_, access_records, options.worker);
    }
    if (context_.role().forwarder) {
        forwarder_.emplace(context_, *output_, first_forwarder(), worker(), options.flows);
    }
}

Core::~Core() = default;

void Core::run(const std::atomic<bool>& stop)
{
    while (!stop.load(std::memory_order_relaxed)) {
        if (turn()) {
            empty_turns_ = 0;
            sleeper_.reset();
        } else if (!options_.poll && ++empty_turns_ >= empty_turns_before_sleep) {
            sleep();
        }
    }
}

bool Core::turn() noexcept
{
    const TimePoint start = worker_ ? worker_->loop().start_turn() : context_.shared.clock.now();
    context_.now = start;
    account_poll(start);
    pass_quiet_point();
    std::size_t work = run_commands();
    if (context_.snapshot == nullptr) {
        return work != 0;
    }
    if (tap_ != nullptr) {
        tap_->start_turn(start, context_.counters);
    }
    bool mail_read = true;
    if (forwarder_) {
        work += forwarder_->receive(mail_read);
    }
    work += receive_messages();
    if (first_) {
        first_->advance(mail_read);
    }
    if (worker_) {
        more_ = worker_->run();
    }
    const bool sent = context_.egress.backlog() != 0;
    context_.egress.flush();
    context_.shared.mesh.flush(context_.core);
    context_.counters.count(Counter::turns);
    status_.last_turn.set(static_cast<std::uint64_t>(start.time_since_epoch().count()));
    const bool worked = work != 0 || sent || more_;
    if (worked) {
        account(start);
    } else {
        poll_start_ = start;
    }
    return worked;
}

void Core::pass_quiet_point() noexcept
{
    context_.snapshot = context_.shared.publication.quiet_point(context_.core);
    if (context_.snapshot == nullptr || context_.snapshot->generation == generation_) {
        return;
    }
    generation_ = context_.snapshot->generation;
    if (first_) {
        first_->apply(*context_.snapshot);
    }
    if (forwarder_) {
        forwarder_->apply(*context_.snapshot);
    }
    if (worker_) {
        worker_->apply(*context_.snapshot);
    }
}

std::size_t Core::run_commands() noexcept
{
    std::size_t count = 0;
    std::unique_ptr<Command> command;
    while (mailbox_.pop(command)) {
        (*command)(*this);
        ++count;
    }
    return count;
}

std::size_t Core::receive_messages() noexcept
{
    const bool watched = tap_ != nullptr && tap_->watches_drops();
    std::size_t count = 0;
    handoff::Message message;
    for (std::size_t from = 0; from < context_.shared.mesh.cores(); ++from) {
        if (from == context_.core) {
            continue;
        }
        // Bounded, so that one busy neighbour cannot hold this turn.
        for (std::size_t taken = 0;
             taken < 2 * packet::Burst::capacity && context_.shared.mesh.receive(from, context_.core, message);
             ++taken) {
            watched ? dispatch_watched(std::move(message)) : dispatch(std::move(message));
            ++count;
        }
    }
    context_.counters.count(Counter::handoffs_received, count);
    return count;
}

void Core::dispatch(handoff::Message&& message) noexcept
{
    switch (message.kind) {
    case handoff::Kind::transmit:
        context_.egress.send(message.packet.port(), std::move(message.packet));
        return;
    case handoff::Kind::unresolved:
        if (first_) {
            first_->send_unresolved(std::move(message.packet), message.parsed.destination);
            return;
        }
        break;
    case handoff::Kind::local:
        if (first_) {
            first_->input(std::move(message.packet), message.parsed);
            return;
        }
        break;
    case handoff::Kind::worker:
        if (worker_) {
            worker_->receive(std::move(message.packet), message.parsed);
            return;
        }
        break;
    case handoff::Kind::forward:
        if (forwarder_) {
            forwarder_->forward(std::move(message.packet), message.parsed, message.ports_learned);
            return;
        }
        break;
    }
    context_.counters.drop(DropReason::stopped);
    message.packet.reset();
}

void Core::set_tap(std::shared_ptr<port::FrameTap> tap) noexcept
{
    tap_ = std::move(tap);
    context_.tap = tap_.get();
    context_.egress.set_tap(tap_.get());
}

/// A packet that was handed over and is dropped here.
void Core::dispatch_watched(handoff::Message&& message) noexcept
{
    if (message.kind == handoff::Kind::unresolved) {
        dispatch(std::move(message)); // Not a frame yet
        return;
    }
    tap_->keep(message.packet.port(), std::as_const(message.packet).bytes(), context_.counters);
    dispatch(std::move(message));
    tap_->judge(context_.counters);
}

void Core::account(TimePoint start) noexcept
{
    const Duration duration = context_.shared.clock.now() - start;
    status_.turn_duration.record(duration);
    status_.busy.add(static_cast<std::uint64_t>(duration.count()));
    if (duration > late_turn) {
        context_.counters.count(Counter::turns_late);
    }
}

/// Without another look at the clock: a turn without work ends where the next one begins.
void Core::account_poll(TimePoint start) noexcept
{
    if (poll_start_ != never) {
        const Duration duration = std::min<Duration>(start - std::exchange(poll_start_, never), longest_poll);
        status_.polling.add(static_cast<std::uint64_t>(duration.count()));
    }
}

TimePoint Core::next_deadline() const noexcept
{
    TimePoint deadline = never;
    if (first_) {
        deadline = std::min(deadline, first_->next_deadline());
    }
    if (worker_) {
        deadline = std::min(deadline, worker_->next_deadline());
    }
    return deadline;
}

void Core::sleep() noexcept
{
    const TimePoint now = context_.shared.clock.now();
    const TimePoint deadline = next_deadline();
    const Duration wait = deadline == never ? longest_sleep : std::min<Duration>(deadline - now, longest_sleep);
    if (wait < shortest_sleep || more_ || context_.egress.backlog() != 0) {
        return;
    }
    handoff::Wakeup& wakeup = sleeper_.wakeup();
    wakeup.arm();
    // The second look after arming: whoever published before that may have seen us awake.
    if (!context_.shared.mesh.pending(context_.core) && mailbox_.empty()) {
        context_.counters.count(Counter::sleeps);
        poll_start_ = never;
        sleeper_.sleep(wait);
    }
    wakeup.disarm();
}

bool Core::post(std::unique_ptr<Command> command) noexcept
{
    if (!mailbox_.push(std::move(command))) {
        return false;
    }
    sleeper_.wakeup().wake();
    return true;
}

} // namespace sluice::app
