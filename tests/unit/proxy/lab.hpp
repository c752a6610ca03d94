// Three hosts in virtual time: a client, the proxy under test, an origin. Each has a TCP stack of its own; a wire
// carries IP packets between them.
#pragma once

#include <sluice/packet/heap_pool.hpp>
#include <sluice/proxy/worker.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/wire/parse.hpp>

#include <proxy/transport.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sluice::proxy::test {

/// What most servers here answer.
inline constexpr const char* hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

class Lab;
class Peer;

/// A machine with one address.
class Host final : public tcp::Output, public tcp::PortAllocator {
public:
    Host(Lab& lab, const wire::IpAddress& address, std::uint16_t first_port);

    wire::IpAddress address;
    tcp::Loop loop;
    packet::HeapPool pool;
    telemetry::CoreCounters counters;
    tcp::Stack stack;
    tls::BufferPool tls_buffers{256};
    tls::HandshakeGate gate;
    BlockPool blocks{1024};
    std::vector<std::weak_ptr<Peer>> peers; ///< That began here.

    std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{};
    }
    packet::Packet allocate(Purpose) noexcept override { return pool.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress& destination,
                  tcp::Path) noexcept override;
    std::uint16_t choose(const wire::IpAddress&, const wire::Endpoint&,
                         const tcp::PortQuestion& question) noexcept override;

    /// One turn; true when something ran.
    bool turn();

private:
    Lab& lab_;
    std::uint16_t next_port_;
};

/// One end of a connection, as scripts use it: everything it received, and a queue to send.
class Peer {
public:
    Peer(Host& host, tcp::Stream stream);
    Peer(Host& host, tcp::Stream stream, std::shared_ptr<const tls::ClientContext> tls, std::string server_name,
         const tls::Session& resume);

    std::string received;
    bool ended = false; ///< End of data, in order or not.
    bool was_reset = false;
    bool secure_failed = false;
    std::string alpn;
    std::function<void(Peer&)> on_data;
    std::size_t requests = 0; ///< For scripts that count.

    void send(std::string text);
    void finish(); ///< FIN after what was sent.
    /// Over TLS: ends the session after what was sent, then writes these bytes to the connection as they are.
    void end_session_and_send(std::string raw);
    void close() { transport_.close(); }
    void reset() { transport_.abort(); }
    void pause() { paused_ = true; } ///< Reads no more.
    void resume();
    void dispose(); ///< Ends its coroutines, which hold it.
    [[nodiscard]] bool sent_all() const noexcept { return unsent_.empty() && !writing_; }
    [[nodiscard]] std::size_t unsent() const noexcept { return unsent_.size(); }
    [[nodiscard]] tls::Session session() { return transport_.secure()->engine().session(); }
    std::string take() { return std::exchange(received, {}); }

    static void start(const std::shared_ptr<Peer>& self, bool handshake);

private:
    static tcp::Awaitable<void> read(std::shared_ptr<Peer> self, bool handshake);
    static tcp::Awaitable<void> write(std::shared_ptr<Peer> self);

    Host& host_;
    Transport transport_;
    Input input_;
    Signal write_;
    Signal resume_;
    std::string unsent_;
    std::string after_session_;
    bool writing_ = false;
    bool finishing_ = false;
    bool paused_ = false;
    bool disposed_ = false;
};

using PeerRef = std::shared_ptr<Peer>;

/// A server of a pool that plays a script.
class Origin {
public:
    Origin(Host& host, std::uint16_t port);
    ~Origin();

    [[nodiscard]] wire::Endpoint endpoint() const noexcept { return endpoint_; }
    std::function<void(Peer&)> on_accept;
    /// Whenever a peer has received something.
    std::function<void(Peer&)> on_data;
    std::vector<PeerRef> peers;

    /// Answers every complete request (heads without bodies) with `answer`.
    void answer_each(std::string answer);

private:
    Host& host_;
    wire::Endpoint endpoint_;
};

class Lab final : public Environment {
public:
    Lab();
    ~Lab() override;

    FakeClock clock;
    Host client;
    Host node;
    Host origin;

    std::vector<AccessRecord> records;
    std::unique_ptr<Worker> worker;

    std::optional<wire::IpAddress> source_for(const wire::IpAddress& server) noexcept override;
    void record_access(const AccessRecord& record) noexcept override { records.push_back(record); }

    /// A server record that health allows.
    [[nodiscard]] static std::shared_ptr<health::Server> make_server(const std::string& name,
                                                                     const wire::Endpoint& endpoint);
    /// A service on port 80 whose only route leads to these servers.
    [[nodiscard]] static std::shared_ptr<ServicePlan> make_plan(std::vector<std::shared_ptr<health::Server>> servers);
    [[nodiscard]] static Pool& pool_of(ServicePlan& plan);
    void apply(const std::vector<std::shared_ptr<ServicePlan>>& services);
    /// Another worker, before the first apply().
    void use(const WorkerOptions& options);

    [[nodiscard]] PeerRef connect(std::uint16_t port = 80);
    [[nodiscard]] PeerRef connect_tls(const std::shared_ptr<const tls::ClientContext>& context, const std::string& name,
                                      std::uint16_t port = 443, const tls::Session& resume = nullptr);

    /// Runs until `done` or until `limit` of virtual time has passed; whether it was done.
    bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds{10});
    /// Runs for this long in virtual time.
    void run_for(Duration duration);

    /// Packets to this address vanish.
    std::optional<wire::IpAddress> blackhole;

private:
    friend class Host;
    struct InFlight {
        packet::Packet packet;
        wire::IpAddress destination;
    };
    bool step();
    [[nodiscard]] TimePoint next_deadline();

    std::deque<InFlight> wire_;
};

/// Whether a message with this head and Content-Length or no body is complete in `text`.
[[nodiscard]] std::size_t complete_message(const std::string& text);

} // namespace sluice::proxy::test
