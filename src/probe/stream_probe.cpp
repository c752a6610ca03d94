#include <probe/running.hpp>

#include <sluice/http/http1.hpp>
#include <sluice/tls/stream.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>

namespace sluice::probe {

using health::Reason;

namespace {

tcp::ConnectionOptions connection_options()
{
    tcp::ConnectionOptions options;
    options.receive_initial = 16 * 1024;
    options.receive_limit = 64 * 1024;
    options.time_wait = std::chrono::seconds{1};
    options.linger = std::chrono::seconds{1};
    return options;
}

Reason reason_of(const tcp::ErrorCode& error, bool connected) noexcept
{
    namespace errors = boost::asio::error;
    if (error == errors::connection_refused) {
        return Reason::connection_refused;
    }
    if (error == errors::connection_reset || error == errors::broken_pipe) {
        return Reason::connection_reset;
    }
    if (error == errors::eof) {
        return Reason::connection_closed;
    }
    if (error == errors::host_unreachable || error == errors::network_unreachable) {
        return Reason::unreachable;
    }
    if (error == errors::timed_out || error == errors::operation_aborted) {
        return connected ? Reason::answer_timeout : Reason::connect_timeout;
    }
    return Reason::no_resources;
}

/// The request and its answer over any stream; only the status line and the header are read.
template <class Stream>
tcp::Awaitable<Reason> ask(Stream& stream, const HttpProbe& probe, const wire::Endpoint& target,
                           ProbeDeadline& deadline, std::uint16_t& status)
{
    std::string request = "GET " + probe.path +
                          " HTTP/1.1\r\nHost: " + (probe.host.empty() ? target.to_string() : probe.host) +
                          "\r\nUser-Agent: sluice-health\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    std::size_t sent = 0;
    while (sent < request.size()) {
        auto [error, bytes] = co_await stream.async_write_some(
            boost::asio::buffer(request.data() + sent, request.size() - sent), deadline.token());
        if (error) {
            co_return reason_of(error, true);
        }
        sent += bytes;
    }
    http::http1::ResponseParser parser;
    std::array<std::byte, 2048> buffer;
    for (;;) {
        if (deadline.over()) {
            co_return Reason::answer_timeout;
        }
        auto [error, bytes] = co_await stream.async_read_some(boost::asio::buffer(buffer), deadline.token());
        if (error) {
            co_return reason_of(error, true);
        }
        for (Bytes rest{buffer.data(), bytes}; !rest.empty();) {
            const auto progress = parser.feed(rest);
            rest = rest.subspan(progress.consumed);
            if (progress.status == http::http1::Status::refused) {
                co_return Reason::answer_invalid;
            }
            if (progress.status != http::http1::Status::complete) {
                continue;
            }
            status = parser.head().status;
            if (status >= 200 || status == 101) {
                const bool expected = std::ranges::any_of(probe.status, [&](const StatusRange& range) {
                    return status >= range.first && status <= range.last;
                });
                co_return expected ? Reason::status_expected : Reason::status_unexpected;
            }
            parser.reset();
        }
    }
}

tcp::Awaitable<Reason> ask_over_tls(Shared& shared, tcp::Stream& stream, const HttpProbe& probe,
                                    const ServerCheck& check, ProbeDeadline& deadline, std::uint16_t& status)
{
    tls::Stream<tcp::Stream&> secure{stream, probe.tls, probe.host, shared.parts.tls_buffers};
    auto [error] = co_await secure.async_handshake(deadline.token());
    if (error) {
        const bool transport = error.category() != tls::error_category();
        co_return transport                   ? reason_of(error, true)
        : error == tls::Error::out_of_buffers ? Reason::no_resources
                                              : Reason::tls_failed;
    }
    co_return co_await ask(secure, probe, check.target, deadline, status);
}

} // namespace

tcp::Awaitable<Reason> probe_stream(Shared& shared, const ServerCheck& check, ProbeDeadline& deadline,
                                    std::uint16_t& status)
{
    const auto source = shared.parts.environment.source_for(check.target.address);
    if (!source) {
        co_return Reason::unreachable;
    }
    tcp::Stream stream{shared.parts.loop.get_executor()};
    tcp::ErrorCode error;
    for (int attempt = 0; attempt < port_attempts; ++attempt) {
        const wire::Endpoint local{*source, shared.ports.take()};
        const tcp::ConnectionOptions options = connection_options();
        auto connected = co_await shared.parts.stack.async_connect(local, check.target, options, deadline.token());
        error = std::get<0>(connected);
        stream = std::move(std::get<1>(connected));
        if (error != boost::asio::error::address_in_use || deadline.over()) {
            break;
        }
    }
    if (error) {
        co_return reason_of(error, false);
    }
    Reason reason = Reason::answered;
    if (const auto* http = std::get_if<HttpProbe>(&check.method)) {
        if (http->tls) {
            reason = co_await ask_over_tls(shared, stream, *http, check, deadline, status);
        } else {
            reason = co_await ask(stream, *http, check.target, deadline, status);
        }
    }
    if (outcome(reason) == health::Outcome::success) {
        stream.close();
    } else {
        stream.abort();
    }
    co_return reason;
}

} // namespace sluice::probe
