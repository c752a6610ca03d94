// The control thread of a running node: starts everything in order, keeps it current, stops it. Reading order of the
// program: main.cpp, then the steps of Supervisor::start().
#pragma once

#include "memory_plan.hpp"
#include "node.hpp"

#include <sluice/app/machine.hpp>
#include <sluice/config/load.hpp>
#include <sluice/control/compile.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>

namespace sluice::app {

/// Exit codes of `sluice` (docs/cli.md).
enum class ExitCode : int { success = 0, failed = 1, file_invalid = 3, machine_lacks = 4, usage = 64 };

/// Why the node could not start, already reported.
struct StartFailure {
    ExitCode code = ExitCode::failed;
};

class Supervisor {
public:
    explicit Supervisor(std::string config_path);
    ~Supervisor();

    /// Runs the node until it is told to stop; the exit code.
    [[nodiscard]] ExitCode run();

    struct ReloadResult {
        bool applied = false;
        Diagnostics diagnostics; ///< Every reason when refused; warnings otherwise
    };
    /// Reads the file again and applies it whole, or changes nothing.
    ReloadResult reload();

private:
    // Steps of the start, in order.
    [[nodiscard]] std::optional<StartFailure> start();
    [[nodiscard]] std::optional<StartFailure> read_configuration();
    [[nodiscard]] std::optional<StartFailure> judge_machine();
    [[nodiscard]] std::optional<StartFailure> start_machine();
    [[nodiscard]] std::optional<StartFailure> open_ports();
    [[nodiscard]] std::optional<StartFailure> lay_out_node();
    [[nodiscard]] std::optional<StartFailure> publish_first();

    // While running.
    void handle_signals();
    void watch_events();
    void take_events();
    void tick();
    void check_ready();
    void check_cores();
    void check_links();
    void rebuild_pools();

    // The stop: drain, hand over, end.
    void begin_stop();
    void continue_stop();
    void finish_stop();

    [[nodiscard]] std::vector<unsigned> forwarder_cpus() const;
    [[nodiscard]] std::vector<unsigned> worker_cpus() const;
    void report(const Diagnostics& diagnostics) const;

    std::string config_path_;
    std::optional<config::Model> model_;
    SystemClock clock_;
    std::optional<Machine> machine_;
    MemoryPlan memory_;
    std::vector<control::PortFacts> port_facts_;
    std::vector<std::unique_ptr<port::Port>> opened_ports_;
    control::Registry registry_;
    std::unique_ptr<Node> node_;

    boost::asio::io_context io_;
    boost::asio::signal_set signals_{io_};
    boost::asio::steady_timer ticker_{io_};
    std::unique_ptr<boost::asio::posix::stream_descriptor> events_;
    bool ready_ = false;
    bool pools_changed_ = false; ///< A server's health changed: layer 4's tables are to be rebuilt
    bool forwarder_fault_ = false;
    bool worker_fault_ = false;
    std::vector<bool> links_;
    TimePoint next_link_check_{};
    enum class Stopping : std::uint8_t { no, draining, handing_over } stopping_ = Stopping::no;
    TimePoint stop_deadline_ = never;
    TimePoint phase_deadline_ = never;
};

} // namespace sluice::app
