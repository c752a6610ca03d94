#include "supervisor.hpp"

#include <sluice/app/machine_check.hpp>
#include <sluice/port/dpdk_pool.hpp>
#include <sluice/port/ethdev_port.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace sluice::app {
namespace {

/// Some thousand records of each core: what it may write while the log thread sleeps.
constexpr std::size_t access_record_bytes = 4U << 20U;

/// A machine that boots has other things to do as well.
constexpr Duration first_turn_patience = std::chrono::seconds{10};

/// systemd says where (RuntimeDirectory=); without it the usual place.
std::string runtime_directory()
{
    const char* directory = std::getenv("RUNTIME_DIRECTORY");
    return directory != nullptr && *directory != '\0' ? directory : "/run/sluice";
}

/// A folder of the service's own outlives a reboot, which the socket's does not.
std::string drains_file(const config::Model& model)
{
    const char* directory = std::getenv("STATE_DIRECTORY");
    return directory != nullptr && *directory != '\0' ? std::string{directory} + "/drains"
                                                      : model.control.socket.path + ".drains";
}

port::DeviceChoice device_of(const config::Device& device)
{
    if (device.vdev) {
        return port::VirtualDevice{**device.vdev};
    }
    if (device.pci) {
        return port::PciDevice{**device.pci};
    }
    return port::InterfaceDevice{**device.interface, device.driver == config::Driver::af_packet
                                                         ? port::InterfaceDriver::af_packet
                                                         : port::InterfaceDriver::af_xdp};
}

HugePageUse hugepages_of(config::HugePages pages) noexcept
{
    switch (pages) {
    case config::HugePages::required:
        return HugePageUse::required;
    case config::HugePages::off:
        return HugePageUse::off;
    case config::HugePages::automatic:
        break;
    }
    return HugePageUse::automatic;
}

void report(const MachineError& error, const char* severity)
{
    std::fprintf(stderr, "sluice: %s: %s\n", severity, error.message.c_str());
    if (!error.remedy.empty()) {
        std::fprintf(stderr, "    hint: %s\n", error.remedy.c_str());
    }
}

control::ServerOptions control_options(const config::Model& model)
{
    control::ServerOptions options;
    options.path = model.control.socket.path;
    if (model.control.group) {
        options.group = **model.control.group;
    }
    return options;
}

} // namespace

std::optional<StartFailure> Supervisor::start()
{
    // 1. What shall run.
    if (auto failed = read_configuration()) {
        return failed;
    }
    // 2. Can it run here? Nothing has been touched when the answer is no.
    if (auto failed = judge_machine()) {
        return failed;
    }
    // 3. DPDK's environment, and the memory for packets.
    if (auto failed = start_machine()) {
        return failed;
    }
    // 4. The ports.
    if (auto failed = open_ports()) {
        return failed;
    }
    // 5. Cores, rings and pools.
    if (auto failed = lay_out_node()) {
        return failed;
    }
    // 6. Threads, and the first generation.
    if (auto failed = publish_first()) {
        return failed;
    }
    // 7. The operator's side.
    return open_control();
}

std::optional<StartFailure> Supervisor::read_configuration()
{
    config::Loaded loaded = load_file();
    report(loaded.diagnostics);
    if (!loaded.model) {
        return StartFailure{ExitCode::file_invalid};
    }
    model_ = std::move(loaded.model);
    start_log();
    return {};
}

std::vector<unsigned> Supervisor::forwarder_cpus() const
{
    std::vector<unsigned> cpus;
    for (const auto& core : model_->cpu.forwarders) {
        cpus.push_back(*core);
    }
    return cpus.empty() ? std::vector<unsigned>{allowed_cores().front()} : cpus;
}

std::vector<unsigned> Supervisor::worker_cpus() const
{
    std::vector<unsigned> cpus;
    for (const auto& core : model_->cpu.workers) {
        cpus.push_back(*core);
    }
    return cpus.empty() ? allowed_cores() : cpus;
}

std::optional<StartFailure> Supervisor::judge_machine()
{
    MachineRequest request;
    request.hugepages = hugepages_of(model_->memory.hugepages);
    request.memory_bytes = model_->memory.size.bytes;
    request.runtime_directory = runtime_directory();
    for (const config::Port& port : model_->ports) {
        request.ports.push_back({*port.name, device_of(port.device),
                                 port.device.kernel == config::KernelAddresses::ignore,
                                 static_cast<std::uint16_t>(*port.mtu)});
    }
    request.cores = forwarder_cpus();
    for (const unsigned cpu : worker_cpus()) {
        if (std::find(request.cores.begin(), request.cores.end(), cpu) == request.cores.end()) {
            request.cores.push_back(cpu);
        }
    }
    const MachineReport found = check_machine(request, SystemHostProbe{runtime_directory()});
    for (const MachineError& warning : found.warnings) {
        app::report(warning, "warning");
    }
    for (const MachineError& error : found.errors) {
        app::report(error, "error");
    }
    if (const auto obstacle = control::Server::obstacle(control_options(*model_))) {
        app::report(*obstacle, "error");
        return StartFailure{ExitCode::machine_lacks};
    }
    return found.errors.empty() ? std::nullopt : std::optional{StartFailure{ExitCode::machine_lacks}};
}

std::optional<StartFailure> Supervisor::start_machine()
{
    const Layout layout = make_layout(forwarder_cpus(), worker_cpus());
    MemoryRequest request;
    request.total_bytes = model_->memory.size.bytes;
    request.cores = layout.cores.size();
    request.forwarders = layout.forwarder_core.size();
    request.workers = layout.worker_core.size();
    request.receive_queues = 0;
    for (const config::Port& port : model_->ports) {
        request.receive_queues += port.device.queues.value_or(static_cast<std::uint32_t>(request.forwarders));
    }
    memory_ = plan_memory(request);
    if (!memory_.fits(request.total_bytes)) {
        app::report(
            {fmt::format("memory.size is {} MiB, but {} cores with {} receive queues need at least {} MiB",
                         request.total_bytes >> 20U, request.cores, request.receive_queues,
                         (memory_.least_bytes >> 20U) + 1),
             fmt::format("set `memory: {{size: {}MiB}}` in {}", (memory_.least_bytes >> 20U) + 1, config_path_)},
            "error");
        return StartFailure{ExitCode::machine_lacks};
    }
    MachineOptions options;
    options.hugepages = hugepages_of(model_->memory.hugepages);
    // Without hugepages no buffer may cross a 4 KiB page, so each takes one; rings and queues come on top. Reserved
    // address space only: what is not touched is not used.
    options.memory_bytes = 2 * memory_.packet_bytes + (32ULL << 20U);
    for (const config::Port& port : model_->ports) {
        if (port.device.pci) {
            options.pci.push_back(**port.device.pci);
        }
    }
    auto machine = Machine::start(options);
    if (!machine) {
        app::report(machine.error(), "error");
        return StartFailure{ExitCode::machine_lacks};
    }
    machine_.emplace(std::move(*machine));
    spdlog::info("{}; {}", machine_->summary(), memory_.to_string());
    return {};
}

std::optional<StartFailure> Supervisor::open_ports()
{
    for (std::size_t index = 0; index < model_->ports.size(); ++index) {
        const config::Port& port = model_->ports[index];
        port::EthdevOptions options;
        options.name = *port.name;
        options.index = static_cast<std::uint8_t>(index);
        options.device = device_of(port.device);
        options.mtu = static_cast<std::uint16_t>(*port.mtu);
        options.queues = static_cast<std::uint16_t>(
            port.device.queues.value_or(static_cast<std::uint32_t>(forwarder_cpus().size())));
        options.receive_buffers = memory_.receive_buffers_per_queue;
        options.runtime_directory = runtime_directory();
        auto opened = port::EthdevPort::open(options);
        if (!opened) {
            app::report(opened.error(), "error");
            return StartFailure{ExitCode::machine_lacks};
        }
        spdlog::info("port {}: {}", options.name, (*opened)->describe());
        port_facts_.push_back({(*opened)->mac(), (*opened)->mtu()});
        opened_ports_.push_back(std::move(*opened));
    }
    return {};
}

std::optional<StartFailure> Supervisor::lay_out_node()
{
    Layout layout = make_layout(forwarder_cpus(), worker_cpus());
    spdlog::info("layout: {}", layout.to_string());
    std::vector<CorePools> pools;
    for (std::size_t core = 0; core < layout.cores.size(); ++core) {
        auto data = port::DpdkPool::create(fmt::format("data{}", core), memory_.data_buffers_per_core);
        auto reserve = port::DpdkPool::create(fmt::format("reserve{}", core), memory_.reserve_buffers_per_core);
        if (!data || !reserve) {
            app::report(data ? reserve.error() : data.error(), "error");
            return StartFailure{ExitCode::machine_lacks};
        }
        pools.push_back({std::move(*data), std::move(*reserve)});
    }
    NodeOptions options;
    options.core.poll = model_->cpu.idle == config::Idle::poll;
    options.access_record_bytes = access_record_bytes;
    options.core.flows = memory_.flows_per_forwarder;
    options.core.worker = {memory_.connections_per_worker,  memory_.tcp_buffer_bytes_per_worker,
                           memory_.proxy_blocks_per_worker, memory_.tls_blocks_per_worker,
                           memory_.half_open_per_worker,    memory_.time_wait_per_worker};
    registry_.workers = layout.worker_core.size();
    node_ = std::make_unique<Node>(clock_, std::move(layout), std::move(opened_ports_), std::move(pools), options);
    registry_.address_states = &node_->shared().address_states;
    registry_.server_registry = &node_->shared().servers;
    std::vector<telemetry::RecordRing*> records;
    for (std::size_t core = 0; core < node_->cores().size(); ++core) {
        records.push_back(&node_->access_records(core));
    }
    log_->read(std::move(records));
    registry_.process_ticket_keys = tls::TicketKeys::random();
    return {};
}

std::optional<StartFailure> Supervisor::publish_first()
{
    auto snapshot = control::compile(*model_, port_facts_, registry_, nullptr);
    if (!snapshot) {
        report(snapshot.error());
        return StartFailure{ExitCode::file_invalid};
    }
    control::adopt(registry_, *model_);
    if (const auto problem = drains_.load(drains_file(*model_))) {
        // Not knowing who was drained is no reason not to serve.
        spdlog::error("drains of the run before are lost: {}", *problem);
    }
    drains_.expire(std::chrono::system_clock::now(), registry_, drain_report());
    drains_.apply(registry_);
    node_->start([](const CoreRole& role, const std::function<void()>& run) {
        if (!pin_to_core(role.cpu)) {
            spdlog::warn("cpu {} is not ours to use: its core runs wherever the kernel puts it", role.cpu);
        }
        const MachineThread registration;
        run();
    });
    if (!node_->publish(std::move(*snapshot), first_turn_patience)) {
        spdlog::error("a core did not take up the configuration within {} s",
                      first_turn_patience / std::chrono::seconds{1});
        return StartFailure{ExitCode::failed};
    }
    generations_.add(*node_->current());
    servers_changed();
    return {};
}

std::optional<StartFailure> Supervisor::open_control()
{
    late_.resize(node_->cores().size());
    control_ = std::make_unique<control::Server>(io_, verbs_);
    auto problem = control_->open(control_options(*model_));
    if (!problem) {
        problem = admin_.apply(model_->admin);
    }
    if (problem) {
        app::report(*problem, "error");
        return StartFailure{ExitCode::machine_lacks};
    }
    return {};
}

void Supervisor::report(const Diagnostics& diagnostics) const
{
    for (const Diagnostic& diagnostic : diagnostics) {
        std::fputs(format(diagnostic).c_str(), stderr);
    }
}

} // namespace sluice::app
