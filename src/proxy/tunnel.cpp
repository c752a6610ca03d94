#include <proxy/request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

namespace sluice::proxy {
namespace {

/// Two directions of bytes that we do not understand. It ends when both have ended, one has failed, or nothing moved.
class Tunnel {
public:
    struct End {
        Transport& transport;
        Input& input;
    };

    Tunnel(Core& core, End client, End server, Duration idle)
        : core_{core}, client_{client}, server_{server}, idle_timeout_{idle},
          idle_{core.parts.loop, [](void* self) noexcept { static_cast<Tunnel*>(self)->stop(); }, this},
          client_done_{core.parts.loop}
    {
    }

    tcp::Awaitable<bool> run(std::uint64_t& from_client, std::uint64_t& from_server)
    {
        idle_.expires_after(idle_timeout_);
        boost::asio::co_spawn(client_.transport.loop().get_executor(), client_to_server(from_client),
                              boost::asio::detached);
        co_await pump(server_, client_, from_server);
        while (!client_ended_) {
            co_await client_done_.wait();
        }
        co_return idle_.expired();
    }

private:
    tcp::Awaitable<void> client_to_server(std::uint64_t& bytes)
    {
        co_await pump(client_, server_, bytes);
        client_ended_ = true;
        client_done_.notify();
    }

    tcp::Awaitable<void> pump(End from, End to, std::uint64_t& bytes)
    {
        while (!stopped_) {
            const Bytes data = from.input.data();
            if (!data.empty()) {
                const Transport::Pieces pieces = Transport::pieces({}, data);
                Stall waiting{to.transport.write_deadline()};
                core_.stalls.add(waiting, core_.parts.loop.now());
                if (co_await to.transport.write(pieces, idle_timeout_)) {
                    break;
                }
                bytes += data.size();
                from.input.consume(data.size());
                idle_.expires_after(idle_timeout_);
            } else if (!from.input.ended()) {
                co_await from.input.more();
            } else if (from.input.error() == boost::asio::error::eof) {
                co_await to.transport.shutdown_send(std::chrono::seconds{1});
                co_return; // The other direction may go on.
            } else {
                break;
            }
        }
        stop();
    }

    void stop() noexcept
    {
        stopped_ = true;
        for (End& end : {std::ref(client_), std::ref(server_)}) {
            end.transport.cancel();
            end.input.wake();
        }
    }

    Core& core_;
    End client_;
    End server_;
    Duration idle_timeout_;
    Deadline idle_;
    Signal client_done_;
    bool client_ended_ = false;
    bool stopped_ = false;
};

} // namespace

tcp::Awaitable<Outcome> Request::tunnel()
{
    ClientLeg* leg = exchange_.take_over();
    if (leg == nullptr) {
        co_return Outcome::upgrade_unexpected;
    }
    http::ResponseHead& head = upstream_->parser.head();
    http::remove_hop_by_hop(head.fields);
    if (!apply_rules(head.fields, route_->response_headers) || !http::http1::set_upgrade(head.fields, "websocket")) {
        co_return Outcome::header_rules_overflow;
    }
    stage_ = now();
    record_.status = head.status;
    record_.tunnel = true;
    response_started_ = true;
    std::string switching;
    http::http1::append_response_head(switching, head);
    const Duration idle = (*plan_)->timeouts.tunnel;
    // A tunnel outlives many generations: it must not keep the one alive in which it began.
    tunnelled_ = true;
    route_ = nullptr;
    plan_.reset();
    request_text_ = {};
    upstream_->input.deadline().expires_at(never);
    if (co_await leg->transport.write(switching, idle)) {
        co_return Outcome::client_left;
    }
    Tunnel tunnel{core_, {leg->transport, leg->input}, {upstream_->transport, upstream_->input}, idle};
    const bool timed_out = co_await tunnel.run(record_.bytes_received, record_.bytes_sent);
    co_return timed_out ? Outcome::tunnel_timeout : core_.stopping ? Outcome::stopped : Outcome::none;
}

} // namespace sluice::proxy
