#include <sluice/control/verbs.hpp>

#include "json.hpp"
#include "plan.hpp"
#include "views.hpp"

#include <sluice/config/json.hpp>
#include <sluice/config/load.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace sluice::control {

namespace json = boost::json;

struct Verbs::Verb {
    std::string_view name;
    bool changes;
    json::object (*view)(Operations&); ///< Of verbs that only show
};

namespace {

constexpr Duration default_handover_timeout = std::chrono::seconds{3};
constexpr Duration longest_handover = std::chrono::minutes{5};

/// `POOL` or `POOL/SERVER`: the configured servers that it names; SERVER is a name or an address.
struct Target {
    const config::Pool* pool = nullptr;
    std::vector<const config::Server*> servers;
};

Target find_target(const config::Model& model, const std::string& text)
{
    const std::size_t slash = text.find('/');
    Target target;
    target.pool = config::find_pool(model, text.substr(0, slash));
    if (target.pool == nullptr) {
        return target;
    }
    const std::string wanted = slash == std::string::npos ? std::string{} : text.substr(slash + 1);
    for (const config::Server& server : target.pool->servers) {
        const wire::Endpoint address{server.address->address, server.address->port};
        const bool named = wanted == server.name || wanted == address.to_string() ||
                           (address.port == 0 && wanted == address.address.to_string());
        if (slash == std::string::npos || (!wanted.empty() && named)) {
            target.servers.push_back(&server);
        }
    }
    return target;
}

} // namespace

const Verbs::Verb* Verbs::find(std::string_view name) noexcept
{
    static constexpr Verb verbs[] = {
        {"status", false, status_view},
        {"services", false, services_view},
        {"pools", false, pools_view},
        {"servers", false, servers_view},
        {"connections", false, nullptr},
        {"vrrp", false, vrrp_view},
        {"ports", false, ports_view},
        {"cores", false, cores_view},
        {"drops", false, drops_view},
        {"neighbours", false, neighbours_view},
        {"certificates", false, certificates_view},
        {"config", false, nullptr},
        {"events", false, nullptr},
        {"version", false, version_view},
        {"reload", true, nullptr},
        {"plan", false, nullptr},
        {"drain", true, nullptr},
        {"undrain", true, nullptr},
        {"handover", true, nullptr},
        {"log", true, nullptr},
        {"capture", true, nullptr},
        {"explain-flow", false, nullptr},
    };
    const auto* found =
        std::find_if(std::begin(verbs), std::end(verbs), [&](const Verb& verb) { return verb.name == name; });
    return found == std::end(verbs) ? nullptr : found;
}

json::object Verbs::refusal(Exit exit, std::string_view error, std::string_view hint) const
{
    json::object object = control::answer(operations_, exit);
    object["error"] = error;
    object["hint"] = hint;
    return object;
}

void Verbs::handle(const Request& request, const Caller& caller, std::shared_ptr<Reply> reply)
{
    const Verb* verb = find(request.verb());
    if (verb == nullptr) {
        reply->answer(refusal(Exit::usage, fmt::format("there is no verb `{}`", request.verb()),
                              "`sluicectl --help` lists them"));
        return;
    }
    if (verb->changes && !caller.may_change) {
        reply->answer(refusal(Exit::refused, fmt::format("{} may look, only root may change things", caller.who)));
        return;
    }
    try {
        if (verb->view != nullptr) {
            reply->answer(verb->view(operations_));
        } else if (verb->name == "connections") {
            connections(request, reply);
        } else if (verb->name == "events") {
            events(request, reply);
        } else if (verb->name == "capture") {
            capture(request, reply);
        } else if (verb->name == "handover") {
            handover(request, reply);
        } else if (verb->name == "reload") {
            reply->answer(reload(request));
        } else if (verb->name == "plan") {
            reply->answer(plan());
        } else if (verb->name == "explain-flow") {
            reply->answer(explain(request));
        } else if (verb->name == "config") {
            reply->answer(config(request));
        } else if (verb->name == "log") {
            reply->answer(log(request));
        } else {
            reply->answer(drain(request, caller, verb->name == "drain"));
        }
    } catch (const std::invalid_argument& error) {
        reply->answer(refusal(Exit::usage, error.what()));
    }
}

json::object Verbs::drain(const Request& request, const Caller& caller, bool drained)
{
    const std::string text = request.text("target").value_or("");
    const Target target = find_target(operations_.model(), text);
    if (target.servers.empty()) {
        return refusal(Exit::refused,
                       target.pool == nullptr ? fmt::format("there is no pool `{}`", text.substr(0, text.find('/')))
                                              : fmt::format("no server of pool `{}` is `{}`", *target.pool->name, text),
                       "`sluicectl servers` lists them as POOL/SERVER");
    }
    const WallTime now = std::chrono::system_clock::now();
    json::array changed;
    for (const config::Server* server : target.servers) {
        const wire::Endpoint address{server->address->address, server->address->port};
        bool done = true;
        if (drained) {
            Drain drain{*target.pool->name, address, now, {}, caller.who, request.text("reason").value_or("")};
            if (const auto time = request.duration("for")) {
                drain.until = now + std::chrono::duration_cast<WallTime::duration>(*time);
            }
            operations_.drain(std::move(drain));
        } else {
            done = operations_.undrain(*target.pool->name, address);
        }
        if (done) {
            changed.push_back(
                json::string{*target.pool->name + "/" + (server->name.empty() ? address.to_string() : server->name)});
        }
    }
    if (changed.empty()) {
        return refusal(Exit::refused, fmt::format("`{}` was not drained", text));
    }
    json::object object = control::answer(operations_);
    object[drained ? "drained" : "undrained"] = std::move(changed);
    object["kept"] = operations_.drains().save_error().empty();
    return object;
}

json::object Verbs::reload(const Request& request)
{
    const ReloadReport report = operations_.reload(!request.flag("no_wait"));
    const Exit exit = report.applied ? Exit::success : report.file_invalid ? Exit::file_invalid : Exit::refused;
    json::object object = control::answer(operations_, exit);
    if (!report.applied) {
        object["error"] = fmt::format("reload refused, nothing has changed: {}", operations_.config_path());
        object["hint"] = "";
    }
    for (auto& [key, value] : reload_object(report)) {
        if (key != "time") {
            object[key] = std::move(value);
        }
    }
    return object;
}

json::object Verbs::plan()
{
    const FileJudgement& file = operations_.file_on_disk();
    const bool applies = file.model.has_value() && !file.needs_restart;
    json::object object = control::answer(operations_, applies                  ? Exit::success
                                                       : file.model.has_value() ? Exit::refused
                                                                                : Exit::file_invalid);
    object["file"] = operations_.config_path();
    object["applies"] = applies;
    object["diagnostics"] = config::to_json(file.diagnostics);
    json::array changes;
    if (file.model) {
        for (const Change& change : plan_changes(operations_.model(), *file.model)) {
            json::object item;
            item["change"] = word(change.kind);
            item["what"] = change.what;
            item["name"] = change.name;
            json::array details;
            for (const std::string& detail : change.details) {
                details.push_back(json::string{detail});
            }
            item["details"] = std::move(details);
            changes.push_back(std::move(item));
        }
    }
    object["changes"] = std::move(changes);
    return object;
}

json::object Verbs::explain(const Request& request)
{
    const std::string protocol = request.text("protocol").value_or("");
    const auto client = wire::Endpoint::parse(request.text("client").value_or(""));
    const auto service = wire::Endpoint::parse(request.text("service_address").value_or(""));
    if (protocol != "tcp" && protocol != "udp") {
        throw std::invalid_argument{fmt::format("`{}` is neither tcp nor udp", protocol)};
    }
    for (const char* key : {"client", "service_address"}) {
        if (const std::string text = request.text(key).value_or(""); !wire::Endpoint::parse(text)) {
            throw std::invalid_argument{
                fmt::format("`{}` is no ADDR:PORT; IPv6 stands in brackets: [2001:db8::1]:443", text)};
        }
    }
    if (client->address.is_v4() != service->address.is_v4()) {
        throw std::invalid_argument{"client and service are of different address families"};
    }
    const flow::FiveTuple tuple{client->address, service->address, client->port, service->port,
                                protocol == "tcp" ? wire::protocol::tcp : wire::protocol::udp};
    const auto explanation = operations_.explain(tuple);
    if (!explanation) {
        return refusal(Exit::refused, "the core that owns this flow did not answer in time",
                       "`sluicectl cores` shows it");
    }
    return explanation_view(operations_, tuple, *explanation);
}

json::object Verbs::config(const Request& request)
{
    const std::string running = config::print(operations_.model());
    if (!request.flag("diff")) {
        json::object object = control::answer(operations_);
        object["file"] = operations_.config_path();
        object["running"] = running;
        return object;
    }
    const FileJudgement& file = operations_.file_on_disk();
    json::object object = control::answer(operations_, file.model ? Exit::success : Exit::file_invalid);
    object["file"] = operations_.config_path();
    object["diagnostics"] = config::to_json(file.diagnostics);
    json::array lines;
    if (file.model) {
        for (const std::string& line : diff_lines(running, config::print(*file.model))) {
            lines.push_back(json::string{line});
        }
    } else {
        object["error"] = "the file on the disk is not valid";
        object["hint"] = fmt::format("`sluice check {}` shows every reason", operations_.config_path());
    }
    object["diff"] = std::move(lines);
    return object;
}

json::object Verbs::log(const Request& request)
{
    static constexpr std::string_view levels[] = {"trace", "debug", "info", "warn", "error"};
    const std::string wanted = request.text("level").value_or("");
    const auto* found = std::find(std::begin(levels), std::end(levels), wanted);
    if (found == std::end(levels)) {
        return refusal(Exit::usage, fmt::format("`{}` is no log level", wanted), "trace, debug, info, warn or error");
    }
    operations_.set_log_level(static_cast<config::LogLevel>(found - std::begin(levels)));
    json::object object = control::answer(operations_);
    object["level"] = wanted;
    return object;
}

void Verbs::handover(const Request& request, std::shared_ptr<Reply> reply)
{
    if (request.flag("undo")) {
        if (!operations_.undo_handover()) {
            reply->answer(refusal(Exit::refused, "the node is not standby"));
            return;
        }
        json::object object = control::answer(operations_);
        object["result"] = "undone";
        reply->answer(std::move(object));
        return;
    }
    const Duration timeout = std::min(request.duration("timeout").value_or(default_handover_timeout), longest_handover);
    operations_.handover(timeout, [this, reply = std::move(reply)](HandoverResult result) {
        switch (result) {
        case HandoverResult::done: {
            json::object object = control::answer(operations_);
            object["result"] = "standby";
            reply->answer(std::move(object));
            return;
        }
        case HandoverResult::nobody_took_over:
            reply->answer(refusal(Exit::refused, "no peer took over in time: this node keeps its addresses",
                                  "is the peer running and ready? see its `sluicectl status`"));
            return;
        case HandoverResult::refused:
            reply->answer(
                refusal(Exit::refused, "the node has no `vrrp`, is not ready, or is stopping or handing over already"));
            return;
        }
    });
}

} // namespace sluice::control
