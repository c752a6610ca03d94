// A cable with faults between two interfaces:
//
//     lab_relay INTERFACE INTERFACE SEED DROP DUPLICATE REORDER
//
// Frames that arrive on one interface leave by the other. Of every 1000 IP packets, DROP are lost, DUPLICATE sent twice
// and REORDER held back until a few later ones have passed; which ones follows from SEED, each direction for itself.
// ARP and neighbour discovery pass: a test measures TCP, not the retry of a resolution. SIGTERM ends it; one line tells
// how many packets met which fate.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <random>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Frame = std::vector<std::byte>;
using Nanoseconds = std::int64_t;
constexpr Nanoseconds millisecond = 1'000'000;
/// A packet that is held back goes on after this even when no other follows it.
constexpr Nanoseconds longest_hold = 5 * millisecond;
constexpr unsigned most_overtakers = 5;
constexpr std::size_t largest_frame = 65536;
constexpr int socket_buffer = 8 << 20;

volatile std::sig_atomic_t stopping = 0;

Nanoseconds monotonic() noexcept
{
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Nanoseconds{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void fail(const char* what)
{
    std::fprintf(stderr, "lab_relay: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

/// Of every 1000 packets.
struct Faults {
    unsigned drop = 0;
    unsigned duplicate = 0;
    unsigned reorder = 0;
};

int open_interface(const char* name)
{
    const int descriptor = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        fail("socket");
    }
    const int on = 1;
    const int size = socket_buffer;
    if (::setsockopt(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
        ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
        fail("setsockopt");
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(name));
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = address.sll_ifindex;
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (address.sll_ifindex == 0 ||
        ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0) {
        fail(name);
    }
    return descriptor;
}

/// IP, and not one of the messages that resolve addresses.
bool may_fail(const Frame& frame) noexcept
{
    constexpr std::size_t ethernet = 14;
    constexpr std::size_t ipv6 = 40;
    constexpr unsigned first_nd_type = 133;
    constexpr unsigned last_nd_type = 137;
    const auto at = [&](std::size_t offset) { return std::to_integer<unsigned>(frame[offset]); };
    if (frame.size() <= ethernet + ipv6) {
        return frame.size() > ethernet && at(12) == 0x08 && at(13) == 0x00;
    }
    if (at(12) == 0x86 && at(13) == 0xdd) {
        const unsigned type = at(ethernet + ipv6);
        return at(ethernet + 6) != IPPROTO_ICMPV6 || type < first_nd_type || type > last_nd_type;
    }
    return at(12) == 0x08 && at(13) == 0x00;
}

/// One way through the cable.
class Direction {
public:
    Direction(int from, int to, const Faults& faults, std::uint64_t seed)
        : from_{from}, to_{to}, faults_{faults}, random_{seed}
    {
    }

    /// Everything that has arrived; false when there was nothing.
    bool relay()
    {
        bool any = false;
        for (unsigned turn = 0; turn < 64; ++turn) {
            frame_.resize(largest_frame);
            const ssize_t size = ::recv(from_, frame_.data(), frame_.size(), 0);
            if (size <= 0) {
                break;
            }
            frame_.resize(static_cast<std::size_t>(size));
            any = true;
            pass();
        }
        release(monotonic());
        return any;
    }
    [[nodiscard]] bool holds() const noexcept { return !held_.empty(); }
    void report(const char* name) const
    {
        std::printf("%s: %llu packets, %llu dropped, %llu duplicated, %llu reordered, %llu not sent\n", name, packets_,
                    dropped_, duplicated_, reordered_, unsent_);
    }

private:
    struct Held {
        Frame frame;
        unsigned overtakers = 0; ///< That still have to pass
        Nanoseconds deadline = 0;
    };

    void pass()
    {
        if (!may_fail(frame_)) {
            send(frame_);
            return;
        }
        ++packets_;
        const auto happens = [this](unsigned per_mille) { return random_() % 1000 < per_mille; };
        // All three are drawn for every packet, so that one fate does not shift the others.
        const bool drop = happens(faults_.drop);
        const bool duplicate = happens(faults_.duplicate);
        const bool reorder = happens(faults_.reorder);
        if (drop) {
            ++dropped_;
            return;
        }
        if (reorder) {
            ++reordered_;
            held_.push_back(
                {frame_, 1 + static_cast<unsigned>(random_() % most_overtakers), monotonic() + longest_hold});
            return;
        }
        send(frame_);
        if (duplicate) {
            ++duplicated_;
            send(frame_);
        }
        for (Held& held : held_) {
            held.overtakers -= held.overtakers == 0 ? 0 : 1;
        }
        release(0);
    }

    /// Sends on what enough others have overtaken, and what waits since before `now` allows.
    void release(Nanoseconds now)
    {
        for (auto held = held_.begin(); held != held_.end();) {
            if (held->overtakers == 0 || held->deadline <= now) {
                send(held->frame);
                held = held_.erase(held);
            } else {
                ++held;
            }
        }
    }

    void send(const Frame& frame)
    {
        if (::send(to_, frame.data(), frame.size(), 0) < 0) {
            ++unsent_;
        }
    }

    int from_;
    int to_;
    Faults faults_;
    std::mt19937_64 random_;
    Frame frame_;
    std::deque<Held> held_;
    unsigned long long packets_ = 0;
    unsigned long long dropped_ = 0;
    unsigned long long duplicated_ = 0;
    unsigned long long reordered_ = 0;
    unsigned long long unsent_ = 0;
};

unsigned long long number(std::string_view text)
{
    unsigned long long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        std::fprintf(stderr, "lab_relay: %s is not a number\n", std::string{text}.c_str());
        std::exit(64);
    }
    return value;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 7) {
        std::fputs("usage: lab_relay INTERFACE INTERFACE SEED DROP DUPLICATE REORDER (per 1000 packets)\n", stderr);
        return 64;
    }
    std::signal(SIGTERM, [](int) { stopping = 1; });
    const std::array sockets{open_interface(argv[1]), open_interface(argv[2])};
    const std::uint64_t seed = number(argv[3]);
    const Faults faults{static_cast<unsigned>(number(argv[4])), static_cast<unsigned>(number(argv[5])),
                        static_cast<unsigned>(number(argv[6]))};
    Direction forth{sockets[0], sockets[1], faults, 2 * seed};
    Direction back{sockets[1], sockets[0], faults, 2 * seed + 1};
    std::puts("started");
    std::fflush(stdout);
    while (stopping == 0) {
        const bool busy = static_cast<int>(forth.relay()) + static_cast<int>(back.relay()) != 0;
        if (!busy) {
            std::array<pollfd, 2> wait{{{sockets[0], POLLIN, 0}, {sockets[1], POLLIN, 0}}};
            ::poll(wait.data(), wait.size(), forth.holds() || back.holds() ? 1 : 100);
        }
    }
    forth.report("forth");
    back.report("back");
    return 0;
}
