#include "operations.hpp"

#include "ask.hpp"
#include "memory_shares.hpp"
#include "supervisor.hpp"

namespace sluice::app {

const std::string& NodeOperations::config_path() const { return supervisor_.config_path_; }
const std::string& NodeOperations::version() const { return supervisor_.version_; }
control::WallTime NodeOperations::started() const { return supervisor_.started_; }
TimePoint NodeOperations::now() const { return supervisor_.clock_.now(); }
const config::Model& NodeOperations::model() const { return *supervisor_.model_; }
const control::Registry& NodeOperations::registry() const { return supervisor_.registry_; }
const control::Snapshot& NodeOperations::snapshot() const { return *supervisor_.node_->current(); }
std::size_t NodeOperations::live_generations() { return supervisor_.generations_.count(); }
const neigh::Adjacencies& NodeOperations::adjacencies() const { return supervisor_.node_->shared().adjacencies; }
const control::EventLog& NodeOperations::events() const { return supervisor_.event_log_; }
control::EventLog& NodeOperations::events() { return supervisor_.event_log_; }
const control::Drains& NodeOperations::drains() const { return supervisor_.drains_; }
control::NodePhase NodeOperations::phase() const { return supervisor_.phase(); }

const control::ReloadReport* NodeOperations::last_reload() const
{
    return supervisor_.last_reload_ ? &*supervisor_.last_reload_ : nullptr;
}

std::vector<control::CoreView> NodeOperations::cores() const
{
    const Node& node = *supervisor_.node_;
    const TimePoint now = supervisor_.clock_.now();
    std::vector<control::CoreView> views;
    for (const auto& core : node.cores()) {
        const CoreRole& role = node.shared().layout.cores[core->index()];
        control::CoreView view;
        view.index = core->index();
        view.cpu = role.cpu;
        view.forwarder = role.forwarder.has_value();
        view.worker = role.worker.has_value();
        view.counters = &core->counters();
        view.turns = core->status().turn_duration.snapshot();
        const TimePoint last{Duration{static_cast<Duration::rep>(core->status().last_turn.get())}};
        view.since_last_turn = std::max(now - last, Duration::zero());
        view.busy = Duration{static_cast<Duration::rep>(core->status().busy.get())};
        view.polling = Duration{static_cast<Duration::rep>(core->status().polling.get())};
        if (const auto& late = supervisor_.late_[core->index()]) {
            view.since_late = now - *late;
        }
        views.push_back(std::move(view));
    }
    return views;
}

std::vector<control::PortView> NodeOperations::ports() const
{
    std::vector<control::PortView> views;
    for (const auto& port : supervisor_.node_->ports()) {
        const port::Statistics seen = port->statistics();
        control::PortView view;
        view.name = port->name();
        view.mac = port->mac().to_string();
        view.mtu = port->mtu();
        view.link_up = port->link_up();
        view.receive_queues = port->capabilities().receive_queues;
        view.transmit_queues = port->capabilities().transmit_queues;
        view.packets_received = seen.packets_received;
        view.bytes_received = seen.bytes_received;
        view.packets_transmitted = seen.packets_transmitted;
        view.bytes_transmitted = seen.bytes_transmitted;
        view.receive_dropped = seen.receive_dropped;
        view.transmit_dropped = seen.transmit_dropped;
        view.copies = seen.copies;
        view.slow_calls = seen.slow_calls;
        view.receive_starved = seen.receive_starved;
        views.push_back(std::move(view));
    }
    return views;
}

std::uint64_t NodeOperations::outcome(proxy::Outcome outcome) const
{
    std::uint64_t count = 0;
    for (const auto& core : supervisor_.node_->cores()) {
        if (core->worker() != nullptr) {
            count += core->worker()->proxy().outcomes().get(outcome);
        }
    }
    return count;
}

std::uint64_t NodeOperations::refused(http::Reason reason) const
{
    std::uint64_t count = 0;
    for (const auto& core : supervisor_.node_->cores()) {
        if (core->worker() != nullptr) {
            count += core->worker()->proxy().reasons().get(reason);
        }
    }
    return count;
}

std::uint64_t NodeOperations::access_lines_lost() const
{
    std::uint64_t lost = supervisor_.log_->access_lines_lost();
    for (const auto& core : supervisor_.node_->cores()) {
        lost += core->counters().get(telemetry::Counter::access_records_discarded);
    }
    return lost;
}

std::uint64_t NodeOperations::log_lines_lost() const { return supervisor_.log_->lines_lost(); }

std::string NodeOperations::log_problem() const { return supervisor_.log_->problem(); }

std::vector<std::optional<control::CoreUse>> NodeOperations::core_use()
{
    std::vector<std::optional<control::CoreUse>> uses;
    const TimePoint deadline = supervisor_.clock_.now() + ask_patience;
    for (const auto& core : supervisor_.node_->cores()) {
        const Duration left = std::max<Duration>(deadline - supervisor_.clock_.now(), std::chrono::milliseconds{1});
        uses.push_back(ask(
            *supervisor_.node_, core->index(),
            [](Core& on) {
                control::CoreUse use;
                if (on.forwarder() != nullptr) {
                    use.flows = on.forwarder()->layer4().flows().size();
                    use.flow_capacity = on.forwarder()->layer4().flows().capacity();
                }
                if (on.worker() != nullptr) {
                    use.proxy = on.worker()->proxy().usage();
                    use.tcp = on.worker()->stack().usage();
                }
                use.memory = memory_shares(on, use);
                return use;
            },
            left));
    }
    return uses;
}

const control::FileJudgement& NodeOperations::file_on_disk() { return supervisor_.judge_file(); }

control::ReloadReport NodeOperations::reload(bool wait) { return supervisor_.reload(wait); }

void NodeOperations::drain(control::Drain drain)
{
    supervisor_.drains_.set(std::move(drain), supervisor_.registry_, supervisor_.drain_report());
    supervisor_.servers_changed();
}

bool NodeOperations::undrain(const std::string& pool, const wire::Endpoint& server)
{
    const bool done = supervisor_.drains_.clear(pool, server, supervisor_.registry_, supervisor_.drain_report());
    supervisor_.servers_changed();
    return done;
}

void NodeOperations::handover(Duration timeout, std::function<void(control::HandoverResult)> done)
{
    supervisor_.begin_handover(timeout, std::move(done));
}

bool NodeOperations::undo_handover() { return supervisor_.undo_handover(); }

void NodeOperations::set_log_level(config::LogLevel level) { supervisor_.set_log_level(level); }

} // namespace sluice::app
