#include "supervisor.hpp"

#include "first_forwarder.hpp"
#include "worker_unit.hpp"

#include <sluice/config/host.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <csignal>
#include <cstdlib>

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr Duration tick_interval = std::chrono::milliseconds{20};
/// A core that has finished no turn for so long is stalled.
constexpr Duration stall = std::chrono::seconds{1};
/// How long a stop waits for the peer to take the addresses.
constexpr Duration handover_patience = std::chrono::seconds{3};

} // namespace

Supervisor::Supervisor(std::string config_path) : config_path_{std::move(config_path)} {}

Supervisor::~Supervisor()
{
    if (node_) {
        node_->stop();
    }
    // Ports and packets live in DPDK memory: they go before the machine.
    node_.reset();
    opened_ports_.clear();
    machine_.reset();
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
            reload();
            break;
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
            if (stopping_ == Stopping::no) {
                begin_stop();
            } else {
                spdlog::warn("told to stop a second time: stopping at once");
                finish_stop();
            }
            break;
        default: // SIGUSR1: every line is flushed to standard error, there is no file to reopen. SIGUSR2: ignored.
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
    node_->take_events([this](const telemetry::Event& event) {
        spdlog::info("{} {}: {} -> {} ({})", telemetry::text(event.kind), event.subject.view(), event.from.view(),
                     event.to.view(), event.reason.view());
        if (event.kind == telemetry::EventKind::health) {
            pools_changed_ = true;
        }
    });
    if (pools_changed_) {
        rebuild_pools();
    }
}

void Supervisor::tick()
{
    ticker_.expires_after(tick_interval);
    ticker_.async_wait([this](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        check_links();
        check_cores();
        if (!ready_) {
            check_ready();
        }
        if (stopping_ != Stopping::no) {
            continue_stop();
        }
        if (!io_.stopped()) {
            tick();
        }
    });
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
        spdlog::warn("port {}: link {}", port.name(), up ? "up" : "down");
        node_->post(node_->first_forwarder_core(), [index, up](Core& core) {
            core.first_forwarder()->vrrp().set_tracked(
                {vrrp::TrackedObject::Kind::port, static_cast<std::uint32_t>(index)}, up, core.context().now);
        });
    }
}

void Supervisor::check_cores()
{
    const TimePoint now = clock_.now();
    bool forwarder_stalled = false;
    bool worker_stalled = false;
    for (const auto& core : node_->cores()) {
        const TimePoint last{Duration{static_cast<Duration::rep>(core->status().last_turn.get())}};
        if (now - last > stall) {
            const CoreRole& role = node_->shared().layout.cores[core->index()];
            forwarder_stalled = forwarder_stalled || role.forwarder.has_value();
            worker_stalled = worker_stalled || role.worker.has_value();
        }
    }
    if (!forwarder_stalled && !worker_stalled) {
        sd_notify(0, "WATCHDOG=1");
    }
    const auto tell = [this](vrrp::NodeFault fault, bool present, bool& known) {
        if (present == known) {
            return;
        }
        known = present;
        spdlog::error("{} {}", fault == vrrp::NodeFault::worker_stalled ? "a worker" : "a forwarder",
                      present ? "has finished no turn for a second" : "runs again");
        node_->post(node_->first_forwarder_core(), [fault, present](Core& core) {
            core.first_forwarder()->vrrp().set_fault(fault, present, core.context().now);
        });
    };
    tell(vrrp::NodeFault::forwarder_stalled, forwarder_stalled, forwarder_fault_);
    tell(vrrp::NodeFault::worker_stalled, worker_stalled, worker_fault_);
}

void Supervisor::check_ready()
{
    for (const auto& port : node_->ports()) {
        if (!port->link_up()) {
            return;
        }
    }
    for (const auto& [key, entry] : registry_.servers) {
        if (entry.listed && entry.server->status() == health::Status::checking) {
            return;
        }
    }
    bool decided = false;
    const bool answered = node_->call(node_->first_forwarder_core(), [&decided](Core& core) {
        decided = core.first_forwarder()->neighbours().gateways_decided();
    });
    if (!answered || !decided) {
        return;
    }
    ready_ = true;
    node_->post(node_->first_forwarder_core(),
                [](Core& core) { core.first_forwarder()->vrrp().set_ready(true, core.context().now); });
    spdlog::info("ready");
    sd_notify(0, "READY=1\nSTATUS=running");
}

void Supervisor::rebuild_pools()
{
    pools_changed_ = false;
    const control::Snapshot& current = *node_->current();
    auto next = std::make_unique<control::Snapshot>(current);
    ++next->generation;
    for (const auto& pool : current.services->pools()) {
        next->services = next->services->with_pool(l4::Pool::make(pool->id, pool->name, pool->options, pool->servers));
    }
    static_cast<void>(node_->publish(std::move(next)));
}

Supervisor::ReloadResult Supervisor::reload()
{
    const config::LinuxHost host;
    config::Options options;
    options.host = &host;
    options.now = std::chrono::system_clock::now();
    config::Loaded loaded = config::load(config_path_, options);
    if (!loaded.model) {
        spdlog::error("reload refused: {}", config_path_);
        report(loaded.diagnostics);
        return {false, std::move(loaded.diagnostics)};
    }
    if (loaded.model->node.empty()) {
        loaded.model->node = host.host_name();
    }
    Diagnostics refused = control::needs_restart(*model_, *loaded.model);
    if (!refused.empty()) {
        spdlog::error("reload refused: {}", config_path_);
        report(refused);
        return {false, std::move(refused)};
    }
    auto snapshot = control::compile(*loaded.model, port_facts_, registry_, node_->current());
    if (!snapshot) {
        spdlog::error("reload refused: {}", config_path_);
        report(snapshot.error());
        return {false, std::move(snapshot.error())};
    }
    const std::uint64_t generation = (*snapshot)->generation;
    if (!node_->publish(std::move(*snapshot))) {
        spdlog::warn("reload: a core has not taken up generation {} yet", generation);
    }
    model_ = std::move(loaded.model);
    control::forget_unlisted(registry_, *model_);
    spdlog::info("reload: generation {}", generation);
    return {true, std::move(loaded.diagnostics)};
}

void Supervisor::begin_stop()
{
    spdlog::info("stopping: connections may finish for {} ms, then the addresses are handed over",
                 std::chrono::duration_cast<std::chrono::milliseconds>(model_->stop.drain).count());
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    const TimePoint now = clock_.now();
    stopping_ = Stopping::draining;
    stop_deadline_ = now + model_->stop.timeout;
    phase_deadline_ = now + model_->stop.drain;
    for (const auto& core : node_->cores()) {
        node_->post(core->index(), [](Core& on) {
            if (on.worker() != nullptr) {
                on.worker()->proxy().drain();
            }
        });
    }
}

void Supervisor::continue_stop()
{
    const TimePoint now = clock_.now();
    if (now >= stop_deadline_) {
        spdlog::warn("the stop took longer than stop.timeout: ending now");
        finish_stop();
        return;
    }
    if (stopping_ == Stopping::draining) {
        std::size_t left = 0;
        for (const auto& core : node_->cores()) {
            node_->call(core->index(), [&left](Core& on) {
                left += on.worker() != nullptr ? on.worker()->proxy().usage().client_connections : 0;
            });
        }
        if (left != 0 && now < phase_deadline_) {
            return;
        }
        stopping_ = Stopping::handing_over;
        for (const auto& core : node_->cores()) {
            node_->call(core->index(), [](Core& on) {
                if (on.worker() != nullptr) {
                    on.worker()->proxy().abort_all();
                }
            });
        }
        node_->call(node_->first_forwarder_core(),
                    [](Core& core) { core.first_forwarder()->vrrp().handover(handover_patience, core.context().now); });
        return;
    }
    vrrp::HandoverState state = vrrp::HandoverState::pending;
    node_->call(node_->first_forwarder_core(),
                [&state](Core& core) { state = core.first_forwarder()->vrrp().handover_state(); });
    if (state != vrrp::HandoverState::pending) {
        finish_stop();
    }
}

void Supervisor::finish_stop()
{
    node_->call(
        node_->first_forwarder_core(), [](Core& core) { core.first_forwarder()->vrrp().stop(core.context().now); },
        std::chrono::milliseconds{500});
    // One more turn sends what stop() asked for.
    node_->call(
        node_->first_forwarder_core(), [](Core&) {}, std::chrono::milliseconds{500});
    io_.stop();
}

} // namespace sluice::app
