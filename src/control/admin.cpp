#include <sluice/control/admin.hpp>

#include <sluice/control/metrics.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp; // `tcp` is a module of ours
using boost::system::error_code;

constexpr std::size_t connections_limit = 32;
constexpr std::uint32_t header_limit = 8192;
/// For a request to come, and for its answer to be taken.
constexpr auto visit_patience = std::chrono::seconds{10};
constexpr auto visit_pause = std::chrono::milliseconds{200};

wire::IpAddress address_of(const Tcp::endpoint& endpoint)
{
    // Not by way of text, where a link-local address carries its zone.
    if (endpoint.address().is_v4()) {
        return wire::IpAddress::v4(endpoint.address().to_v4().to_uint());
    }
    const auto octets = endpoint.address().to_v6().to_bytes();
    return wire::IpAddress::load_v6(reinterpret_cast<const std::byte*>(octets.data()));
}

using Response = http::response<http::string_body>;

Response respond(Operations& node, const http::request<http::empty_body>& request)
{
    Response response{http::status::ok, request.version()};
    response.keep_alive(request.keep_alive());
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    response.set(http::field::cache_control, "no-store");
    const auto target = request.target().substr(0, request.target().find('?'));
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        response.result(http::status::method_not_allowed);
        response.set(http::field::allow, "GET, HEAD");
    } else if (target == "/metrics") {
        response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
        response.body() = metrics_text(node);
    } else if (target == "/livez" || target == "/readyz") {
        const bool well = target == "/livez" ? is_alive(node) : is_ready(node);
        response.result(well ? http::status::ok : http::status::service_unavailable);
        response.body() = well ? "ok\n" : "no: see sluicectl status\n";
    } else {
        response.result(http::status::not_found);
        response.body() = "/metrics /livez /readyz\n";
    }
    response.prepare_payload();
    if (request.method() == http::verb::head) {
        response.body().clear();
    }
    return response;
}

class Visit : public std::enable_shared_from_this<Visit> {
public:
    Visit(Tcp::socket socket, Operations& node, std::shared_ptr<std::size_t> count)
        : stream_{std::move(socket)}, node_{node}, count_{std::move(count)}
    {
        ++*count_;
    }
    ~Visit() { --*count_; }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    void read()
    {
        parser_.emplace();
        parser_->header_limit(header_limit);
        parser_->body_limit(0);
        stream_.expires_after(visit_patience);
        http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](const error_code& error, std::size_t) {
            if (!error) {
                self->write();
            }
        });
    }

private:
    void write()
    {
        response_ = respond(node_, parser_->get());
        stream_.expires_after(visit_patience);
        http::async_write(stream_, response_, [self = shared_from_this()](const error_code& error, std::size_t) {
            if (!error && self->response_.keep_alive()) {
                self->read();
            }
        });
    }

    beast::tcp_stream stream_;
    Operations& node_;
    std::shared_ptr<std::size_t> count_;
    beast::flat_buffer buffer_{header_limit * 2};
    std::optional<http::request_parser<http::empty_body>> parser_;
    Response response_;
};

} // namespace

bool may_look(const wire::IpAddress& client, const config::Admin& admin)
{
    return client.is_loopback() || std::any_of(admin.allow.begin(), admin.allow.end(),
                                               [&](const auto& prefix) { return prefix->contains(client); });
}

struct AdminPage::State : std::enable_shared_from_this<AdminPage::State> {
    State(asio::io_context& context, Operations& operations) : io{context}, node{operations}, pause{context} {}

    asio::io_context& io;
    Operations& node;
    asio::steady_timer pause;
    std::optional<config::Admin> admin;
    std::shared_ptr<Tcp::acceptor> acceptor;
    std::shared_ptr<std::size_t> visits = std::make_shared<std::size_t>(0);

    void accept(const std::shared_ptr<Tcp::acceptor>& from)
    {
        from->async_accept([self = shared_from_this(), from](const error_code& error, Tcp::socket socket) {
            if (self->acceptor != from || error == asio::error::operation_aborted) {
                return;
            }
            if (error) {
                self->pause.expires_after(visit_pause);
                self->pause.async_wait([self, from](const error_code& stopped) {
                    if (!stopped && self->acceptor == from) {
                        self->accept(from);
                    }
                });
                return;
            }
            error_code unknown;
            const Tcp::endpoint client = socket.remote_endpoint(unknown);
            if (!unknown && *self->visits < connections_limit && may_look(address_of(client), *self->admin)) {
                std::make_shared<Visit>(std::move(socket), self->node, self->visits)->read();
            }
            self->accept(from);
        });
    }
};

AdminPage::AdminPage(asio::io_context& io, Operations& node) : state_{std::make_shared<State>(io, node)} {}

AdminPage::~AdminPage()
{
    if (state_->acceptor) {
        error_code ignored;
        state_->acceptor->close(ignored);
        state_->acceptor.reset();
    }
    state_->pause.cancel();
}

std::optional<MachineError> AdminPage::apply(const std::optional<config::Admin>& admin)
{
    std::shared_ptr<Tcp::acceptor> acceptor = state_->acceptor;
    const bool moved = !admin || !state_->admin || *admin->listen != *state_->admin->listen;
    if (moved) {
        acceptor.reset();
    }
    if (admin && !acceptor) {
        const wire::Endpoint& wanted = *admin->listen;
        const Tcp::endpoint endpoint{asio::ip::make_address(wanted.address.to_string()), wanted.port};
        acceptor = std::make_shared<Tcp::acceptor>(state_->io);
        error_code error;
        acceptor->open(endpoint.protocol(), error);
        if (!error) {
            acceptor->set_option(Tcp::acceptor::reuse_address{true}, error);
        }
        if (!error) {
            acceptor->bind(endpoint, error);
        }
        if (!error) {
            acceptor->listen(16, error);
        }
        if (error) {
            return MachineError{fmt::format("admin page {}: {}", wanted.to_string(), error.message()),
                                "choose another address: `admin: {listen: ADDRESS:PORT}`"};
        }
    }
    state_->admin = admin;
    if (moved) {
        const auto before = std::exchange(state_->acceptor, acceptor);
        if (before) {
            error_code ignored;
            before->close(ignored);
        }
        if (acceptor) {
            state_->accept(acceptor);
        }
    }
    return {};
}

} // namespace sluice::control
