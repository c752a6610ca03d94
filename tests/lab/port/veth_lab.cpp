#include "veth_lab.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sluice::lab {
namespace {

constexpr int patience_ms = 10'000;

bool enter(const std::string& name_space)
{
    const int descriptor = ::open(("/run/netns/" + name_space).c_str(), O_RDONLY | O_CLOEXEC);
    const bool entered = descriptor >= 0 && ::setns(descriptor, CLONE_NEWNET) == 0;
    if (descriptor >= 0) {
        ::close(descriptor);
    }
    return entered;
}

} // namespace

std::string missing_privilege()
{
    if (::geteuid() != 0) {
        return "making network namespaces needs root";
    }
    return run({"ip", "-V"}) ? "" : "the program `ip` is not installed";
}

bool run(const std::vector<std::string>& command)
{
    const pid_t process = ::fork();
    if (process == 0) {
        std::vector<char*> arguments;
        for (const std::string& argument : command) {
            arguments.push_back(const_cast<char*>(argument.c_str()));
        }
        arguments.push_back(nullptr);
        const int null = ::open("/dev/null", O_WRONLY);
        ::dup2(null, STDOUT_FILENO);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    int status = 0;
    return ::waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

VethLab::VethLab()
{
    static int counter = 0;
    const std::string suffix = std::to_string(::getpid()) + "-" + std::to_string(counter++);
    port_namespace_ = "sluice-port-" + suffix;
    peer_namespace_ = "sluice-peer-" + suffix;
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-lab-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
    ready_ = !directory_.empty() && run({"ip", "netns", "add", port_namespace_}) &&
             run({"ip", "netns", "add", peer_namespace_});
    for (const std::string& name_space : {port_namespace_, peer_namespace_}) {
        ready_ = ready_ && run({"ip", "netns", "exec", name_space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                                "net.ipv6.conf.default.disable_ipv6=1"});
    }
    ready_ = ready_ &&
             run({"ip", "link", "add", port_interface, "netns", port_namespace_, "type", "veth", "peer", "name",
                  peer_interface, "netns", peer_namespace_}) &&
             ip(port_namespace_, {"link", "set", port_interface, "up"}) &&
             ip(peer_namespace_, {"link", "set", peer_interface, "up"});
}

VethLab::~VethLab()
{
    run({"ip", "netns", "del", port_namespace_});
    run({"ip", "netns", "del", peer_namespace_});
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

bool VethLab::ip(const std::string& name_space, std::vector<std::string> arguments)
{
    std::vector<std::string> command{"ip", "-n", name_space};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command);
}

void VethLab::inside(const std::string& name_space, const std::function<void()>& body)
{
    std::thread{[&] {
        ASSERT_TRUE(enter(name_space));
        body();
    }}.join();
}

void Child::Channel::say(char word) const { static_cast<void>(::send(descriptor_, &word, 1, MSG_NOSIGNAL)); }

char Child::Channel::hear() const
{
    pollfd entry{descriptor_, POLLIN, 0};
    char word = 0;
    return ::poll(&entry, 1, patience_ms) == 1 && ::recv(descriptor_, &word, 1, 0) == 1 ? word : '\0';
}

Child::Child(const std::string& name_space, const std::function<void(const Channel&)>& body)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return;
    }
    process_ = ::fork();
    if (process_ == 0) {
        ::close(ends[0]);
        EXPECT_TRUE(name_space.empty() || enter(name_space));
        body(Channel{ends[1]});
        std::fflush(nullptr);
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    ::close(ends[1]);
    descriptor_ = ends[0];
}

Child::~Child()
{
    kill();
    ::close(descriptor_);
}

void Child::kill()
{
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }
}

bool Child::succeeded()
{
    int status = 0;
    const bool ended = process_ > 0 && ::waitpid(process_, &status, 0) == process_;
    process_ = -1;
    if (ended && WIFSIGNALED(status)) {
        ADD_FAILURE() << "the child was ended by signal " << WTERMSIG(status);
    }
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool become_service(const std::vector<unsigned>& capabilities, const std::string& directory)
{
    constexpr uid_t nobody = 65534;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    for (const unsigned capability : capabilities) {
        data[capability / 32].effective |= 1U << capability % 32;
        data[capability / 32].permitted |= 1U << capability % 32;
    }
    return ::chown(directory.c_str(), nobody, nobody) == 0 &&
           ::setenv("RUNTIME_DIRECTORY", directory.c_str(), 1) == 0 && ::prctl(PR_SET_KEEPCAPS, 1) == 0 &&
           ::setresgid(nobody, nobody, nobody) == 0 && ::setresuid(nobody, nobody, nobody) == 0 &&
           ::syscall(SYS_capset, &header, data) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

RawPeer::RawPeer(const std::string& name_space, const std::string& interface)
{
    VethLab::inside(name_space, [&] {
        socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
        const int buffer = 16 << 20;
        const int yes = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        ::setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
        ASSERT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    });
}

RawPeer::~RawPeer() { ::close(socket_); }

bool RawPeer::send(Bytes frame) const
{
    return ::send(socket_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

std::optional<std::vector<std::byte>> RawPeer::receive(std::uint16_t ether_type) const
{
    constexpr int wait_ms = 2000;
    pollfd entry{socket_, POLLIN, 0};
    while (::poll(&entry, 1, wait_ms) == 1) {
        std::vector<std::byte> frame(65536);
        sockaddr_ll from{};
        socklen_t length = sizeof from;
        const ssize_t size =
            ::recvfrom(socket_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (size >= 14 && from.sll_pkttype != PACKET_OUTGOING && load16(frame.data() + 12) == ether_type) {
            frame.resize(static_cast<std::size_t>(size));
            return frame;
        }
    }
    return std::nullopt;
}

} // namespace sluice::lab
