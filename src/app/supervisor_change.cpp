#include "configuration_host.hpp"
#include "supervisor.hpp"

#include <sluice/control/pools.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sys/stat.h>

namespace sluice::app {
namespace {

/// A file that a glob or a certificate brought in is noticed after this.
constexpr Duration file_age = std::chrono::seconds{1};
constexpr Duration take_up_patience = std::chrono::seconds{2};

/// Changes whenever one of the files does.
std::string signature_of(const std::vector<std::string>& files)
{
    std::string signature;
    for (const std::string& file : files) {
        struct stat status {};
        if (stat(file.c_str(), &status) == 0) {
            signature += fmt::format("{}:{}:{}.{};", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                                     status.st_mtim.tv_nsec);
        } else {
            signature += "-;";
        }
    }
    return signature;
}

} // namespace

config::Loaded Supervisor::load_file() const
{
    const SystemHostProbe probe{""};
    const ConfigurationHost host{probe};
    config::Options options;
    options.host = &host;
    options.now = std::chrono::system_clock::now();
    config::Loaded loaded = config::load(config_path_, options);
    if (loaded.model && loaded.model->node.empty()) {
        loaded.model->node = host.host_name();
    }
    return loaded;
}

const control::FileJudgement& Supervisor::judge_file()
{
    const TimePoint now = clock_.now();
    if (file_judged_ != TimePoint{} && now - file_judged_ < file_age && signature_of(file_names_) == file_signature_) {
        return file_;
    }
    config::Loaded loaded = load_file();
    file_names_ = std::move(loaded.files);
    file_signature_ = signature_of(file_names_);
    file_judged_ = now;
    file_ = {std::move(loaded.model), std::move(loaded.diagnostics), false};
    if (file_.model) {
        Diagnostics refused = control::needs_restart(*model_, *file_.model);
        file_.needs_restart = !refused.empty();
        file_.diagnostics.insert(file_.diagnostics.end(), refused.begin(), refused.end());
    }
    return file_;
}

control::ReloadReport Supervisor::reload(bool wait)
{
    service_manager_.reloading();
    control::ReloadReport result = try_reload(wait);
    service_manager_.reloaded(result.applied);
    result.time = std::chrono::system_clock::now();
    if (result.applied) {
        record(telemetry::EventKind::reload, "node", "", "applied", fmt::format("generation {}", result.generation));
    } else {
        for (const Diagnostic& diagnostic : result.diagnostics) {
            spdlog::error("reload: {}", format(diagnostic));
        }
        const auto first = std::find_if(result.diagnostics.begin(), result.diagnostics.end(),
                                        [](const Diagnostic& each) { return each.severity == Severity::error; });
        record(telemetry::EventKind::reload, "node", "", "refused",
               first != result.diagnostics.end() ? fmt::format("line {}: {}", first->where.line, first->message)
                                                 : std::string{});
    }
    last_reload_ = result;
    return result;
}

control::ReloadReport Supervisor::try_reload(bool wait)
{
    control::ReloadReport result;
    result.generation = node_->current()->generation;
    config::Loaded loaded = load_file();
    result.diagnostics = std::move(loaded.diagnostics);
    if (!loaded.model) {
        result.file_invalid = true;
        return result;
    }
    Diagnostics refused = control::needs_restart(*model_, *loaded.model);
    if (!refused.empty()) {
        result.diagnostics.insert(result.diagnostics.end(), refused.begin(), refused.end());
        return result;
    }
    auto snapshot = control::compile(*loaded.model, port_facts_, registry_, node_->current());
    if (!snapshot) {
        result.file_invalid = true;
        result.diagnostics.insert(result.diagnostics.end(), snapshot.error().begin(), snapshot.error().end());
        return result;
    }
    const Duration patience = wait ? take_up_patience : Duration::zero();
    if (!node_->settle(patience)) {
        result.diagnostics.push_back({Severity::error,
                                      {config_path_, 0, 0},
                                      "a core still runs the generation before the present one",
                                      "see `sluicectl cores`, then reload again",
                                      {}});
        return result;
    }
    if (const auto problem = admin_.apply(loaded.model->admin)) {
        result.diagnostics.push_back(
            {Severity::error, loaded.model->admin->where, problem->message, problem->remedy, {}});
        return result;
    }
    // From here on nothing refuses.
    control::adopt(registry_, *loaded.model);
    drains_.apply(registry_);
    result.generation = (*snapshot)->generation;
    result.taken_up = publish(std::move(*snapshot), patience);
    result.applied = true;
    model_ = std::move(loaded.model);
    apply_log(model_->log);
    control::forget_unlisted(registry_, *model_);
    drains_.expire(std::chrono::system_clock::now(), registry_, drain_report());
    tell_tracked_pools();
    return result;
}

bool Supervisor::publish(std::unique_ptr<const control::Snapshot> snapshot, Duration patience)
{
    const bool taken_up = node_->publish(std::move(snapshot), patience);
    generations_.add(*node_->current());
    return taken_up;
}

control::DrainReport Supervisor::drain_report()
{
    return [this](const control::Drain& drain, bool drained, std::string_view why) {
        const auto found = registry_.servers.find({drain.pool, drain.server});
        const std::string name =
            found != registry_.servers.end() ? found->second.server->name() : drain.server.to_string();
        record(telemetry::EventKind::drain, drain.pool + "/" + name, drained ? "" : "drained", drained ? "drained" : "",
               fmt::format("{}{}{}", drained ? drain.who : "", drained && !why.empty() ? ": " : "", why));
        if (!drains_.save_error().empty()) {
            spdlog::error("drains are not kept over a restart: {}", drains_.save_error());
        }
    };
}

void Supervisor::servers_changed()
{
    control::adopt(registry_, *model_);
    static_cast<void>(control::advance_slow_start(registry_, *model_, clock_.now()));
    rebuild_pools(false);
    tell_tracked_pools();
}

void Supervisor::rebuild_pools(bool rising)
{
    const control::Snapshot& current = *node_->current();
    if (current.services->pools().empty()) {
        return;
    }
    auto next = std::make_unique<control::Snapshot>(current);
    ++next->generation;
    for (const auto& pool : current.services->pools()) {
        const config::Pool* const configured = config::find_pool(*model_, pool->name);
        if (!rising || (configured != nullptr && configured->slow_start)) {
            next->services = next->services->with_pool(control::rebuilt(*pool, *model_, registry_));
        }
    }
    if (!publish(std::move(next), take_up_patience)) {
        spdlog::warn("a core has not taken up the new state of servers yet");
    }
}

void Supervisor::tell_tracked_pools()
{
    std::map<std::string, bool> tracked;
    for (const config::VrrpInstance& instance : model_->vrrp) {
        for (const config::Track& track : instance.track) {
            if (track.pool) {
                tracked[**track.pool] = !control::pool_failed(registry_, *config::find_pool(*model_, **track.pool));
            }
        }
    }
    for (const auto& [name, up] : tracked) {
        const auto told = tracked_pools_.find(name);
        if (told != tracked_pools_.end() && told->second == up) {
            continue;
        }
        const vrrp::TrackedObject object{vrrp::TrackedObject::Kind::pool, registry_.pool_id(name)};
        node_->post(node_->first_forwarder_core(), [object, up = up](Core& core) {
            core.first_forwarder()->vrrp().set_tracked(object, up, core.context().now);
        });
    }
    tracked_pools_ = std::move(tracked);
}

} // namespace sluice::app
