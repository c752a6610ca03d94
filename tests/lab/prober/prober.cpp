// What a client misses, to the millisecond:
//
//     lab_prober udp|http ADDRESS PORT INTERVAL_US
//     lab_prober canary INTERVAL_US
//
// `udp` sends a numbered datagram to an echo every interval; `http` opens a new connection for one request every
// interval. SIGTERM ends it; one JSON object tells when (seconds of CLOCK_MONOTONIC) nothing succeeded. An outage
// begins with the start of the first attempt that failed and ends with the start of the next one that succeeded, so
// neither a slow echo nor a slow answer lengthens it. It runs in real time if it may: a probe that was not sent shows
// nothing.
//
// `canary` only wakes up every interval, with the priority it was started with, and tells when that was late: then the
// machine had no processor for whoever is measured either.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <map>
#include <netinet/in.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds millisecond = 1'000'000;
/// Shorter than the kernel's first retransmission of a SYN: an attempt that needed one has failed.
constexpr Nanoseconds patience = 800 * millisecond;

volatile std::sig_atomic_t stopping = 0;

Nanoseconds monotonic() noexcept
{
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Nanoseconds{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

double seconds(Nanoseconds time) noexcept { return static_cast<double>(time) / 1e9; }

struct Attempt {
    Nanoseconds start = 0;
    Nanoseconds end = 0; ///< 0: never answered
};

struct Target {
    sockaddr_storage address{};
    socklen_t size = 0;
};

bool parse(const char* text, int port, Target& target)
{
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        std::memcpy(&target.address, &v4, sizeof v4);
        target.size = sizeof v4;
        return true;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        std::memcpy(&target.address, &v6, sizeof v6);
        target.size = sizeof v6;
        return true;
    }
    return false;
}

int connect_to(const Target& target, int type)
{
    const int descriptor = socket(target.address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        std::perror("socket");
        std::exit(1);
    }
    if (connect(descriptor, reinterpret_cast<const sockaddr*>(&target.address), target.size) != 0 &&
        errno != EINPROGRESS) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

/// When to start, attempts and what became of them.
class Prober {
public:
    explicit Prober(Nanoseconds interval) : interval_{interval}, epoll_{epoll_create1(EPOLL_CLOEXEC)} {}
    virtual ~Prober() { close(epoll_); }
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;

    void run()
    {
        Nanoseconds due = monotonic();
        while (stopping == 0) {
            const Nanoseconds now = monotonic();
            if (now >= due) {
                latest_ = std::max(latest_, now - due);
                attempts.push_back({now, 0});
                start(attempts.size() - 1);
                // What was not sent in time is not sent at all: a burst would show nothing.
                due += ((now - due) / interval_ + 1) * interval_;
            }
            expire(monotonic());
            wait(due - monotonic());
        }
        const Nanoseconds end = monotonic() + patience;
        while (!settled() && monotonic() < end) {
            wait(10 * millisecond);
            expire(monotonic());
        }
    }

    void print(bool realtime) const
    {
        std::vector<Nanoseconds> latencies;
        std::size_t failed = 0;
        std::string outages;
        std::size_t run = 0;
        std::size_t longest_run = 0;
        Nanoseconds since = 0;
        const auto close_outage = [&](Nanoseconds until) {
            std::array<char, 128> text{};
            std::snprintf(text.data(), text.size(), R"(%s{"start": %.6f, "end": %.6f, "failed": %zu})",
                          outages.empty() ? "" : ", ", seconds(since), seconds(until), run);
            outages += text.data();
            longest_run = std::max(longest_run, run);
            run = 0;
        };
        for (const Attempt& attempt : attempts) {
            if (attempt.end != 0) {
                latencies.push_back(attempt.end - attempt.start);
                if (run != 0) {
                    close_outage(attempt.start);
                }
                continue;
            }
            ++failed;
            since = run++ == 0 ? attempt.start : since;
        }
        if (run != 0) {
            close_outage(attempts.back().start + interval_);
        }
        std::sort(latencies.begin(), latencies.end());
        const auto quantile = [&](double share) {
            return latencies.empty()
                       ? 0.0
                       : static_cast<double>(
                             latencies[static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1))]) /
                             1e3;
        };
        std::string reasons;
        for (const auto& [reason, count] : failures) {
            reasons += (reasons.empty() ? "\"" : ", \"") + reason + "\": " + std::to_string(count);
        }
        std::printf(
            "{\"attempts\": %zu, \"failed\": %zu, \"longest_run\": %zu, \"late_seconds\": %.6f, \"realtime\": %s, "
            "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"slowest_us\": %.1f, \"reasons\": {%s}, "
            "\"outages\": [%s]}\n",
            attempts.size(), failed, longest_run, seconds(latest_), realtime ? "true" : "false", quantile(0.5),
            quantile(0.9), quantile(0.99), quantile(1.0), reasons.c_str(), outages.c_str());
    }

protected:
    virtual void start(std::size_t number) = 0;
    virtual void ready(const epoll_event& event) = 0;
    virtual void expire(Nanoseconds now) = 0;
    [[nodiscard]] virtual bool settled() const = 0;

    void watch(int descriptor, std::uint32_t events, std::uint64_t data)
    {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
    }
    void watch_more(int descriptor, std::uint32_t events, std::uint64_t data)
    {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
    }

    std::vector<Attempt> attempts;
    std::map<std::string, std::size_t> failures;

private:
    void wait(Nanoseconds most)
    {
        most = std::max(most, Nanoseconds{0});
        const timespec timeout{most / 1'000'000'000, most % 1'000'000'000};
        std::array<epoll_event, 64> events{};
        const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
        for (int index = 0; index < count; ++index) {
            ready(events[static_cast<std::size_t>(index)]);
        }
    }

    Nanoseconds interval_;
    Nanoseconds latest_ = 0;
    int epoll_;
};

class UdpProber final : public Prober {
public:
    UdpProber(const Target& target, Nanoseconds interval) : Prober{interval}, socket_{connect_to(target, SOCK_DGRAM)}
    {
        watch(socket_, EPOLLIN, 0);
    }
    ~UdpProber() override { close(socket_); }

private:
    void start(std::size_t number) override
    {
        const std::uint64_t payload = number;
        if (send(socket_, &payload, sizeof payload, 0) < 0) {
            ++failures[std::strerror(errno)];
        }
    }
    void ready(const epoll_event&) override
    {
        std::uint64_t payload = 0;
        for (ssize_t size = 0; (size = recv(socket_, &payload, sizeof payload, 0)) != -1 || errno == ECONNREFUSED;) {
            if (size == -1) {
                ++failures["refused"];
            } else if (size == sizeof payload && payload < attempts.size() && attempts[payload].end == 0) {
                attempts[payload].end = monotonic();
                ++answered_;
            }
        }
    }
    void expire(Nanoseconds) override {}
    [[nodiscard]] bool settled() const override { return answered_ == attempts.size(); }

    int socket_;
    std::size_t answered_ = 0;
};

class HttpProber final : public Prober {
public:
    HttpProber(const Target& target, Nanoseconds interval) : Prober{interval}, target_{target} {}
    ~HttpProber() override
    {
        for (const auto& [number, connection] : connections_) {
            close(connection.descriptor);
        }
    }

private:
    struct Connection {
        int descriptor = -1;
        bool asked = false;
        std::string response;
    };

    void start(std::size_t number) override
    {
        const int descriptor = connect_to(target_, SOCK_STREAM);
        if (descriptor < 0) {
            ++failures[std::strerror(errno)];
            return;
        }
        connections_[number].descriptor = descriptor;
        watch(descriptor, EPOLLOUT, number);
    }

    void ready(const epoll_event& event) override
    {
        const std::size_t number = event.data.u64;
        const auto found = connections_.find(number);
        if (found == connections_.end()) {
            return;
        }
        Connection& connection = found->second;
        if (!connection.asked) {
            static constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: prober\r\nConnection: close\r\n\r\n";
            if (send(connection.descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
                static_cast<ssize_t>(request.size())) {
                finish(number, std::strerror(errno));
                return;
            }
            connection.asked = true;
            watch_more(connection.descriptor, EPOLLIN, number);
            return;
        }
        std::array<char, 4096> buffer{};
        const ssize_t size = recv(connection.descriptor, buffer.data(), buffer.size(), 0);
        if (size > 0) {
            connection.response.append(buffer.data(), static_cast<std::size_t>(size));
        } else if (size == 0) {
            finish(number, verdict(connection.response));
        } else if (errno != EAGAIN) {
            finish(number, std::strerror(errno));
        }
    }

    /// Empty when the response is a complete 200.
    static std::string verdict(const std::string& response)
    {
        static constexpr std::string_view good = "HTTP/1.1 200 ";
        static constexpr std::string_view length = "\r\ncontent-length: ";
        const std::size_t body = response.find("\r\n\r\n");
        if (body == std::string::npos) {
            return "closed in the head";
        }
        if (response.compare(0, good.size(), good) != 0) {
            return "status " + response.substr(9, 3);
        }
        std::string head = response.substr(0, body);
        std::transform(head.begin(), head.end(), head.begin(),
                       [](unsigned char each) { return static_cast<char>(std::tolower(each)); });
        const std::size_t field = head.find(length);
        std::size_t expected = 0;
        if (field == std::string::npos ||
            std::from_chars(head.data() + field + length.size(), head.data() + head.size(), expected).ec !=
                std::errc{}) {
            return "no length";
        }
        return response.size() - body - 4 == expected ? "" : "cut short";
    }

    void finish(std::size_t number, const std::string& failure)
    {
        close(connections_.at(number).descriptor);
        connections_.erase(number);
        if (failure.empty()) {
            attempts[number].end = monotonic();
        } else {
            ++failures[failure];
        }
    }

    void expire(Nanoseconds now) override
    {
        while (!connections_.empty() && now - attempts[connections_.begin()->first].start > patience) {
            finish(connections_.begin()->first, "no answer");
        }
    }
    [[nodiscard]] bool settled() const override { return connections_.empty(); }

    Target target_;
    std::map<std::size_t, Connection> connections_; ///< By attempt, so oldest first
};

void sleep_until(Nanoseconds time) noexcept
{
    const timespec when{time / 1'000'000'000, time % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr);
}

int watch_machine(Nanoseconds interval)
{
    constexpr Nanoseconds noteworthy = 2 * millisecond;
    std::puts("started");
    std::fflush(stdout);
    std::string late;
    for (Nanoseconds due = monotonic(); stopping == 0;) {
        sleep_until(due);
        const Nanoseconds now = monotonic();
        if (now - due > noteworthy && stopping == 0) {
            std::array<char, 96> text{};
            std::snprintf(text.data(), text.size(), R"(%s{"due": %.6f, "woke": %.6f})", late.empty() ? "" : ", ",
                          seconds(due), seconds(now));
            late += text.data();
        }
        due = std::max(due + interval, now);
    }
    std::printf("{\"late\": [%s]}\n", late.c_str());
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    Target target;
    const std::string_view kind = argc == 5 ? argv[1] : "";
    struct sigaction action {};
    action.sa_handler = [](int) { stopping = 1; };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    if (argc == 3 && std::string_view{argv[1]} == "canary" && std::atoll(argv[2]) > 0) {
        return watch_machine(std::atoll(argv[2]) * 1000);
    }
    if ((kind != "udp" && kind != "http") || !parse(argv[2], std::atoi(argv[3]), target) || std::atoi(argv[4]) <= 0) {
        std::fputs("usage: lab_prober udp|http ADDRESS PORT INTERVAL_US | canary INTERVAL_US\n", stderr);
        return 64;
    }
    const sched_param priority{20};
    const bool realtime = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    std::puts("started");
    std::fflush(stdout);
    const Nanoseconds interval = std::atoll(argv[4]) * 1000;
    const auto probe = [&](Prober&& prober) {
        prober.run();
        prober.print(realtime);
    };
    if (kind == "udp") {
        probe(UdpProber{target, interval});
    } else {
        probe(HttpProber{target, interval});
    }
    return 0;
}
