// A node that the control socket and the admin page can ask: everything empty or as the test sets it.
#pragma once

#include <sluice/control/operations.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice::control {

class FakeNode final : public Operations {
public:
    FakeNode()
    {
        configuration.node = "test";
        snapshot_.generation = 1;
        snapshot_.vrrp =
            std::make_shared<vrrp::Table>(std::vector<vrrp::Parameters>{}, std::vector<vrrp::TrackedState>{});
        snapshot_.proxy = std::make_shared<proxy::ProxyPlan>();
    }

    // ---- What a test sets and sees ----

    std::size_t connection_count = 0;                          ///< What `connections` lists
    std::shared_ptr<const ConnectionFilter> connection_filter; ///< Of the last walk
    std::size_t connections_given = 0;                         ///< How far its readers have come
    std::function<void(HandoverResult)> handover_done;
    telemetry::CoreCounters counters;
    config::Model configuration;
    Registry servers;
    NodePhase present_phase = NodePhase::running;
    TimePoint time{};
    CoreView core;
    std::vector<PortView> port_views;
    std::shared_ptr<vrrp::Table> vrrp;
    std::shared_ptr<const proxy::ProxyPlan> proxy;
    std::optional<ReloadReport> reload_before;
    ReloadReport next_reload;
    FileJudgement file;
    Drains drained;
    std::string log_trouble;
    bool is_standby = false;
    std::optional<FlowExplanation> explanation;  ///< What explain() answers
    std::optional<flow::FiveTuple> explained;    ///< What it was asked
    std::unique_ptr<CaptureSource> next_capture; ///< Null: refused
    std::vector<std::function<void()>> later;    ///< What call_later() was given
    /// Changes that were asked for, in their order.
    std::vector<std::string> asked;

    // ---- Operations ----

    [[nodiscard]] const std::string& config_path() const override { return config_path_; }
    [[nodiscard]] const std::string& version() const override { return version_; }
    [[nodiscard]] WallTime started() const override { return {}; }
    [[nodiscard]] NodePhase phase() const override { return present_phase; }
    [[nodiscard]] TimePoint now() const override { return time; }
    [[nodiscard]] const config::Model& model() const override { return configuration; }
    [[nodiscard]] const Registry& registry() const override { return servers; }
    [[nodiscard]] const Snapshot& snapshot() const override
    {
        snapshot_.vrrp = vrrp ? vrrp : snapshot_.vrrp;
        snapshot_.proxy = proxy ? proxy : snapshot_.proxy;
        return snapshot_;
    }
    [[nodiscard]] std::size_t live_generations() override { return 1; }
    [[nodiscard]] std::vector<CoreView> cores() const override
    {
        CoreView view = core;
        view.worker = true;
        view.counters = &counters;
        return {view};
    }
    [[nodiscard]] std::vector<PortView> ports() const override { return port_views; }
    [[nodiscard]] const neigh::Adjacencies& adjacencies() const override { return adjacencies_; }
    [[nodiscard]] const EventLog& events() const override { return events_; }
    [[nodiscard]] EventLog& events() override { return events_; }
    [[nodiscard]] const Drains& drains() const override { return drained; }
    [[nodiscard]] const ReloadReport* last_reload() const override { return reload_before ? &*reload_before : nullptr; }
    [[nodiscard]] std::uint64_t outcome(proxy::Outcome) const override { return 0; }
    [[nodiscard]] std::uint64_t refused(http::Reason) const override { return 0; }
    [[nodiscard]] std::uint64_t access_lines_lost() const override { return 0; }
    [[nodiscard]] std::uint64_t log_lines_lost() const override { return 0; }
    [[nodiscard]] std::string log_problem() const override { return log_trouble; }
    [[nodiscard]] std::vector<std::optional<CoreUse>> core_use() override { return {std::nullopt}; }
    void connections(const std::shared_ptr<const ConnectionFilter>& filter, ConnectionCursor& cursor,
                     std::vector<ConnectionView>& out) override
    {
        connection_filter = filter;
        constexpr std::size_t slice = 256;
        for (std::size_t taken = 0; taken < slice && cursor.position < connection_count; ++taken, ++cursor.position) {
            out.emplace_back();
        }
        connections_given = std::max(connections_given, static_cast<std::size_t>(cursor.position));
        cursor.end = cursor.position == connection_count;
    }
    [[nodiscard]] std::optional<FlowExplanation> explain(const flow::FiveTuple& tuple) override
    {
        explained = tuple;
        return explanation;
    }
    [[nodiscard]] const FileJudgement& file_on_disk() override { return file; }
    ReloadReport reload(bool wait) override
    {
        asked.push_back(wait ? "reload" : "reload without waiting");
        return next_reload;
    }
    void drain(Drain drain) override
    {
        asked.push_back("drain " + drain.pool + ' ' + drain.server.to_string() + ' ' + drain.who + ' ' + drain.reason);
    }
    bool undrain(const std::string& pool, const wire::Endpoint& server) override
    {
        asked.push_back("undrain " + pool + ' ' + server.to_string());
        return true;
    }
    void handover(Duration timeout, std::function<void(HandoverResult)> done) override
    {
        asked.push_back("handover " + std::to_string(timeout / std::chrono::milliseconds{1}));
        handover_done = std::move(done);
    }
    bool undo_handover() override
    {
        asked.emplace_back("undo");
        return is_standby;
    }
    void set_log_level(config::LogLevel level) override
    {
        asked.push_back("log " + std::to_string(static_cast<int>(level)));
    }
    [[nodiscard]] Expected<std::unique_ptr<CaptureSource>, std::string> capture(const CaptureRequest& request) override
    {
        asked.push_back("capture " + std::to_string(request.snap) + (request.dropped ? " dropped" : "") + " filter " +
                        std::to_string(request.filter.size()));
        if (next_capture == nullptr) {
            return failure(std::string{"a capture runs already"});
        }
        return std::move(next_capture);
    }
    void call_later(Duration, std::function<void()> then) override { later.push_back(std::move(then)); }

private:
    std::string config_path_ = "/etc/sluice/sluice.yaml";
    std::string version_ = "0.0-test";
    mutable Snapshot snapshot_;
    neigh::Adjacencies adjacencies_{1};
    EventLog events_;
};

} // namespace sluice::control
