// The control thread of a running node: starts everything in order, keeps it current, stops it. Reading order of the
// program: main.cpp, then the steps of Supervisor::start().
#pragma once

#include "departure.hpp"
#include "memory_plan.hpp"
#include "node.hpp"
#include "operations.hpp"
#include "service_manager.hpp"

#include <sluice/app/machine.hpp>
#include <sluice/config/load.hpp>
#include <sluice/control/admin.hpp>
#include <sluice/control/compile.hpp>
#include <sluice/control/generations.hpp>
#include <sluice/control/log_thread.hpp>
#include <sluice/control/server.hpp>
#include <sluice/control/verbs.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace sluice::app {

/// Exit codes of `sluice` (docs/sluice.md).
enum class ExitCode : int { success = 0, failed = 1, file_invalid = 3, machine_lacks = 4, usage = 64 };

/// Why the node could not start, already reported.
struct StartFailure {
    ExitCode code = ExitCode::failed;
};

class Supervisor {
public:
    Supervisor(std::string config_path, std::string version);
    ~Supervisor();

    /// Runs the node until it is told to stop; the exit code.
    [[nodiscard]] ExitCode run();

private:
    friend class NodeOperations;

    // Steps of the start, in order.
    [[nodiscard]] std::optional<StartFailure> start();
    [[nodiscard]] std::optional<StartFailure> read_configuration();
    [[nodiscard]] std::optional<StartFailure> judge_machine();
    [[nodiscard]] std::optional<StartFailure> start_machine();
    [[nodiscard]] std::optional<StartFailure> open_ports();
    [[nodiscard]] std::optional<StartFailure> lay_out_node();
    [[nodiscard]] std::optional<StartFailure> publish_first();
    [[nodiscard]] std::optional<StartFailure> open_control();

    // While running: supervisor.cpp.
    void handle_signals();
    void watch_events();
    void take_events();
    void tick();
    /// What the node waits for before it takes addresses; empty: it is ready.
    [[nodiscard]] std::string_view check_ready();
    /// False while one has finished no turn for long.
    bool check_cores();
    void check_links();
    [[nodiscard]] control::NodePhase phase() const noexcept;
    void record(const telemetry::Event& event);
    void record(telemetry::EventKind kind, std::string_view subject, std::string_view from, std::string_view to,
                std::string_view reason);
    void start_log();
    void end_log();
    void apply_log(const config::Log& log);
    void set_log_level(config::LogLevel level);

    // Changes: supervisor_change.cpp.
    /// Reads the file again and applies it whole, or changes nothing. `wait`: until every core has taken it up.
    control::ReloadReport reload(bool wait);
    [[nodiscard]] control::ReloadReport try_reload(bool wait);
    [[nodiscard]] config::Loaded load_file() const;
    [[nodiscard]] const control::FileJudgement& judge_file();
    /// False when a core has not taken it up within `patience`, or still uses the generation before the present one;
    /// then current() stays what it was.
    bool publish(std::unique_ptr<const control::Snapshot> snapshot, Duration patience);
    [[nodiscard]] control::DrainReport drain_report();
    void servers_changed(); ///< Health or drains did: layer 4's tables and what VRRP tracks follow
    /// `rising`: those with slow start alone.
    void rebuild_pools(bool rising);
    void tell_tracked_pools();

    // Leaving: supervisor_leave.cpp.
    void begin_handover(Duration timeout, std::function<void(control::HandoverResult)> done);
    void continue_handover();
    void end_handover(control::HandoverResult result);
    bool undo_handover();
    /// A peer has taken over: connections to these addresses have a moment left (Succession).
    void bid_farewell(std::string_view instance);
    void reset_after_farewell(TimePoint now);
    void begin_stop();
    void continue_stop();
    void finish_stop();
    [[nodiscard]] Duration takeover_patience() const;
    [[nodiscard]] bool active_anywhere() const;

    [[nodiscard]] std::vector<unsigned> forwarder_cpus() const;
    [[nodiscard]] std::vector<unsigned> worker_cpus() const;
    void report(const Diagnostics& diagnostics) const;

    std::string config_path_;
    std::optional<config::Model> model_;
    SystemClock clock_;
    ServiceManager service_manager_{clock_.now()};
    std::unique_ptr<control::LogThread> log_;
    std::optional<Machine> machine_;
    MemoryPlan memory_;
    std::vector<control::PortFacts> port_facts_;
    std::vector<std::unique_ptr<port::Port>> opened_ports_;
    control::Registry registry_;
    std::unique_ptr<Node> node_;
    control::LiveGenerations generations_;

    boost::asio::io_context io_;
    boost::asio::signal_set signals_{io_};
    boost::asio::steady_timer ticker_{io_};
    std::unique_ptr<boost::asio::posix::stream_descriptor> events_;
    bool ready_ = false;
    bool reload_asked_ = false;
    bool forwarder_fault_ = false;
    bool worker_fault_ = false;
    std::vector<bool> links_;
    TimePoint next_link_check_{};
    TimePoint next_drain_check_{};
    std::vector<std::optional<TimePoint>> late_; ///< When each core was seen late last

    const std::string version_;
    const control::WallTime started_ = std::chrono::system_clock::now();
    control::EventLog event_log_;
    control::Drains drains_;
    std::optional<control::ReloadReport> last_reload_;
    control::FileJudgement file_; ///< What the disk holds, see judge_file()
    std::vector<std::string> file_names_;
    std::string file_signature_;
    TimePoint file_judged_{};
    std::map<std::string, bool> tracked_pools_; ///< What the first forwarder was told: true is up

    bool stopping_ = false;
    bool standby_ = false;
    TimePoint stop_deadline_ = never;
    struct Farewell {
        std::string instance;
        std::vector<wire::IpAddress> addresses;
        TimePoint until{};
    };
    std::vector<Farewell> farewells_;
    std::optional<Departure> departure_;
    std::function<void(control::HandoverResult)> handover_done_; ///< Set while a handover is under way

    NodeOperations operations_{*this};
    control::Verbs verbs_{operations_};
    std::unique_ptr<control::Server> control_;
    control::AdminPage admin_{io_, operations_};
};

} // namespace sluice::app
