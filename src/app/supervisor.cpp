#include "supervisor.hpp"

#include "ask.hpp"

#include <sluice/control/pools.hpp>

#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>
#include <utility>

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr Duration tick_interval = std::chrono::milliseconds{20};
/// A core that has finished no turn for so long is stalled.
constexpr Duration stall = std::chrono::seconds{1};
/// Later than the longest sleep of an idle core by so much that somebody else must have had its cpu.
constexpr Duration late = std::chrono::milliseconds{400};
constexpr Duration drain_check_interval = std::chrono::seconds{1};

} // namespace

Supervisor::Supervisor(std::string config_path, std::string version)
    : config_path_{std::move(config_path)}, version_{std::move(version)}
{
}

Supervisor::~Supervisor()
{
    control_.reset();
    if (node_) {
        node_->stop();
    }
    departure_.reset();
    if (log_) {
        // The rings go with the node.
        log_->read({});
    }
    // Ports and packets live in DPDK memory: they go before the machine.
    node_.reset();
    opened_ports_.clear();
    machine_.reset();
    end_log();
}

ExitCode Supervisor::run()
{
    if (const auto failed = start()) {
        return failed->code;
    }
    handle_signals();
    watch_events();
    tick();
    spdlog::info("running: {} services, {} ports", model_->services.size(), model_->ports.size());
    io_.run();
    node_->stop();
    spdlog::info("stopped");
    return ExitCode::success;
}

void Supervisor::handle_signals()
{
    for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) {
        signals_.add(signal);
    }
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error) {
            return;
        }
        switch (signal) {
        case SIGHUP:
            reload_asked_ = true; // At the next tick, so that a storm of them is one.
            break;
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
            if (!stopping_) {
                begin_stop();
            } else {
                spdlog::warn("told to stop a second time: stopping at once");
                finish_stop();
            }
            break;
        case SIGUSR1:
            log_->reopen();
            break;
        default: // SIGUSR2: ignored.
            break;
        }
        if (!io_.stopped()) {
            handle_signals();
        }
    });
}

void Supervisor::watch_events()
{
    if (!events_) {
        events_ = std::make_unique<asio::posix::stream_descriptor>(io_, dup(node_->control_wakeup().descriptor()));
    }
    node_->control_wakeup().arm();
    take_events();
    events_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        node_->control_wakeup().disarm();
        watch_events();
    });
}

void Supervisor::take_events()
{
    bool health_changed = false;
    node_->take_events([&](const telemetry::Event& event) {
        record(event);
        health_changed = health_changed || event.kind == telemetry::EventKind::health;
        if (event.kind == telemetry::EventKind::vrrp && event.from.view() == vrrp::name(vrrp::State::active) &&
            event.to.view() == vrrp::name(vrrp::State::backup)) {
            bid_farewell(event.subject.view());
        }
    });
    if (health_changed) {
        servers_changed();
    }
}

void Supervisor::record(const telemetry::Event& event)
{
    spdlog::info("{} {}: {} -> {} ({})", telemetry::text(event.kind), event.subject.view(), event.from.view(),
                 event.to.view(), event.reason.view());
    const auto ago = std::chrono::duration_cast<control::WallTime::duration>(clock_.now() - event.time);
    event_log_.add(event, std::chrono::system_clock::now() - ago);
}

void Supervisor::record(telemetry::EventKind kind, std::string_view subject, std::string_view from, std::string_view to,
                        std::string_view reason)
{
    telemetry::Event event;
    event.time = clock_.now();
    event.kind = kind;
    event.subject = subject;
    event.from = from;
    event.to = to;
    event.reason = reason;
    record(event);
}

void Supervisor::tick()
{
    ticker_.expires_after(tick_interval);
    ticker_.async_wait([this](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        node_->retire();
        check_links();
        const bool well = check_cores();
        service_manager_.advance(ready_ ? std::string_view{} : check_ready(), well, clock_.now());
        if (std::exchange(reload_asked_, false)) {
            static_cast<void>(reload(true));
        }
        if (const TimePoint now = clock_.now(); now >= next_drain_check_) {
            next_drain_check_ = now + drain_check_interval;
            const std::size_t drains = drains_.all().size();
            drains_.expire(std::chrono::system_clock::now(), registry_, drain_report());
            if (drains_.all().size() != drains) {
                servers_changed();
            }
        }
        if (control::advance_slow_start(registry_, *model_, clock_.now())) {
            rebuild_pools(true);
        }
        reset_after_farewell(clock_.now());
        if (stopping_) {
            continue_stop();
        } else if (handover_done_) {
            continue_handover();
        }
        if (!io_.stopped()) {
            tick();
        }
    });
}

control::NodePhase Supervisor::phase() const noexcept
{
    if (stopping_) {
        const bool draining = departure_ && departure_->state() == Departure::State::draining;
        return draining ? control::NodePhase::draining : control::NodePhase::stopping;
    }
    if (handover_done_) {
        return control::NodePhase::handing_over;
    }
    if (standby_) {
        return control::NodePhase::standby;
    }
    return ready_ ? control::NodePhase::running : control::NodePhase::starting;
}

void Supervisor::check_links()
{
    const TimePoint now = clock_.now();
    if (now < next_link_check_) {
        return;
    }
    next_link_check_ = now + std::chrono::milliseconds{100};
    links_.resize(node_->ports().size(), true);
    for (std::size_t index = 0; index < links_.size(); ++index) {
        port::Port& port = *node_->ports()[index];
        port.refresh();
        const bool up = port.link_up();
        if (up == links_[index]) {
            continue;
        }
        links_[index] = up;
        record(telemetry::EventKind::port, port.name(), up ? "down" : "up", up ? "up" : "down", "link");
        node_->post(node_->first_forwarder_core(), [index, up](Core& core) {
            if (up) {
                core.first_forwarder()->neighbours().link_up(static_cast<std::uint8_t>(index), core.context().now);
            }
            core.first_forwarder()->vrrp().set_tracked(
                {vrrp::TrackedObject::Kind::port, static_cast<std::uint32_t>(index)}, up, core.context().now);
        });
    }
}

bool Supervisor::check_cores()
{
    const TimePoint now = clock_.now();
    bool forwarder_stalled = false;
    bool worker_stalled = false;
    for (const auto& core : node_->cores()) {
        const TimePoint last{Duration{static_cast<Duration::rep>(core->status().last_turn.get())}};
        if (now - last > late) {
            late_[core->index()] = now;
        }
        if (now - last > stall) {
            const CoreRole& role = node_->shared().layout.cores[core->index()];
            forwarder_stalled = forwarder_stalled || role.forwarder.has_value();
            worker_stalled = worker_stalled || role.worker.has_value();
        }
    }
    const auto tell = [this](vrrp::NodeFault fault, bool present, bool& known) {
        if (present == known) {
            return;
        }
        known = present;
        const bool is_worker = fault == vrrp::NodeFault::worker_stalled;
        record(telemetry::EventKind::core, is_worker ? "worker" : "forwarder", present ? "running" : "stalled",
               present ? "stalled" : "running", present ? "no turn for a second" : "");
        node_->post(node_->first_forwarder_core(), [fault, present](Core& core) {
            core.first_forwarder()->vrrp().set_fault(fault, present, core.context().now);
        });
    };
    tell(vrrp::NodeFault::forwarder_stalled, forwarder_stalled, forwarder_fault_);
    tell(vrrp::NodeFault::worker_stalled, worker_stalled, worker_fault_);
    return !forwarder_stalled && !worker_stalled;
}

std::string_view Supervisor::check_ready()
{
    for (const auto& port : node_->ports()) {
        if (!port->link_up()) {
            return "the link of a port";
        }
    }
    for (const auto& [key, entry] : registry_.servers) {
        if (entry.listed && entry.server->status() == health::Status::checking) {
            return "the first health checks";
        }
    }
    const auto decided = ask(*node_, node_->first_forwarder_core(),
                             [](Core& core) { return core.first_forwarder()->neighbours().gateways_decided(); });
    if (!decided.value_or(false)) {
        return "gateways";
    }
    ready_ = true;
    tell_tracked_pools();
    node_->post(node_->first_forwarder_core(),
                [](Core& core) { core.first_forwarder()->vrrp().set_ready(true, core.context().now); });
    record(telemetry::EventKind::node, "node", "starting", "ready", "ports, neighbours and health checks decided");
    service_manager_.ready();
    return {};
}

} // namespace sluice::app
