#include <sluice/app/machine.hpp>
#include <sluice/app/machine_check.hpp>
#include <sluice/port/dpdk_log.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

namespace sluice::app {
namespace {

// Directories that EAL left for processes which are gone: it makes one per file prefix, and ours carries the process
// id.
void remove_stale_directories(const std::string& program)
{
    const std::string prefix = program + "-";
    std::error_code ignored;
    const std::filesystem::path own = rte_eal_get_runtime_dir();
    for (const auto& entry : std::filesystem::directory_iterator{own.parent_path(), ignored}) {
        const std::string name = entry.path().filename();
        if (!name.starts_with(prefix) || entry.path() == own) {
            continue;
        }
        const int process = std::atoi(name.c_str() + prefix.size());
        if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) {
            std::filesystem::remove_all(entry.path(), ignored);
        }
    }
}

struct Choice {
    bool hugepages = false;
    std::string reason;
};

Expected<Choice, MachineError> choose_pages(const MachineOptions& options)
{
    const MemoryFacts memory = SystemHostProbe{""}.memory();
    const std::string wanted = std::to_string(options.memory_bytes / mebibyte) + " MiB";
    const std::string free = std::to_string(memory.free_hugepage_bytes / mebibyte) + " MiB";
    switch (options.hugepages) {
    case HugePageUse::off:
        return Choice{false, "hugepages are off"};
    case HugePageUse::required:
        if (memory.free_hugepage_bytes < options.memory_bytes) {
            return failure(hugepages_missing(options.memory_bytes, memory));
        }
        return Choice{true, "hugepages are required"};
    case HugePageUse::automatic:
        break;
    }
    if (memory.free_hugepage_bytes >= options.memory_bytes) {
        return Choice{true, free + " of hugepages are free"};
    }
    return Choice{false, memory.free_hugepage_bytes == 0 ? "no hugepages are free"
                                                         : "only " + free + " of hugepages are free"};
}

// Every CPU of the process may run the first thread, which EAL would otherwise pin.
std::string first_thread_on(const std::vector<unsigned>& cores)
{
    std::string list;
    for (const unsigned core : cores) {
        list += (list.empty() ? "" : ",") + std::to_string(core);
    }
    return "0@(" + list + ")";
}

std::vector<std::string> eal_arguments(const MachineOptions& options, bool hugepages,
                                       const std::vector<unsigned>& cores)
{
    std::vector<std::string> arguments{options.program,
                                       "--lcores=" + first_thread_on(cores),
                                       "--file-prefix=" + options.program + "-" + std::to_string(::getpid()),
                                       "--no-telemetry",
                                       "-m",
                                       std::to_string(options.memory_bytes / mebibyte)};
    // With hugepages EAL keeps everything in anonymous memory and needs no mount; without, it does not offer that.
    arguments.emplace_back(hugepages ? "--in-memory" : "--no-huge");
    if (!hugepages) {
        arguments.emplace_back("--no-shconf");
    }
    if (options.pci.empty()) {
        arguments.emplace_back("--no-pci");
        // Physical addresses would tear pools into pieces, and AF_XDP needs them whole.
        arguments.emplace_back("--iova-mode=va");
    }
    for (const std::string& address : options.pci) {
        arguments.push_back("--allow=" + address);
    }
    return arguments;
}

class AffinityKeeper {
public:
    AffinityKeeper() { valid_ = ::pthread_getaffinity_np(::pthread_self(), sizeof set_, &set_) == 0; }
    ~AffinityKeeper()
    {
        if (valid_) {
            ::pthread_setaffinity_np(::pthread_self(), sizeof set_, &set_);
        }
    }
    AffinityKeeper(const AffinityKeeper&) = delete;
    AffinityKeeper& operator=(const AffinityKeeper&) = delete;

private:
    cpu_set_t set_{};
    bool valid_ = false;
};

} // namespace

struct Machine::State {
    bool hugepages = false;
    std::string summary;
};

Machine::Machine(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;

Machine::~Machine()
{
    if (state_) {
        const std::filesystem::path directory = rte_eal_get_runtime_dir();
        static_cast<void>(rte_eal_cleanup());
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
}

Expected<Machine, MachineError> Machine::start(const MachineOptions& options)
{
    auto choice = choose_pages(options);
    if (!choice) {
        return failure(std::move(choice.error()));
    }
    std::vector<std::string> arguments = eal_arguments(options, choice->hugepages, allowed_cores());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    port::keep_dpdk_log();
    const AffinityKeeper affinity;
    if (rte_eal_init(static_cast<int>(arguments.size()), pointers.data()) < 0) {
        const std::string log = port::dpdk_errors();
        return failure(MachineError{"DPDK does not start: " + (log.empty() ? rte_strerror(rte_errno) : log),
                                    "sluice check --host FILE"});
    }
    remove_stale_directories(options.program);
    auto state = std::make_unique<State>();
    state->hugepages = choice->hugepages;
    state->summary = "memory: " + std::to_string(options.memory_bytes / mebibyte) + " MiB of " +
                     (choice->hugepages ? "hugepages" : "4 KiB pages") + " (" + choice->reason + ")";
    return Machine{std::move(state)};
}

const std::string& Machine::summary() const noexcept { return state_->summary; }
bool Machine::uses_hugepages() const noexcept { return state_->hugepages; }

MachineThread::MachineThread() : registered_{rte_thread_register() == 0} {}

MachineThread::~MachineThread()
{
    if (registered_) {
        rte_thread_unregister();
    }
}

bool pin_to_core(unsigned core) noexcept
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return core < CPU_SETSIZE && ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) == 0;
}

std::vector<unsigned> allowed_cores()
{
    std::vector<unsigned> cores;
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) == 0) {
        for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &set)) {
                cores.push_back(core);
            }
        }
    }
    return cores;
}

} // namespace sluice::app
