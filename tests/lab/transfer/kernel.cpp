// The kernel's end: blocking sockets, two threads a connection.
#include "transfer/content.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice::transfer {
namespace {

using SteadyTime = std::chrono::steady_clock;
constexpr std::size_t kernel_piece = 256 * 1024;

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

class Socket {
public:
    explicit Socket(int descriptor) : descriptor_{descriptor}
    {
        if (descriptor < 0) {
            fail("socket");
        }
    }
    Socket(Socket&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
    Socket& operator=(Socket&&) = delete;
    ~Socket()
    {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    [[nodiscard]] int get() const noexcept { return descriptor_; }

    void write(Bytes bytes) const
    {
        while (!bytes.empty()) {
            const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count < 0) {
                fail("send");
            }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    /// Empty at the end of the stream.
    [[nodiscard]] Bytes read(MutableBytes buffer) const
    {
        const ssize_t count = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
        if (count < 0) {
            fail("recv");
        }
        return buffer.first(static_cast<std::size_t>(count));
    }
    [[nodiscard]] std::uint64_t retransmissions() const
    {
        tcp_info info{};
        socklen_t size = sizeof info;
        if (::getsockopt(descriptor_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
            fail("TCP_INFO");
        }
        return info.tcpi_total_retrans;
    }

private:
    int descriptor_;
};

/// By its name on the socket: a namespace may choose for all of its sockets only what the machine allows to everybody.
Socket make_socket(int family, int kind)
{
    constexpr std::string_view congestion_control = "cubic";
    Socket socket{::socket(family, kind, 0)};
    if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, congestion_control.data(), congestion_control.size()) !=
        0) {
        fail("cubic");
    }
    return socket;
}

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] int family() const noexcept { return storage.ss_family; }
};

Address make_address(const std::string& text, std::uint16_t port)
{
    Address address;
    auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
    auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
    if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        address.size = sizeof four;
    } else if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        address.size = sizeof six;
    } else {
        throw std::invalid_argument{text + " is no address"};
    }
    return address;
}

/// Returns how much was sent.
std::uint64_t send_content(const Socket& socket, const Content& content, std::uint64_t size,
                           SteadyTime::time_point until)
{
    std::vector<std::byte> buffer(kernel_piece);
    std::uint64_t sent = 0;
    while (sent < size && SteadyTime::now() < until) {
        const MutableBytes part{buffer.data(),
                                static_cast<std::size_t>(std::min<std::uint64_t>(kernel_piece, size - sent))};
        content.write(sent, part);
        socket.write(part);
        sent += part.size();
    }
    return sent;
}

void serve(const Socket& socket, std::atomic<std::uint64_t>& again)
{
    std::vector<std::byte> buffer(kernel_piece);
    std::size_t head = 0;
    while (head < Header::size) {
        const Bytes part = socket.read(MutableBytes{buffer.data() + head, Header::size - head});
        if (part.empty()) {
            return;
        }
        head += part.size();
    }
    const auto header = Header::decode(Bytes{buffer.data(), Header::size});
    if (!header) {
        throw std::runtime_error{"no header"};
    }
    std::exception_ptr failed;
    std::thread sender{[&] {
        try {
            send_content(socket, header->down_content(), header->down, SteadyTime::time_point::max());
        } catch (...) {
            failed = std::current_exception();
        }
    }};
    Inspector inspector{header->up_content()};
    std::exception_ptr read_failed;
    try {
        for (Bytes part = socket.read(buffer); !part.empty(); part = socket.read(buffer)) {
            inspector.take(part);
        }
    } catch (...) {
        read_failed = std::current_exception();
    }
    sender.join();
    for (const auto& each : {read_failed, failed}) {
        if (each) {
            std::rethrow_exception(each);
        }
    }
    socket.write(inspector.receipt().encode());
    ::shutdown(socket.get(), SHUT_WR);
    again += socket.retransmissions();
}

/// Returns false when something was wrong.
bool make_transfer(const Settings& settings, const Job& job, std::uint64_t seed, std::atomic<std::uint64_t>& again)
{
    const auto begin = SteadyTime::now();
    std::uint64_t sent = 0;
    std::string fault;
    try {
        const Address peer = make_address(settings.peer, settings.port);
        const Socket socket = make_socket(peer.family(), SOCK_STREAM | SOCK_CLOEXEC);
        if (::connect(socket.get(), peer.get(), peer.size) != 0) {
            fail("connect");
        }
        const Header header{seed, job.up, job.down};
        const auto until = settings.seconds > 0
                               ? begin + std::chrono::microseconds{static_cast<std::int64_t>(1e6 * settings.seconds)}
                               : SteadyTime::time_point::max();
        std::string send_fault;
        std::thread sender{[&] {
            try {
                socket.write(header.encode());
                sent = send_content(socket, header.up_content(), job.up, until);
                ::shutdown(socket.get(), SHUT_WR);
            } catch (const std::exception& error) {
                send_fault = error.what();
            }
        }};
        Answer answer{header.down_content(), job.down};
        try {
            std::vector<std::byte> buffer(kernel_piece);
            for (Bytes part = socket.read(buffer); !part.empty(); part = socket.read(buffer)) {
                answer.take(part);
            }
        } catch (const std::exception& error) {
            fault = error.what();
            ::shutdown(socket.get(), SHUT_RDWR);
        }
        sender.join();
        again += socket.retransmissions();
        fault = !send_fault.empty() ? send_fault : !fault.empty() ? fault : answer.fault(sent);
    } catch (const std::exception& error) {
        fault = error.what();
    }
    const double seconds = std::chrono::duration<double>(SteadyTime::now() - begin).count();
    report({sent, job.down}, seconds, fault);
    return fault.empty();
}

int run_server(const Settings& settings)
{
    static volatile std::sig_atomic_t stopping = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { stopping = 1; };
    ::sigaction(SIGTERM, &action, nullptr); // Without SA_RESTART: accept() ends.
    const Address own = make_address(settings.address, settings.port);
    const Socket listener = make_socket(own.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    const int on = 1;
    if (::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(listener.get(), own.get(), own.size) != 0 || ::listen(listener.get(), 128) != 0) {
        fail("listen");
    }
    std::puts("started");
    std::fflush(stdout);
    static std::atomic<std::uint64_t> again = 0; // Threads may outlive main().
    while (stopping == 0) {
        pollfd wait{listener.get(), POLLIN, 0};
        if (::poll(&wait, 1, 100) <= 0) {
            continue;
        }
        const int accepted = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (accepted >= 0) {
            std::thread{[socket = Socket{accepted}] {
                try {
                    serve(socket, again);
                } catch (const std::exception& error) {
                    std::fprintf(stderr, "lab_transfer: %s\n", error.what());
                }
            }}.detach();
        }
    }
    report_retransmissions(again);
    std::_Exit(0); // Connections that are still open end with the process.
}

} // namespace

int run_kernel(const Settings& settings)
{
    if (settings.serves()) {
        return run_server(settings);
    }
    std::atomic<int> faults = 0;
    std::atomic<std::uint64_t> again = 0;
    std::vector<std::thread> running;
    std::uint64_t seed = settings.seed;
    for (const Job& job : settings.jobs) {
        auto one = [&faults, &again, &settings, job, chosen = seed++] {
            faults += make_transfer(settings, job, chosen, again) ? 0 : 1;
        };
        if (settings.together) {
            running.emplace_back(one);
        } else {
            one();
        }
    }
    for (std::thread& each : running) {
        each.join();
    }
    report_retransmissions(again);
    return faults == 0 ? 0 : 1;
}

} // namespace sluice::transfer
