// Very many clients that each are two sequence numbers and a state: what an open connection costs the proxy, and how
// fast it answers while it holds them. Two lines of input take it from the ramp to the hold and from there to the end.
#include "host.hpp"
#include "raw_segment.hpp"

#include <sluice/base/random.hpp>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <unordered_map>
#include <vector>

namespace sluice::bench {
namespace {

namespace flag = wire::tcp_flag;
constexpr std::uint32_t first_address = 0x0a010001; ///< 10.1.0.1
constexpr std::uint32_t clients_per_address = 50'000;
constexpr std::uint16_t first_port = 10'000;
constexpr std::uint16_t node_port = 80;
constexpr std::size_t most_unanswered = 512; ///< SYNs or FINs on their way
constexpr std::uint32_t requests_at_once = 256;
constexpr std::chrono::seconds patience{1};     ///< Until something is sent again
constexpr std::chrono::seconds longest_end{60}; ///< For all connections to close

enum class State : std::uint8_t { closed, opening, open, closing };

struct Client {
    std::uint32_t next_out = 0;
    std::uint32_t next_in = 0;
    State state = State::closed;
};
static_assert(sizeof(Client) <= 12);

struct Waiting {
    std::uint32_t client;
    SteadyClock::time_point since;
};

/// A request whose response is not whole yet.
struct Asked {
    SteadyClock::time_point since;
    SteadyClock::time_point sent;
    std::size_t missing = 0; ///< 0: nothing came yet
};

class Crowd {
public:
    Crowd(Wire& wire, const Options& options)
        : wire_{wire}, options_{options}, host_{wire}, random_{random_secret()}, clients_(options.connections)
    {
    }

    int run();

private:
    [[nodiscard]] std::uint32_t client_of(const wire::ParsedPacket& parsed) const noexcept
    {
        const std::uint32_t address = parsed.destination.v4_value() - first_address;
        const std::uint32_t port = parsed.destination_port - std::uint32_t{first_port};
        const std::uint64_t index = std::uint64_t{address} * clients_per_address + port;
        return port < clients_per_address && index < clients_.size() ? static_cast<std::uint32_t>(index) : no_client;
    }

    void turn();
    bool take(packet::Packet& packet, const wire::ParsedPacket& parsed);
    void segment(std::uint32_t index, Bytes packet, const wire::ParsedPacket& parsed);
    void data(std::uint32_t index, Bytes payload);
    void send(std::uint32_t index, std::uint32_t sequence, std::uint8_t flags, std::string_view payload = {});
    void again();
    void open_more(double due);
    void ask_more(double due);
    void ask(std::uint32_t index);
    void close_more();
    void report(const char* phase, double seconds);

    static constexpr std::uint32_t no_client = ~std::uint32_t{0};

    Wire& wire_;
    const Options& options_;
    Host host_;
    Random random_;
    std::vector<Client> clients_;
    std::deque<Waiting> waiting_; ///< For the answer to a SYN or a FIN; those that have it are skipped
    std::unordered_map<std::uint32_t, Asked> asked_;
    std::vector<double> latencies_us_;
    std::uint32_t begun_ = 0; ///< Clients that were told to open, or to close
    std::uint32_t unanswered_ = 0;
    std::uint32_t open_ = 0;
    std::uint64_t requests_ = 0;
    std::uint64_t repeated_ = 0;
    std::uint64_t resets_ = 0;
    std::uint64_t closed_by_node_ = 0;
};

void Crowd::send(std::uint32_t index, std::uint32_t sequence, std::uint8_t flags, std::string_view payload)
{
    RawSegment segment;
    segment.source = wire::IpAddress::v4(first_address + index / clients_per_address);
    segment.source_port = static_cast<std::uint16_t>(first_port + index % clients_per_address);
    segment.destination_port = node_port;
    segment.sequence = sequence;
    segment.acknowledgment = (flags & flag::syn) != 0 ? 0 : clients_[index].next_in;
    segment.flags = flags;
    segment.payload = payload;
    send_segment(wire_, options_.node, segment);
}

bool Crowd::take(packet::Packet& packet, const wire::ParsedPacket& parsed)
{
    if (parsed.source_port != node_port || parsed.source != options_.node) {
        return false;
    }
    const std::uint32_t index = client_of(parsed);
    if (index != no_client) {
        segment(index, std::as_const(packet).bytes(), parsed);
    }
    return true;
}

void Crowd::segment(std::uint32_t index, Bytes packet, const wire::ParsedPacket& parsed)
{
    Client& client = clients_[index];
    const wire::Tcp tcp{packet.data() + parsed.transport_offset};
    if ((tcp.flags() & flag::rst) != 0) {
        open_ -= client.state == State::open ? 1 : 0;
        unanswered_ -= client.state == State::opening || client.state == State::closing ? 1 : 0;
        client.state = State::closed;
        asked_.erase(index);
        ++resets_;
        return;
    }
    if ((tcp.flags() & flag::syn) != 0) {
        if (client.state == State::opening) {
            client.state = State::open;
            client.next_in = tcp.sequence().value() + 1;
            ++client.next_out;
            ++open_;
            --unanswered_;
        }
        send(index, client.next_out, flag::ack);
        return;
    }
    const Bytes payload = packet.subspan(parsed.payload_offset, parsed.payload_size());
    const bool fin = (tcp.flags() & flag::fin) != 0;
    if (client.state == State::closed || (payload.empty() && !fin)) {
        return;
    }
    if (tcp.sequence().value() == client.next_in) {
        client.next_in += static_cast<std::uint32_t>(payload.size()) + (fin ? 1U : 0U);
        if (!payload.empty()) {
            data(index, payload);
        }
        if (fin && client.state == State::closing) {
            client.state = State::closed;
            --unanswered_;
        } else if (fin) {
            client.state = State::closed;
            --open_;
            ++closed_by_node_;
        }
    }
    send(index, client.next_out, flag::ack);
}

void Crowd::data(std::uint32_t index, Bytes payload)
{
    const auto found = asked_.find(index);
    if (found == asked_.end()) {
        return;
    }
    Asked& asked = found->second;
    if (asked.missing == 0) {
        asked.missing = response_size({reinterpret_cast<const char*>(payload.data()), payload.size()});
    }
    asked.missing -= std::min(asked.missing, payload.size());
    if (asked.missing == 0) {
        const std::chrono::duration<double, std::micro> took = SteadyClock::now() - asked.since;
        latencies_us_.push_back(took.count());
        asked_.erase(found);
    }
}

void Crowd::ask(std::uint32_t index)
{
    const auto now = SteadyClock::now();
    Client& client = clients_[index];
    asked_.emplace(index, Asked{now, now});
    send(index, client.next_out, flag::ack | flag::psh, http_request);
    client.next_out += static_cast<std::uint32_t>(http_request.size());
    ++requests_;
}

/// What stays unanswered is sent again.
void Crowd::again()
{
    const auto now = SteadyClock::now();
    while (!waiting_.empty() && now - waiting_.front().since > patience) {
        const std::uint32_t index = waiting_.front().client;
        waiting_.pop_front();
        const State state = clients_[index].state;
        if (state == State::opening || state == State::closing) {
            const bool opening = state == State::opening;
            send(index, clients_[index].next_out - (opening ? 0U : 1U), opening ? flag::syn : flag::fin | flag::ack);
            waiting_.push_back({index, now});
            ++repeated_;
        }
    }
    for (auto& [index, asked] : asked_) {
        if (now - asked.sent > patience && asked.missing == 0) {
            asked.sent = now;
            send(index, clients_[index].next_out - static_cast<std::uint32_t>(http_request.size()),
                 flag::ack | flag::psh, http_request);
            ++repeated_;
        }
    }
}

void Crowd::open_more(double due)
{
    while (begun_ < clients_.size() && begun_ < due && unanswered_ < most_unanswered) {
        Client& client = clients_[begun_];
        client = {static_cast<std::uint32_t>(random_.next()), 0, State::opening};
        send(begun_, client.next_out, flag::syn);
        waiting_.push_back({begun_, SteadyClock::now()});
        ++unanswered_;
        ++begun_;
    }
}

void Crowd::ask_more(double due)
{
    while (static_cast<double>(requests_) < due && asked_.size() < requests_at_once && open_ > 0) {
        const auto index = static_cast<std::uint32_t>(random_.below(begun_));
        if (clients_[index].state != State::open || asked_.contains(index)) {
            return; // Another one, next time
        }
        ask(index);
    }
}

void Crowd::close_more()
{
    while (begun_ < clients_.size() && unanswered_ < most_unanswered) {
        Client& client = clients_[begun_];
        if (client.state == State::open) {
            client.state = State::closing;
            send(begun_, client.next_out++, flag::fin | flag::ack);
            waiting_.push_back({begun_, SteadyClock::now()});
            ++unanswered_;
            --open_;
        }
        ++begun_;
    }
}

void Crowd::turn()
{
    host_.turn([this](packet::Packet& packet, const wire::ParsedPacket& parsed) { return take(packet, parsed); });
    again();
}

void Crowd::report(const char* phase, double seconds)
{
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto quantile = [this](double part) {
        return latencies_us_.empty()
                   ? 0
                   : latencies_us_[static_cast<std::size_t>(part * static_cast<double>(latencies_us_.size() - 1))];
    };
    std::printf("{\"phase\": \"%s\", \"seconds\": %.3f, \"open\": %u, \"requests\": %lu, \"answered\": %zu, "
                "\"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, \"sent_again\": %lu, \"resets\": %lu, "
                "\"closed_by_node\": %lu}\n",
                phase, seconds, open_, requests_, latencies_us_.size(), quantile(0.5), quantile(0.99), quantile(1.0),
                repeated_, resets_, closed_by_node_);
    std::fflush(stdout);
    latencies_us_.clear();
    requests_ = 0;
}

int Crowd::run()
{
    const auto since = [](SteadyClock::time_point begin) {
        return std::chrono::duration<double>(SteadyClock::now() - begin).count();
    };
    auto begin = SteadyClock::now();
    const auto settled = [this] { return unanswered_ == 0 && asked_.empty(); };
    while (begun_ < clients_.size() || !settled()) {
        open_more(since(begin) * options_.open_rate);
        ask_more(begun_ < clients_.size() ? since(begin) * options_.rate : 0);
        turn();
    }
    report("ramp", since(begin));
    static_cast<void>(std::getchar());

    begin = SteadyClock::now();
    while (since(begin) < options_.seconds || !asked_.empty()) {
        ask_more(since(begin) < options_.seconds ? since(begin) * options_.rate : 0);
        turn();
    }
    report("hold", since(begin));
    static_cast<void>(std::getchar());

    const std::uint32_t held = open_;
    begin = SteadyClock::now();
    begun_ = 0;
    while ((begun_ < clients_.size() || !settled()) && SteadyClock::now() - begin < longest_end) {
        close_more();
        turn();
    }
    report("end", since(begin));
    static_cast<void>(std::getchar());
    return held == clients_.size() && open_ == 0 && unanswered_ == 0 ? 0 : 1;
}

} // namespace

int run_connections(Wire& wire, const Options& options)
{
    Crowd crowd{wire, options};
    return crowd.run();
}

} // namespace sluice::bench
