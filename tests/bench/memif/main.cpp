// memif_generator udp|http|bulk|echo|connections|attack: traffic at one end of a memif wire. Prints JSON.
#include "generator.hpp"

#include <sluice/app/machine.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>

using namespace sluice;

int main(int count, char** words)
{
    bench::Options options;
    unsigned core = 0;
    CLI::App program{"Traffic at one end of a memif wire"};
    program.require_subcommand(1);
    program.add_option("--device", options.device, "As DPDK's --vdev")->required();
    program.add_option("--core", core);
    program.add_option("--flows", options.flows);
    program.add_option("--connections", options.connections);
    program.add_option("--rate", options.rate, "Packets or requests per second");
    program.add_option("--open-rate", options.open_rate, "Connections opened per second");
    program.add_option("--warm-up", options.warm_up_seconds);
    program.add_option("--seconds", options.seconds);
    program.add_option("--every", options.every_seconds, "Seconds between two echoes");
    program.add_option("--attack", options.attack, "What is done to the node, see attack.hpp");
    program.add_option("--attack-rate", options.attack_rate, "Its packets, or connections, per second");
    program.add_option("--attack-seconds", options.attack_seconds);
    program.add_option("--attackers", options.attackers, "Connections that it holds");
    program.add_flag("--tls", options.tls, "Connections are TLS sessions");
    program.add_flag("!--no-resolve", options.resolve, "The other end has no addresses");
    const CLI::App* const udp = program.add_subcommand("udp", "64-byte packets")->fallthrough();
    program.add_subcommand("http", "HTTP/1.1 keep-alive, clients and origin")->fallthrough();
    const CLI::App* const bulk = program.add_subcommand("bulk", "One response without end")->fallthrough();
    const CLI::App* const echo = program.add_subcommand("echo", "ICMP echoes, one at a time")->fallthrough();
    const CLI::App* const connections =
        program.add_subcommand("connections", "Open many connections and hold them")->fallthrough();
    const CLI::App* const attack = program.add_subcommand("attack", "Clients beside an attack")->fallthrough();
    CLI11_PARSE(program, count, words);
    app::MachineOptions machine_options;
    machine_options.hugepages = app::HugePageUse::automatic;
    machine_options.memory_bytes = 256U << 20U;
    machine_options.program = "memif_generator";
    auto machine = app::Machine::start(machine_options);
    if (!machine) {
        std::fprintf(stderr, "%s\n", machine.error().message.c_str());
        return 4;
    }
    static_cast<void>(app::pin_to_core(core));
    const app::MachineThread thread;
    bench::Wire wire{options};
    if (!wire.connect()) {
        std::fputs("nobody answers at the other end\n", stderr);
        return 1;
    }
    if (*echo) {
        return bench::run_echo(wire, options);
    }
    if (*bulk) {
        return bench::run_bulk(wire, options);
    }
    if (*attack) {
        return bench::run_attack(wire, options);
    }
    if (*connections) {
        return options.tls ? bench::run_secure_connections(wire, options) : bench::run_connections(wire, options);
    }
    return *udp ? bench::run_udp(wire, options) : bench::run_http(wire, options);
}
