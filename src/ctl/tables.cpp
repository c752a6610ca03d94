#include <ctl/tables.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::ctl {
namespace {

namespace json = boost::json;

using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

const json::value& at(const json::object& object, std::string_view key)
{
    static const json::value null;
    const json::value* found = object.if_contains(key);
    return found != nullptr ? *found : null;
}

/// The objects or texts of a list; none when there is no such list.
const json::array& list_at(const json::object& object, std::string_view key)
{
    static const json::array none;
    const json::value& value = at(object, key);
    return value.is_array() ? value.as_array() : none;
}

/// A value as a cell; `-` for what there is not.
std::string cell(const json::value& value)
{
    switch (value.kind()) {
    case json::kind::null:
        return "-";
    case json::kind::string:
        return value.as_string().empty() ? "-" : std::string{std::string_view{value.as_string()}};
    case json::kind::bool_:
        return value.as_bool() ? "yes" : "no";
    case json::kind::double_:
        return fmt::format("{:.1f}", value.as_double());
    case json::kind::array: {
        std::string list;
        for (const json::value& item : value.as_array()) {
            list += (list.empty() ? "" : ",") + cell(item);
        }
        return list.empty() ? "-" : list;
    }
    default:
        return json::serialize(value);
    }
}

std::string cell(const json::object& object, std::string_view key) { return cell(at(object, key)); }

double number(const json::object& object, std::string_view key)
{
    json::error_code error;
    const auto result = at(object, key).to_number<double>(error);
    return error ? 0 : result;
}

std::string text(const json::object& object, std::string_view key)
{
    const json::value& value = at(object, key);
    return value.is_string() ? std::string{std::string_view{value.as_string()}} : std::string{};
}

/// "14:03:59" of "2026-01-31T14:03:59.123Z", with the day when it is not today's.
std::string short_time(const std::string& time, const std::string& now)
{
    if (time.size() < 19) {
        return "-";
    }
    return now.substr(0, 10) == time.substr(0, 10) ? time.substr(11, 8) : time.substr(0, 10) + " " + time.substr(11, 8);
}

template <class Make>
Rows rows_of(const json::object& answer, std::string_view key, Make make)
{
    Rows rows;
    const json::value& list = at(answer, key);
    if (list.is_array()) {
        for (const json::value& item : list.as_array()) {
            if (item.is_object()) {
                rows.push_back(make(item.as_object()));
            }
        }
    }
    return rows;
}

Rows columns(const json::object& answer, std::string_view key, const std::vector<std::string_view>& keys)
{
    return rows_of(answer, key, [&](const json::object& item) {
        Row row;
        for (const std::string_view each : keys) {
            row.push_back(cell(item, each));
        }
        return row;
    });
}

std::string vrrp_table(const json::object& answer)
{
    return format_table({"INSTANCE", "GROUP", "STATE", "FOR", "REASON", "PRIORITY", "PEER", "ADDRESSES"},
                        rows_of(answer, "vrrp", [](const json::object& item) {
                            const bool moved = at(item, "since_seconds").is_number();
                            return Row{cell(item, "name"),   cell(item, "group"),
                                       cell(item, "state"),  moved ? duration_text(number(item, "since_seconds")) : "-",
                                       cell(item, "reason"), cell(item, "priority"),
                                       cell(item, "peer"),   cell(item, "addresses")};
                        }));
}

std::string diagnostics_text(const json::value& diagnostics)
{
    std::string out;
    if (!diagnostics.is_array()) {
        return out;
    }
    for (const json::value& item : diagnostics.as_array()) {
        const json::object& one = item.as_object();
        out += number(one, "line") != 0
                   ? fmt::format("{}:{}:{}: ", text(one, "file"), cell(one, "line"), cell(one, "column"))
                   : text(one, "file") + ": ";
        out += fmt::format("{}: {}\n", text(one, "severity"), text(one, "message"));
        if (!text(one, "hint").empty()) {
            out += fmt::format("    hint: {}\n", text(one, "hint"));
        }
    }
    return out;
}

std::string event_text(const json::object& event, const std::string& now)
{
    if (at(event, "lost").is_number()) {
        return fmt::format("... {} events were lost: this reader is too slow", cell(event, "lost"));
    }
    const std::string from = text(event, "from");
    const std::string to = text(event, "to");
    std::string change = from.empty() ? to : to.empty() ? from + " ended" : from + " -> " + to;
    const std::string reason = text(event, "reason");
    return fmt::format("{}  {:<8}  {}: {}{}", now.empty() ? text(event, "time") : short_time(text(event, "time"), now),
                       text(event, "kind"), text(event, "subject"), change, reason.empty() ? "" : " (" + reason + ")");
}

std::string status_text(const json::object& answer)
{
    const std::string now = text(answer, "time");
    const json::value& configuration = at(answer, "configuration");
    std::string out = fmt::format("node {}: {}, {}\n", text(answer, "node"), text(answer, "state"),
                                  cell(answer, "well") == "yes" ? "well" : "DEGRADED");
    out +=
        fmt::format("version {}, started {}, generation {} of {}\n", text(answer, "version"), text(answer, "started"),
                    configuration.is_object() ? cell(configuration.as_object(), "generation") : "-",
                    configuration.is_object() ? text(configuration.as_object(), "file") : "-");
    out += fmt::format("{} services, {} pools, {} of {} servers take new work, {} drained\n", cell(answer, "services"),
                       cell(answer, "pools"), cell(answer, "servers_accepting"), cell(answer, "servers"),
                       cell(answer, "drains"));
    const json::value& degraded = at(answer, "degraded");
    if (degraded.is_array() && !degraded.as_array().empty()) {
        out += "\ndegraded:\n";
        for (const json::value& item : degraded.as_array()) {
            const json::object& one = item.as_object();
            const std::string since = text(one, "since");
            out += fmt::format("  {}{}\n", text(one, "what"),
                               since.empty() ? "" : " (since " + short_time(since, now) + ")");
            if (!text(one, "hint").empty()) {
                out += fmt::format("      {}\n", text(one, "hint"));
            }
        }
    }
    if (const json::value& vrrp = at(answer, "vrrp"); vrrp.is_array() && !vrrp.as_array().empty()) {
        out += "\n" + vrrp_table(answer);
    }
    if (configuration.is_object()) {
        const json::value& disk = at(configuration.as_object(), "on_disk");
        if (disk.is_object() && cell(disk.as_object(), "valid") == "yes" &&
            cell(disk.as_object(), "differs") == "yes") {
            out += fmt::format("\nthe file on the disk differs from what runs: `sluicectl reload --plan` shows what "
                               "would change\n");
        }
    }
    const json::value& events = at(answer, "events");
    if (events.is_array() && !events.as_array().empty()) {
        out += "\nlast changes:\n";
        for (const json::value& item : events.as_array()) {
            out += "  " + event_text(item.as_object(), now) + "\n";
        }
    }
    return out;
}

std::string servers_text(const json::object& answer)
{
    const std::string now = text(answer, "time");
    return format_table(
        {"POOL", "SERVER", "ADDRESS", "WEIGHT", "STATUS", "SINCE", "ACTIVE", "INACTIVE", "TOTAL", "REQUESTS",
         "FAILURES", "WHY"},
        rows_of(answer, "servers", [&](const json::object& item) {
            std::string why = text(item, "reason");
            std::string status = cell(item, "status");
            if (at(item, "full").is_bool() && at(item, "full").as_bool()) {
                status += ",full";
            }
            if (const json::value& drain = at(item, "drain"); drain.is_object()) {
                const json::object& drained = drain.as_object();
                status += ",drained";
                why =
                    fmt::format("drained by {} at {}{}{}", text(drained, "by"), short_time(text(drained, "since"), now),
                                at(drained, "until").is_string() ? " until " + short_time(text(drained, "until"), now)
                                                                 : std::string{},
                                text(drained, "reason").empty() ? "" : ": " + text(drained, "reason"));
            }
            return Row{cell(item, "pool"),
                       cell(item, "server"),
                       cell(item, "address"),
                       cell(item, "weight"),
                       status,
                       short_time(text(item, "since"), now),
                       cell(item, "flows_active"),
                       cell(item, "flows_inactive"),
                       cell(item, "flows_total"),
                       cell(item, "requests_total"),
                       cell(item, "failures_total"),
                       why};
        }));
}

std::string cores_text(const json::object& answer)
{
    const auto counter = [](const json::object& item, std::string_view key) {
        const json::value& counters = at(item, "counters");
        return counters.is_object() ? cell(counters.as_object(), key) : "-";
    };
    const auto used = [](const json::object& item, std::string_view key) {
        const json::value& use = at(item, "use");
        return use.is_object() ? cell(use.as_object(), key) : std::string{"?"};
    };
    const std::string cores = format_table({"CORE", "CPU", "ROLES", "LAST TURN", "TURN P50", "P99", "MAX", "LATE",
                                            "RECEIVED", "SENT", "FLOWS", "CLIENTS", "REQUESTS"},
                                           rows_of(answer, "cores", [&](const json::object& item) {
                                               return Row{cell(item, "core"),
                                                          cell(item, "cpu"),
                                                          cell(item, "roles"),
                                                          duration_text(number(item, "since_last_turn_seconds")),
                                                          duration_text(number(item, "turn_p50_microseconds") / 1e6),
                                                          duration_text(number(item, "turn_p99_microseconds") / 1e6),
                                                          duration_text(number(item, "turn_max_microseconds") / 1e6),
                                                          counter(item, "turns_late_total"),
                                                          counter(item, "packets_received_total"),
                                                          counter(item, "packets_transmitted_total"),
                                                          used(item, "flows"),
                                                          used(item, "client_connections"),
                                                          used(item, "requests")};
                                           }));
    Rows shares;
    static_cast<void>(rows_of(answer, "cores", [&](const json::object& item) {
        const json::value& use = at(item, "use");
        if (use.is_object()) {
            for (Row& row : columns(use.as_object(), "memory", {"share", "count", "used_bytes", "limit_bytes"})) {
                row.insert(row.begin(), cell(item, "core"));
                shares.push_back(std::move(row));
            }
        }
        return Row{};
    }));
    return shares.empty() ? cores : cores + '\n' + format_table({"CORE", "MEMORY", "COUNT", "BYTES", "OF"}, shares);
}

std::string drops_text(const json::object& answer)
{
    Rows rows = columns(answer, "drops", {"packets_total", "reason", "meaning", "advice"});
    std::erase_if(rows, [](const Row& row) { return row.front() == "0"; });
    return rows.empty() ? "nothing was dropped\n" : format_table({"PACKETS", "REASON", "MEANING", "WHAT TO DO"}, rows);
}

std::string certificates_text(const json::object& answer)
{
    return format_table({"SERVICE", "NAMES", "KEY", "ENDS", "LEFT", "FILE"},
                        rows_of(answer, "certificates", [](const json::object& item) {
                            const double left = number(item, "remaining_seconds");
                            return Row{cell(item, "service"),
                                       cell(item, "names"),
                                       cell(item, "key"),
                                       text(item, "not_after").substr(0, 10),
                                       left < 0 ? "expired" : duration_text(left),
                                       cell(item, "file")};
                        }));
}

std::string plan_text(const json::object& answer)
{
    std::string out = diagnostics_text(at(answer, "diagnostics"));
    const json::value& changes = at(answer, "changes");
    if (changes.is_array()) {
        for (const json::value& item : changes.as_array()) {
            const json::object& change = item.as_object();
            out += fmt::format("{} {} {}\n", text(change, "change"), text(change, "what"), text(change, "name"));
            for (const json::value& line : list_at(change, "details")) {
                out += fmt::format("    {}\n", cell(line));
            }
        }
        if (changes.as_array().empty()) {
            out += "nothing would change\n";
        }
    }
    out += cell(answer, "applies") == "yes" ? "a reload would apply this\n" : "a reload would be refused\n";
    return out;
}

std::string explanation_text(const json::object& answer)
{
    Rows rows;
    for (const json::value& item : list_at(answer, "steps")) {
        const json::object& step = item.as_object();
        const bool written = step.contains("line");
        rows.push_back({text(step, "step"), text(step, "decision"),
                        written ? fmt::format("{}:{}:{}", text(step, "file"), cell(step, "line"), cell(step, "column"))
                                : std::string{}});
    }
    return format_table({"STEP", "DECISION", "WHERE"}, rows);
}

std::string reload_text(const json::object& answer)
{
    std::string out = diagnostics_text(at(answer, "diagnostics"));
    if (cell(answer, "applied") == "yes") {
        out += fmt::format("reloaded: generation {}{}\n", cell(answer, "generation"),
                           cell(answer, "taken_up") == "yes" ? "" : ", not yet taken up by every core");
    }
    return out;
}

std::string config_text(const json::object& answer)
{
    if (const json::value& diff = at(answer, "diff"); diff.is_array()) {
        std::string out = diagnostics_text(at(answer, "diagnostics"));
        for (const json::value& line : diff.as_array()) {
            out += cell(line) + "\n";
        }
        return out.empty() ? "the file on the disk means what runs\n" : out;
    }
    return text(answer, "running");
}

} // namespace

std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows)
{
    std::vector<std::size_t> widths;
    for (const std::string& title : header) {
        widths.push_back(title.size());
    }
    for (const Row& row : rows) {
        for (std::size_t column = 0; column < widths.size(); ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    const auto line = [&](const Row& row) {
        std::string out;
        for (std::size_t column = 0; column < widths.size(); ++column) {
            const std::string& text = row[column];
            const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
            const std::size_t padding = widths[column] - text.size();
            out += column == 0 ? "" : "  ";
            out += digits ? std::string(padding, ' ') + text : text;
            if (!digits && column + 1 != widths.size()) {
                out += std::string(padding, ' ');
            }
        }
        return out + "\n";
    };
    std::string out = line(header);
    for (const Row& row : rows) {
        out += line(row);
    }
    return out;
}

std::string duration_text(double seconds)
{
    if (seconds < 0.001) {
        return fmt::format("{:.0f}us", seconds * 1e6);
    }
    if (seconds < 1) {
        return fmt::format("{:.0f}ms", seconds * 1e3);
    }
    const auto whole = static_cast<std::int64_t>(seconds);
    if (whole < 60) {
        return fmt::format("{}s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}m{}s", whole / 60, whole % 60);
    }
    if (whole < 86400) {
        return fmt::format("{}h{}m", whole / 3600, whole % 3600 / 60);
    }
    return fmt::format("{}d{}h", whole / 86400, whole % 86400 / 3600);
}

std::string render(std::string_view verb, const json::object& answer)
{
    const auto list = [&](const std::vector<std::string>& header, std::string_view key,
                          const std::vector<std::string_view>& keys) {
        return format_table(header, columns(answer, key, keys));
    };
    if (verb == "status") {
        return status_text(answer);
    }
    if (verb == "services") {
        return list({"SERVICE", "KIND", "METHOD", "TLS", "LISTEN", "POOLS"}, "services",
                    {"name", "kind", "method", "tls", "listen", "pools"});
    }
    if (verb == "pools") {
        return list({"POOL", "BALANCE", "SERVERS", "TAKING", "DOWN", "DRAINED", "CHECKED", "SERVICES"}, "pools",
                    {"name", "balance", "servers", "accepting", "down", "drained", "checked", "services"});
    }
    if (verb == "servers") {
        return servers_text(answer);
    }
    if (verb == "vrrp") {
        return vrrp_table(answer);
    }
    if (verb == "ports") {
        return list({"PORT", "LINK", "MAC", "MTU", "RECEIVED", "BYTES", "SENT", "BYTES", "LOST IN", "LOST OUT"},
                    "ports",
                    {"name", "link", "mac", "mtu_bytes", "packets_received_total", "bytes_received_total",
                     "packets_transmitted_total", "bytes_transmitted_total", "receive_dropped_total",
                     "transmit_dropped_total"});
    }
    if (verb == "cores") {
        return cores_text(answer);
    }
    if (verb == "drops") {
        return drops_text(answer);
    }
    if (verb == "neighbours") {
        return list({"PORT", "ADDRESS", "MAC", "STATE"}, "neighbours", {"port", "address", "mac", "state"});
    }
    if (verb == "certificates") {
        return certificates_text(answer);
    }
    if (verb == "explain-flow") {
        return explanation_text(answer);
    }
    if (verb == "plan") {
        return plan_text(answer);
    }
    if (verb == "reload") {
        return reload_text(answer);
    }
    if (verb == "config") {
        return config_text(answer);
    }
    if (verb == "drain" || verb == "undrain") {
        return fmt::format("{}: {}\n", verb == "drain" ? "drained" : "undrained",
                           cell(answer, verb == "drain" ? "drained" : "undrained"));
    }
    if (verb == "handover") {
        return text(answer, "result") == "undone" ? "takes part in the election again\n"
                                                  : "the peer has the addresses; this node is standby\n";
    }
    if (verb == "log") {
        return fmt::format("log level {}\n", text(answer, "level"));
    }
    return fmt::format("sluice {} (node {})\n", text(answer, "version"), text(answer, "node"));
}

std::string connections_header()
{
    return "LAYER  PROTOCOL  STATE          CLIENT/REMOTE -> SERVICE/LOCAL -> SERVER\n";
}

std::string render_line(std::string_view verb, const json::object& line)
{
    if (verb == "events") {
        return event_text(line, {}) + "\n";
    }
    std::string path = number(line, "layer") == 4
                           ? fmt::format("{} -> {} -> {} (as {}, {}, {} left)", text(line, "client"),
                                         text(line, "service"), text(line, "server"), text(line, "local"),
                                         text(line, "method"), duration_text(number(line, "remaining_seconds")))
                           : fmt::format("{} -> {} (rtt {}, in {}, out {})", text(line, "remote"), text(line, "local"),
                                         duration_text(number(line, "smoothed_rtt_seconds")),
                                         cell(line, "bytes_received_total"), cell(line, "bytes_sent_total"));
    return fmt::format("{:<5}  {:<8}  {:<13}  {}\n{}", cell(line, "layer"), text(line, "protocol"), text(line, "state"),
                       path, line.contains("recovery") ? connection_detail(line) : "");
}

} // namespace sluice::ctl
