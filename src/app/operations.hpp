// The running node as the control socket sees it.
#pragma once

#include <sluice/control/operations.hpp>

namespace sluice::app {

class Supervisor;

class NodeOperations final : public control::Operations {
public:
    explicit NodeOperations(Supervisor& supervisor) noexcept : supervisor_{supervisor} {}

    [[nodiscard]] const std::string& config_path() const override;
    [[nodiscard]] const std::string& version() const override;
    [[nodiscard]] control::WallTime started() const override;
    [[nodiscard]] control::NodePhase phase() const override;
    [[nodiscard]] TimePoint now() const override;
    [[nodiscard]] const config::Model& model() const override;
    [[nodiscard]] const control::Registry& registry() const override;
    [[nodiscard]] const control::Snapshot& snapshot() const override;
    [[nodiscard]] std::size_t live_generations() override;
    [[nodiscard]] std::vector<control::CoreView> cores() const override;
    [[nodiscard]] std::vector<control::PortView> ports() const override;
    [[nodiscard]] const neigh::Adjacencies& adjacencies() const override;
    [[nodiscard]] const control::EventLog& events() const override;
    [[nodiscard]] control::EventLog& events() override;
    [[nodiscard]] const control::Drains& drains() const override;
    [[nodiscard]] const control::ReloadReport* last_reload() const override;
    [[nodiscard]] std::uint64_t outcome(proxy::Outcome outcome) const override;
    [[nodiscard]] std::uint64_t refused(http::Reason reason) const override;
    [[nodiscard]] std::uint64_t access_lines_lost() const override;
    [[nodiscard]] std::uint64_t log_lines_lost() const override;
    [[nodiscard]] std::string log_problem() const override;

    [[nodiscard]] std::vector<std::optional<control::CoreUse>> core_use() override;
    void connections(const std::shared_ptr<const control::ConnectionFilter>& filter, control::ConnectionCursor& cursor,
                     std::vector<control::ConnectionView>& out) override;
    [[nodiscard]] std::optional<control::FlowExplanation> explain(const flow::FiveTuple& tuple) override;
    [[nodiscard]] const control::FileJudgement& file_on_disk() override;

    control::ReloadReport reload(bool wait) override;
    void drain(control::Drain drain) override;
    bool undrain(const std::string& pool, const wire::Endpoint& server) override;
    void handover(Duration timeout, std::function<void(control::HandoverResult)> done) override;
    bool undo_handover() override;
    void set_log_level(config::LogLevel level) override;

    [[nodiscard]] Expected<std::unique_ptr<control::CaptureSource>, std::string>
    capture(const control::CaptureRequest& request) override;
    void call_later(Duration wait, std::function<void()> then) override;

private:
    Supervisor& supervisor_;
    bool capturing_ = false;
};

} // namespace sluice::app
