// A cable with faults between two interfaces:
//
//     lab_relay INTERFACE INTERFACE SEED DROP DUPLICATE REORDER [delay=MICROSECONDS] [rate=KBIT] [queue=BYTES]
//
// Frames that arrive on one interface leave by the other. Of every 1000 IP packets, DROP are lost, DUPLICATE sent twice
// and REORDER held back until a few later ones have passed; which ones follows from SEED, each direction for itself.
// `delay` is how long every packet takes, one way. With `rate` the cable is a bottleneck of that many kbit/s in each
// direction, in front of which `queue` bytes wait and what comes then is lost.
// ARP and neighbour discovery pass: a test measures TCP, not the retry of a resolution. SIGTERM ends it; one line tells
// how many packets met which fate.
#include <algorithm>
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
#include <limits>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <random>
#include <string>
#include <string_view>
#include <sys/prctl.h>
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

/// How a cable that is longer or narrower than a veth pair treats what it does not lose.
struct Line {
    Nanoseconds delay = 0;
    std::uint64_t bytes_per_second = 0; ///< 0: no limit
    std::uint64_t queue = 64 * 1024;    ///< Bytes that wait at the bottleneck

    [[nodiscard]] Nanoseconds time_of(std::uint64_t bytes) const noexcept
    {
        return static_cast<Nanoseconds>(bytes * 1'000'000'000 / bytes_per_second);
    }
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
    Direction(int from, int to, const Faults& faults, const Line& line, std::uint64_t seed)
        : from_{from}, to_{to}, faults_{faults}, line_{line}, random_{seed}
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
        arrive(monotonic());
        return any;
    }
    /// When something leaves that is still here; the largest value when nothing is.
    [[nodiscard]] Nanoseconds next() const noexcept
    {
        Nanoseconds earliest = on_the_way_.empty() ? std::numeric_limits<Nanoseconds>::max() : on_the_way_.front().due;
        for (const Held& held : held_) {
            earliest = std::min(earliest, held.deadline);
        }
        return earliest;
    }
    void report(const char* name) const
    {
        std::printf("%s: %llu packets, %llu dropped, %llu duplicated, %llu reordered, %llu queued out, %llu not sent\n",
                    name, packets_, dropped_, duplicated_, reordered_, overflowed_, unsent_);
    }

private:
    struct Held {
        Frame frame;
        unsigned overtakers = 0; ///< That still have to pass
        Nanoseconds deadline = 0;
    };

    struct OnTheWay {
        Frame frame;
        Nanoseconds due = 0;
    };

    void pass()
    {
        if (!may_fail(frame_)) {
            transmit(frame_);
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

    /// Into the bottleneck and on its way.
    void send(const Frame& frame)
    {
        if (line_.delay == 0 && line_.bytes_per_second == 0) {
            transmit(frame);
            return;
        }
        Nanoseconds at = monotonic();
        if (line_.bytes_per_second != 0) {
            free_at_ = std::max(free_at_, at);
            if (free_at_ - at + line_.time_of(frame.size()) > line_.time_of(line_.queue)) {
                ++overflowed_;
                return;
            }
            free_at_ += line_.time_of(frame.size());
            at = free_at_;
        }
        on_the_way_.push_back({frame, at + line_.delay});
    }

    void arrive(Nanoseconds now)
    {
        for (; !on_the_way_.empty() && on_the_way_.front().due <= now; on_the_way_.pop_front()) {
            transmit(on_the_way_.front().frame);
        }
    }

    void transmit(const Frame& frame)
    {
        if (::send(to_, frame.data(), frame.size(), 0) < 0) {
            ++unsent_;
        }
    }

    int from_;
    int to_;
    Faults faults_;
    Line line_;
    std::mt19937_64 random_;
    Frame frame_;
    std::deque<Held> held_;
    std::deque<OnTheWay> on_the_way_; ///< In order: delay and rate are the same for all
    Nanoseconds free_at_ = 0;         ///< When the bottleneck has sent what waits
    unsigned long long packets_ = 0;
    unsigned long long dropped_ = 0;
    unsigned long long duplicated_ = 0;
    unsigned long long reordered_ = 0;
    unsigned long long overflowed_ = 0;
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

Line parse_line(char** begin, char** end)
{
    Line line;
    for (; begin != end; ++begin) {
        const std::string_view word{*begin};
        const std::size_t equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        const unsigned long long value = equals == std::string_view::npos ? 0 : number(word.substr(equals + 1));
        if (name == "delay") {
            line.delay = static_cast<Nanoseconds>(value) * 1000;
        } else if (name == "rate") {
            line.bytes_per_second = value * 1000 / 8;
        } else if (name == "queue") {
            line.queue = value;
        } else {
            std::fprintf(stderr, "lab_relay: %s is not known\n", *begin);
            std::exit(64);
        }
    }
    return line;
}

void wait_until(const std::array<int, 2>& sockets, Nanoseconds due)
{
    constexpr Nanoseconds longest = 100 * millisecond; // SIGTERM may come between a look at it and the wait.
    const Nanoseconds time = std::clamp<Nanoseconds>(due - monotonic(), 0, longest);
    const timespec limit{0, static_cast<long>(time)};
    std::array<pollfd, 2> wait{{{sockets[0], POLLIN, 0}, {sockets[1], POLLIN, 0}}};
    ::ppoll(wait.data(), wait.size(), &limit, nullptr);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 7) {
        std::fputs("usage: lab_relay INTERFACE INTERFACE SEED DROP DUPLICATE REORDER (per 1000 packets)\n"
                   "                 [delay=MICROSECONDS] [rate=KBIT] [queue=BYTES]\n",
                   stderr);
        return 64;
    }
    std::signal(SIGTERM, [](int) { stopping = 1; });
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const std::array sockets{open_interface(argv[1]), open_interface(argv[2])};
    const std::uint64_t seed = number(argv[3]);
    const Faults faults{static_cast<unsigned>(number(argv[4])), static_cast<unsigned>(number(argv[5])),
                        static_cast<unsigned>(number(argv[6]))};
    const Line line = parse_line(argv + 7, argv + argc);
    Direction forth{sockets[0], sockets[1], faults, line, 2 * seed};
    Direction back{sockets[1], sockets[0], faults, line, 2 * seed + 1};
    std::puts("started");
    std::fflush(stdout);
    while (stopping == 0) {
        const bool busy = static_cast<int>(forth.relay()) + static_cast<int>(back.relay()) != 0;
        if (!busy) {
            wait_until(sockets, std::min(forth.next(), back.next()));
        }
    }
    forth.report("forth");
    back.report("back");
    return 0;
}
