// Connections to servers: opening, keeping, giving back. Owner of the loop only.
#pragma once

#include <proxy/holdings.hpp>
#include <proxy/transport.hpp>
#include <sluice/health/server.hpp>
#include <sluice/http/http1.hpp>
#include <sluice/proxy/worker.hpp>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/intrusive/list.hpp>

#include <memory>
#include <unordered_map>

namespace sluice::proxy {

class UpstreamConnections;
struct ServerConnections;

using AutoUnlink = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class UpstreamConnection final : public AutoUnlink, private Input::Watcher {
public:
    UpstreamConnection(UpstreamConnections& owner, ServerConnections& server, tcp::Stream stream,
                       const wire::Endpoint& endpoint);
    ~UpstreamConnection();

    Transport transport;
    Input input;
    http::http1::ResponseParser parser;

    [[nodiscard]] const wire::Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] ServerConnections& server() noexcept { return server_; }
    [[nodiscard]] bool reused() const noexcept { return reused_; }

private:
    friend class UpstreamConnections;
    void input_changed() noexcept override;
    static void on_idle_expired(void* self) noexcept { static_cast<UpstreamConnection*>(self)->transport.close(); }

    UpstreamConnections& owner_;
    ServerConnections& server_;
    wire::Endpoint endpoint_;
    Deadline idle_;
    Holding holding_;
    bool reused_ = false;
};

/// By list, so that a connection leaves it by dying.
using ConnectionList = boost::intrusive::list<UpstreamConnection, boost::intrusive::constant_time_size<false>>;

struct ServerConnections {
    explicit ServerConnections(std::shared_ptr<health::Server> server) : identity{std::move(server)} {}
    std::shared_ptr<health::Server> identity;
    ConnectionList idle; ///< The last one used first: the others may grow old and go.
    std::uint32_t idle_count = 0;
    std::uint32_t connections = 0;
    std::uint32_t requests = 0; ///< In progress
    bool listed = true;
};

/// Counts a request against its server while it lives.
class RequestInProgress {
public:
    explicit RequestInProgress(ServerConnections& server, std::size_t core) noexcept : server_{server}
    {
        ++server_.requests;
        server_.identity->counters(core).requests_total.add();
    }
    RequestInProgress(const RequestInProgress&) = delete;
    RequestInProgress& operator=(const RequestInProgress&) = delete;
    ~RequestInProgress() { --server_.requests; }

private:
    ServerConnections& server_;
};

/// Ends a pending connect from outside: the client has left.
class ConnectCanceller {
public:
    void cancel() noexcept
    {
        cancelled_ = true;
        signal_.emit(boost::asio::cancellation_type::terminal);
    }
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

private:
    friend class UpstreamConnections;
    boost::asio::cancellation_signal signal_;
    bool cancelled_ = false;
};

class UpstreamConnections {
public:
    using Connection = std::unique_ptr<UpstreamConnection>;

    UpstreamConnections(const WorkerParts& parts, const WorkerOptions& options, BlockPool& blocks,
                        Holdings& held) noexcept
        : parts_{parts}, options_{options}, blocks_{blocks}, held_{held}
    {
    }

    [[nodiscard]] ServerConnections& server(const std::shared_ptr<health::Server>& identity);
    [[nodiscard]] std::uint32_t requests(const health::Server* identity) const noexcept;

    /// An idle connection to exactly this endpoint, or null.
    [[nodiscard]] Connection reuse(ServerConnections& server, const wire::Endpoint& endpoint) noexcept;

    struct Connected {
        Connection connection;
        Outcome outcome = Outcome::none;
    };
    [[nodiscard]] tcp::Awaitable<Connected> connect(ServerConnections& server, wire::Endpoint endpoint,
                                                    Duration timeout, ConnectCanceller& canceller);

    /// Gives back a connection on which everything was read: kept for `keepalive`.
    void keep(Connection connection, Duration keepalive);
    /// Ends a connection; `reset` when something is still on its way.
    void discard(Connection connection, bool reset);

    /// Closes the idle connections of servers that no plan lists.
    void keep_only(const ProxyPlan& plan);
    void close_idle() noexcept;

    [[nodiscard]] std::size_t connections() const noexcept;
    [[nodiscard]] std::size_t idle() const noexcept;
    [[nodiscard]] std::size_t core() const noexcept { return options_.core; }

private:
    friend class UpstreamConnection;
    static tcp::Awaitable<void> end(Connection connection);

    const WorkerParts& parts_;
    const WorkerOptions& options_;
    BlockPool& blocks_;
    Holdings& held_;
    std::unordered_map<const health::Server*, ServerConnections> servers_;
};

} // namespace sluice::proxy
