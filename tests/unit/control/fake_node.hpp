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
        model_.node = "test";
        snapshot_.generation = 1;
        snapshot_.vrrp =
            std::make_shared<vrrp::Table>(std::vector<vrrp::Parameters>{}, std::vector<vrrp::TrackedState>{});
        snapshot_.proxy = std::make_shared<proxy::ProxyPlan>();
    }

    // ---- What a test sets and sees ----

    std::size_t connection_count = 0;  ///< What `connections` lists
    std::size_t connections_given = 0; ///< How far its readers have come
    std::function<void(HandoverResult)> handover_done;
    telemetry::CoreCounters counters;

    // ---- Operations ----

    [[nodiscard]] const std::string& config_path() const override { return config_path_; }
    [[nodiscard]] const std::string& version() const override { return version_; }
    [[nodiscard]] WallTime started() const override { return {}; }
    [[nodiscard]] NodePhase phase() const override { return NodePhase::running; }
    [[nodiscard]] TimePoint now() const override { return {}; }
    [[nodiscard]] const config::Model& model() const override { return model_; }
    [[nodiscard]] const Registry& registry() const override { return registry_; }
    [[nodiscard]] const Snapshot& snapshot() const override { return snapshot_; }
    [[nodiscard]] std::size_t live_generations() override { return 1; }
    [[nodiscard]] std::vector<CoreView> cores() const override
    {
        CoreView core;
        core.worker = true;
        core.counters = &counters;
        return {core};
    }
    [[nodiscard]] std::vector<PortView> ports() const override { return {}; }
    [[nodiscard]] const neigh::Adjacencies& adjacencies() const override { return adjacencies_; }
    [[nodiscard]] const EventLog& events() const override { return events_; }
    [[nodiscard]] EventLog& events() override { return events_; }
    [[nodiscard]] const Drains& drains() const override { return drains_; }
    [[nodiscard]] const ReloadReport* last_reload() const override { return nullptr; }
    [[nodiscard]] std::uint64_t outcome(proxy::Outcome) const override { return 0; }
    [[nodiscard]] std::uint64_t access_lines_lost() const override { return 0; }
    [[nodiscard]] std::uint64_t log_lines_lost() const override { return 0; }
    [[nodiscard]] std::string log_problem() const override { return {}; }
    [[nodiscard]] std::vector<std::optional<CoreUse>> core_use() override { return {std::nullopt}; }
    void connections(ConnectionCursor& cursor, std::vector<ConnectionView>& out) override
    {
        constexpr std::size_t slice = 256;
        for (std::size_t taken = 0; taken < slice && cursor.position < connection_count; ++taken, ++cursor.position) {
            out.emplace_back();
        }
        connections_given = std::max(connections_given, static_cast<std::size_t>(cursor.position));
        cursor.end = cursor.position == connection_count;
    }
    [[nodiscard]] const FileJudgement& file_on_disk() override { return file_; }
    ReloadReport reload(bool) override { return {}; }
    void drain(Drain) override {}
    bool undrain(const std::string&, const wire::Endpoint&) override { return false; }
    void handover(Duration, std::function<void(HandoverResult)> done) override { handover_done = std::move(done); }
    bool undo_handover() override { return false; }
    void set_log_level(config::LogLevel) override {}

private:
    std::string config_path_ = "/etc/sluice/sluice.yaml";
    std::string version_ = "0.0-test";
    config::Model model_;
    Registry registry_;
    Snapshot snapshot_;
    neigh::Adjacencies adjacencies_{1};
    EventLog events_;
    Drains drains_;
    FileJudgement file_;
};

} // namespace sluice::control
