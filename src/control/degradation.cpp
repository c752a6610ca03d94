#include "json.hpp"
#include "views.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::control {
namespace {

constexpr Duration recent = std::chrono::seconds{60};
/// Two actives advertise every interval; the longest is 41 s.
constexpr Duration two_actives_fade = std::chrono::seconds{45};
constexpr auto certificate_warning = std::chrono::hours{7 * 24};

using List = std::vector<Degradation>;

WallTime wall(const Operations& node, TimePoint time)
{
    return std::chrono::system_clock::now() -
           std::chrono::duration_cast<std::chrono::system_clock::duration>(node.now() - time);
}

std::string first_error(const Diagnostics& diagnostics)
{
    for (const Diagnostic& diagnostic : diagnostics) {
        if (diagnostic.severity == Severity::error) {
            return fmt::format("{}:{}:{}: {}", diagnostic.where.file, diagnostic.where.line, diagnostic.where.column,
                               diagnostic.message);
        }
    }
    return {};
}

void judge_phase(const Operations& node, List& found)
{
    switch (node.phase()) {
    case NodePhase::starting:
        found.push_back({"not_ready", "node",
                         "the node is not ready: ports, neighbours or first health checks are "
                         "still undecided",
                         "see `sluicectl ports` and `sluicectl servers`", node.started()});
        break;
    case NodePhase::handing_over:
        found.push_back({"handing_over", "node", "the node is giving its addresses to the peer", "", {}});
        break;
    case NodePhase::standby:
        found.push_back({"standby",
                         "node",
                         "the node is standby after a handover: it takes over only when nobody else "
                         "advertises",
                         "`sluicectl handover --undo` ends that",
                         {}});
        break;
    case NodePhase::draining:
    case NodePhase::stopping:
        found.push_back({"stopping", "node", "the node is stopping", "", {}});
        break;
    case NodePhase::running:
        break;
    }
}

void judge_configuration(Operations& node, List& found)
{
    const ReloadReport* reload = node.last_reload();
    if (reload != nullptr && !reload->applied) {
        found.push_back({"reload_failed", node.config_path(),
                         fmt::format("the last reload was refused: {}", first_error(reload->diagnostics)),
                         "mend the file, then `sluicectl reload`", reload->time});
    }
    const FileJudgement& file = node.file_on_disk();
    if (!file.model) {
        found.push_back({"file_invalid",
                         node.config_path(),
                         fmt::format("the file on the disk would not start: {}", first_error(file.diagnostics)),
                         fmt::format("`sluice check {}` shows every reason", node.config_path()),
                         {}});
    }
    if (!node.drains().save_error().empty()) {
        found.push_back({"drains_not_kept",
                         "drains",
                         "drains would not survive a restart: " + node.drains().save_error(),
                         "mend the folder of the control socket",
                         {}});
    }
}

void judge_ports(const Operations& node, List& found)
{
    for (const PortView& port : node.ports()) {
        if (!port.link_up) {
            const RecordedEvent* event = node.events().last(telemetry::EventKind::port, port.name);
            found.push_back({"port_down", port.name, fmt::format("port {} has no link", port.name),
                             "look at the cable, the switch or the peer of the virtual link",
                             event != nullptr ? std::optional{event->time} : std::nullopt});
        }
    }
}

void judge_vrrp(const Operations& node, List& found)
{
    for (const vrrp::Group& group : node.snapshot().vrrp->groups()) {
        for (const vrrp::Member& member : group.members()) {
            const vrrp::Statistics& seen = member.statistics;
            const TimePoint heard{Duration{static_cast<Duration::rep>(seen.other_active_heard.get())}};
            // Not one of before: at a handback the other node was heard while it still was the active one.
            const TimePoint active_since{Duration{static_cast<Duration::rep>(seen.last_transition.get())}};
            if (seen.other_active.get() != 0 && heard > active_since && node.now() - heard < two_actives_fade &&
                static_cast<vrrp::State>(seen.state.get()) == vrrp::State::active) {
                found.push_back(
                    {"two_actives", member.parameters.name,
                     fmt::format("{}: another node is active for the same addresses", member.parameters.name),
                     "adverts must reach both nodes: look at the link between them, and at VRIDs", wall(node, heard)});
            }
            if (static_cast<vrrp::State>(seen.state.get()) == vrrp::State::init &&
                static_cast<vrrp::Reason>(seen.last_reason.get()) == vrrp::Reason::fault) {
                const TimePoint since{Duration{static_cast<Duration::rep>(seen.last_transition.get())}};
                found.push_back(
                    {"vrrp_fault", member.parameters.name,
                     fmt::format("{} holds no address: something that it tracks has failed", member.parameters.name),
                     "see `sluicectl events`", wall(node, since)});
            }
        }
    }
}

void judge_pools(const Operations& node, List& found)
{
    const config::Model& model = node.model();
    for (const config::Pool& pool : model.pools) {
        if (!pool_failed(node.registry(), pool)) {
            continue;
        }
        std::optional<WallTime> since;
        for (const config::Server& server : pool.servers) {
            const health::Server* record = find_server(node.registry(), pool, server);
            const RecordedEvent* event =
                record != nullptr ? node.events().last(telemetry::EventKind::health, *pool.name + "/" + record->name())
                                  : nullptr;
            if (event != nullptr && (!since || event->time > *since)) {
                since = event->time;
            }
        }
        found.push_back({"pool_without_server", *pool.name,
                         fmt::format("pool {} has no server that may take anything new", *pool.name),
                         "see `sluicectl servers`", since});
        for (const config::VrrpInstance& instance : model.vrrp) {
            for (const config::Track& track : instance.track) {
                if (track.pool && **track.pool == *pool.name) {
                    found.push_back({"tracked_failed", *instance.name,
                                     fmt::format("{} tracks pool {}, which has failed", *instance.name, *pool.name),
                                     "see `sluicectl servers`", since});
                }
            }
        }
    }
}

void judge_cores(const Operations& node, List& found)
{
    for (const CoreView& core : node.cores()) {
        if (core.since_last_turn > stalled_after) {
            found.push_back({"core_stalled", fmt::format("core {}", core.index),
                             fmt::format("core {} (cpu {}) has finished no turn for {:.1f} s", core.index, core.cpu,
                                         seconds(core.since_last_turn)),
                             "another program may hold its cpu", wall(node, node.now() - core.since_last_turn)});
        } else if (core.since_late && *core.since_late < recent) {
            found.push_back({"core_late", fmt::format("core {}", core.index),
                             fmt::format("core {} (cpu {}) was late within the last minute", core.index, core.cpu),
                             "another program may use its cpu: see `sluicectl cores`",
                             wall(node, node.now() - *core.since_late)});
        }
    }
}

void judge_certificates(const Operations& node, List& found)
{
    const auto now = std::chrono::system_clock::now();
    for (const CertificateUse& use : certificates_in_use(node.snapshot())) {
        const auto left = use.certificate.not_after - now;
        if (left < certificate_warning) {
            const auto days = std::chrono::duration_cast<std::chrono::hours>(left).count() / 24;
            found.push_back({"certificate_expires",
                             use.certificate.source,
                             left.count() < 0 ? fmt::format("{} has expired", use.certificate.source)
                                              : fmt::format("{} ends in {} days", use.certificate.source, days),
                             "renew it, then `sluicectl reload`",
                             {}});
        }
    }
}

void judge_logs(const Operations& node, List& found)
{
    if (const std::string problem = node.log_problem(); !problem.empty()) {
        found.push_back(
            {"log_failed", "log", "a log cannot be written, its lines are lost: " + problem, "mend the disk", {}});
    }
}

} // namespace

std::vector<Degradation> degradations(Operations& node)
{
    List found;
    judge_vrrp(node, found);
    judge_ports(node, found);
    judge_pools(node, found);
    judge_cores(node, found);
    judge_phase(node, found);
    judge_configuration(node, found);
    judge_certificates(node, found);
    judge_logs(node, found);
    return found;
}

} // namespace sluice::control
