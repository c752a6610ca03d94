#include "check_command.hpp"
#include "supervisor.hpp"

#include <config/names.hpp>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <exception>
#include <string>

#ifdef SLUICE_JEMALLOC
/// What a crowd of connections has held goes back to the system, by a thread of the allocator's own: docs/adr/0007.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
}
#endif

namespace {

using sluice::app::ExitCode;

/// What of it layer 4 has, as the configuration judges it.
template <class Choice>
std::string forwarding_words()
{
    std::string words;
    for (const auto& choice : sluice::config::Names<Choice>::table) {
        words += choice.support.forward ? ' ' + std::string{choice.name} : std::string{};
    }
    return words;
}

ExitCode version()
{
    std::printf("sluice %s\n"
                "ports: af_xdp af_packet vdev pci\n"
                "layer 4:%s;%s\n"
                "layer 7: http/1.1 http/2 tls1.2 tls1.3 websocket\n"
                "vrrp: version 3, ipv4 ipv6\n",
                SLUICE_VERSION, forwarding_words<sluice::config::Method>().c_str(),
                forwarding_words<sluice::config::Balance>().c_str());
    return ExitCode::success;
}

ExitCode run(const std::string& file)
{
    spdlog::set_default_logger(spdlog::stderr_logger_mt("sluice"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    try {
        sluice::app::Supervisor supervisor{file, SLUICE_VERSION};
        return supervisor.run();
    } catch (const std::exception& error) {
        spdlog::critical("{}", error.what());
        return ExitCode::failed;
    }
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App program{"Layer 4 and layer 7 load balancer with VRRP", "sluice"};
    program.require_subcommand(1);

    std::string config;
    CLI::App* run_command = program.add_subcommand("run", "Run in the foreground");
    run_command->add_option("--config", config, "The configuration file")->required();

    sluice::app::CheckOptions check;
    CLI::App* check_command = program.add_subcommand("check", "Judge a configuration file");
    check_command->add_flag("--host", check.host, "What this machine lacks is an error, not a warning");
    check_command->add_flag("--strict", check.strict, "Warnings are errors");
    check_command->add_flag("--print", check.print, "Write the file with every default filled in");
    check_command->add_flag("--json", check.json, "Diagnostics as one JSON object");
    check_command->add_option("FILE", check.file, "The configuration file")->required();

    CLI::App* version_command = program.add_subcommand("version", "Version and built-in features");

    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    }
    ExitCode code = ExitCode::success;
    if (run_command->parsed()) {
        code = run(config);
    } else if (check_command->parsed()) {
        code = sluice::app::check(check);
    } else if (version_command->parsed()) {
        code = version();
    }
    return static_cast<int>(code);
}
