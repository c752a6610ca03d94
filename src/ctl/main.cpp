#include <ctl/capture.hpp>
#include <ctl/client.hpp>
#include <ctl/tables.hpp>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>

namespace {

namespace json = boost::json;
using sluice::ctl::Exit;

constexpr std::chrono::seconds patience{10};

/// What the command line asked for.
struct Command {
    std::string socket = "/run/sluice/control.sock";
    bool json = false;
    std::string verb;
    json::object request;
    bool stream = false;
    std::optional<sluice::ctl::CaptureOptions> capture;
    std::chrono::milliseconds patience{::patience};
};

/// "2h", "90s", "250ms", "1d" as seconds; nothing when it is none.
std::optional<double> parse_duration(const std::string& text)
{
    static const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    const std::size_t end = text.find_first_not_of("0123456789");
    if (end == 0 || end == std::string::npos || end > 9) {
        return {};
    }
    const auto unit = units.find(text.substr(end));
    const double value = std::strtod(text.substr(0, end).c_str(), nullptr);
    return unit == units.end() || value <= 0 ? std::nullopt : std::optional{value * unit->second};
}

const CLI::Validator duration_validator{[](std::string& text) {
                                            return parse_duration(text)
                                                       ? std::string{}
                                                       : "`" + text + "` is no duration such as 30s, 10m or 2h";
                                        },
                                        "DURATION"};

/// Verbs that only show, without options.
constexpr std::pair<const char*, const char*> views[] = {
    {"status", "What changed, when and why, and what is degraded (exit code 1)"},
    {"services", "What the node listens on"},
    {"pools", "Pools and how many of their servers take new work"},
    {"servers", "Servers with health, drains and counters"},
    {"vrrp", "VRRP instances"},
    {"ports", "Ports with link state and counters"},
    {"cores", "Packet cores"},
    {"drops", "Why packets were dropped, and what to do about it"},
    {"neighbours", "Neighbours by ARP and neighbour discovery"},
    {"certificates", "Certificates in use and when they end"},
    {"version", "The node's version"},
};

void add_connections(CLI::App& program, Command& command)
{
    struct Words {
        std::map<std::string, std::string> texts;
        std::optional<std::uint32_t> worker;
    };
    const auto words = std::make_shared<Words>();
    CLI::App* verb = program.add_subcommand("connections", "Forwarded flows and TCP connections, one per line");
    verb->add_option("--client", words->texts["client"],
                     "Only of this client: ADDR, PREFIX, each with :PORT or without");
    verb->add_option("--server", words->texts["server"], "Only to this server: the same");
    verb->add_option("--service", words->texts["service"], "Only of clients of this service");
    verb->add_option("--state", words->texts["state"], "Only in this state, such as established or time_wait");
    verb->add_option("--worker", words->worker, "Only of the worker on this core; no forwarded flows");
    verb->add_option("--detail", words->texts["endpoint"], "Everything about connections with this end, ADDR:PORT");
    verb->callback([words, &request = command.request] {
        for (const auto& [key, text] : words->texts) {
            if (!text.empty()) {
                request[key] = text;
            }
        }
        if (words->worker) {
            request["worker"] = *words->worker;
        }
        request["detail"] = !words->texts["endpoint"].empty();
    });
}

void add_explanation(CLI::App& program, Command& command)
{
    const auto words = std::make_shared<std::array<std::string, 3>>();
    CLI::App* verb = program.add_subcommand("explain-flow",
                                            "What the node would do with a flow's next packet, and which line says so");
    verb->add_option("PROTOCOL", (*words)[0], "tcp or udp")->required()->check(CLI::IsMember({"tcp", "udp"}));
    verb->add_option("CLIENT", (*words)[1], "Where it comes from, ADDR:PORT")->required();
    verb->add_option("SERVICE", (*words)[2], "Where it goes, ADDR:PORT")->required();
    verb->callback([words, &request = command.request] {
        request["protocol"] = (*words)[0];
        request["client"] = (*words)[1];
        request["service_address"] = (*words)[2];
    });
}

void add_capture(CLI::App& program, Command& command)
{
    const auto options = std::make_shared<sluice::ctl::CaptureOptions>();
    CLI::App* verb = program.add_subcommand("capture", "Packets as the node sees them, as pcapng");
    verb->add_option("--write,-w", options->file, "The file, - for standard output")->required();
    verb->add_option("--filter,-f", options->expression, "Only these, in the language of pcap-filter(7)");
    verb->add_flag("--dropped", options->dropped, "Only what is dropped, with the reason as a comment");
    // CLI11's own words name the largest double, digit by digit.
    const auto above_zero = [](const std::string& text) {
        return CLI::PositiveNumber(text).empty() ? std::string{} : "`" + text + "` is no number above 0";
    };
    verb->add_option("--count,-c", options->count, "End after so many packets")->check(above_zero);
    verb->add_option("--seconds", options->seconds, "End after so many seconds")->check(above_zero);
    verb->add_option("--snap,-s", options->snap, "Bytes of each packet, at most")
        ->check(CLI::Range(64, 65535))
        ->capture_default_str();
    verb->callback([options, &command] { command.capture = *options; });
}

void add_changes(CLI::App& program, Command& command)
{
    struct Words {
        bool diff = false;
        bool follow = false;
        bool plan = false;
        bool no_wait = false;
        bool undo = false;
        std::string target;
        std::string time;
        std::string reason;
        std::string timeout = "3s";
        std::string level;
    };
    const auto words = std::make_shared<Words>();
    json::object& request = command.request;

    add_connections(program, command);
    add_capture(program, command);
    add_explanation(program, command);

    CLI::App* config = program.add_subcommand("config", "The configuration that runs");
    config->add_flag("--diff", words->diff, "Its difference from the file on the disk");
    config->callback([words, &request] { request["diff"] = words->diff; });

    CLI::App* events = program.add_subcommand("events", "The last 10,000 state changes with their reasons");
    events->add_flag("--follow,-f", words->follow, "Go on as they happen");
    events->callback([words, &request, &command] {
        request["follow"] = words->follow;
        command.patience = words->follow ? std::chrono::milliseconds{0} : command.patience;
    });

    CLI::App* reload = program.add_subcommand("reload", "Read the file again: applied whole, or refused whole");
    CLI::Option* plan = reload->add_flag("--plan", words->plan, "Only show what would change");
    reload->add_flag("--no-wait", words->no_wait, "Do not wait until every core has taken it up")->excludes(plan);
    reload->callback([words, &request, &command] {
        request["no_wait"] = words->no_wait;
        command.verb = words->plan ? "plan" : "reload";
    });

    for (const char* name : {"drain", "undrain"}) {
        const bool drains = std::string_view{name} == "drain";
        CLI::App* verb =
            program.add_subcommand(name, drains ? "Give a server or a whole pool nothing new" : "End a drain");
        verb->add_option("POOL[/SERVER]", words->target, "A pool, or one server by name or address")->required();
        if (drains) {
            verb->add_option("--for", words->time, "End it after this time")->check(duration_validator);
            verb->add_option("--reason", words->reason, "Shown by `servers` and `events`");
        }
        verb->callback([words, &request] {
            request["target"] = words->target;
            request["reason"] = words->reason;
            if (const auto seconds = parse_duration(words->time)) {
                request["for_seconds"] = *seconds;
            }
        });
    }

    CLI::App* handover = program.add_subcommand("handover", "Give the addresses to the peer and stand by");
    handover->add_option("--timeout", words->timeout, "How long the peer may take")->check(duration_validator);
    handover->add_flag("--undo", words->undo, "Take part in the election again");
    handover->callback([words, &request, &command] {
        request["undo"] = words->undo;
        request["timeout_seconds"] = parse_duration(words->timeout).value_or(3);
        // Proxied connections may finish first: the node's stop.drain bounds that, not we.
        command.patience = words->undo ? command.patience : std::chrono::milliseconds{0};
    });

    CLI::App* log = program.add_subcommand("log", "Change the log level until the next reload");
    log->add_option("LEVEL", words->level, "trace, debug, info, warn or error")
        ->required()
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
    log->callback([words, &request] { request["level"] = words->level; });
}

/// A node that says no: its words to the people's channel.
void show_error(const json::object& answer)
{
    const auto text = [&](const char* key) {
        const json::value* value = answer.if_contains(key);
        return value != nullptr && value->is_string() ? std::string{value->as_string().c_str()} : std::string{};
    };
    fmt::print(stderr, "sluicectl: {}\n", text("error"));
    if (!text("hint").empty()) {
        fmt::print(stderr, "    hint: {}\n", text("hint"));
    }
}

int run(const Command& command)
{
    int exit = static_cast<int>(Exit::success);
    bool first = true;
    const auto receive = [&](const json::object& answer, const std::string& line) {
        if (const json::value* code = answer.if_contains("exit_code"); code != nullptr && code->is_int64()) {
            exit = static_cast<int>(code->as_int64());
        }
        const bool failed = answer.contains("error");
        if (command.json) {
            fmt::print("{}\n", line);
        } else if (!command.stream) {
            fmt::print("{}",
                       failed && !answer.contains("diagnostics") ? "" : sluice::ctl::render(command.verb, answer));
        } else if (!failed) {
            fmt::print("{}{}", first && command.verb == "connections" ? sluice::ctl::connections_header() : "",
                       sluice::ctl::render_line(command.verb, answer));
        }
        if (failed && !command.json) {
            show_error(answer);
        }
        first = false;
        // A reader that has gone (`| head`) ends the conversation.
        return std::fflush(stdout) == 0 && !failed;
    };
    const auto done =
        sluice::ctl::converse({command.socket, command.patience}, command.request, command.stream, receive);
    if (!done) {
        fmt::print(stderr, "sluicectl: {}\n", done.error());
        return static_cast<int>(Exit::no_answer);
    }
    return exit;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App program{"Asks and steers a running Sluice node", "sluicectl"};
    Command command;
    program.require_subcommand(1);
    program.add_option("--socket", command.socket, "The node's control socket")->capture_default_str();
    program.add_flag("--json", command.json, "For programs");
    program.fallthrough();
    for (const auto& [name, what] : views) {
        program.add_subcommand(name, what);
    }
    add_changes(program, command);
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
    }
    if (command.verb.empty()) {
        command.verb = program.get_subcommands().front()->get_name();
    }
    if (command.capture) {
        return static_cast<int>(sluice::ctl::capture(command.socket, *command.capture));
    }
    command.request["verb"] = command.verb;
    command.stream = command.verb == "connections" || command.verb == "events";
    return run(command);
}
