// Clients and servers of the World, as coroutines over its TCP stack.
#pragma once

#include "support/world.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>

#include <cstdlib>
#include <string>

namespace sluice::test {

namespace asio = boost::asio;

inline constexpr std::size_t body_size = 60'000;

inline std::string body_of(std::size_t seed)
{
    std::string body(body_size, '\0');
    for (std::size_t index = 0; index < body.size(); ++index) {
        body[index] = static_cast<char>('a' + (index * 7 + index / 251 + seed) % 26);
    }
    return body;
}

inline tcp::Awaitable<std::string> read_to_end(tcp::Stream& stream)
{
    std::string all;
    char buffer[4096];
    boost::system::error_code error;
    while (true) {
        const std::size_t size =
            co_await stream.async_read_some(asio::buffer(buffer), asio::redirect_error(tcp::use_awaitable, error));
        if (error) {
            co_return all;
        }
        all.append(buffer, size);
    }
}

inline tcp::Awaitable<void> write_all(tcp::Stream& stream, std::string text)
{
    std::size_t done = 0;
    boost::system::error_code error;
    while (done < text.size() && !error) {
        done += co_await stream.async_write_some(asio::buffer(text.data() + done, text.size() - done),
                                                 asio::redirect_error(tcp::use_awaitable, error));
    }
}

/// An origin that answers one request per connection; the target says which body.
inline tcp::Awaitable<void> serve(tcp::Stream stream)
{
    std::string head;
    char buffer[2048];
    boost::system::error_code error;
    while (!error && head.find("\r\n\r\n") == std::string::npos) {
        head.append(buffer, co_await stream.async_read_some(asio::buffer(buffer),
                                                            asio::redirect_error(tcp::use_awaitable, error)));
    }
    const std::size_t number = head.starts_with("GET /") ? std::strtoul(head.c_str() + 5, nullptr, 10) : 0;
    co_await write_all(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body_size) +
                                   "\r\n\r\n" + body_of(number));
    stream.shutdown_send();
    co_await read_to_end(stream);
}

/// Sends back what comes, then ends.
inline tcp::Awaitable<void> mirror(tcp::Stream stream)
{
    char buffer[4096];
    boost::system::error_code error;
    while (true) {
        const std::size_t size =
            co_await stream.async_read_some(asio::buffer(buffer), asio::redirect_error(tcp::use_awaitable, error));
        if (error) {
            break;
        }
        co_await write_all(stream, std::string(buffer, size));
    }
    stream.shutdown_send();
}

struct Tally {
    std::size_t exact = 0;
    std::size_t finished = 0;
};

inline tcp::Awaitable<void> fetch(World& world, wire::Endpoint from, wire::Endpoint to, std::size_t number,
                                  Tally& tally)
{
    auto [error, stream] =
        co_await world.stack.async_connect(from, to, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (!error) {
        co_await write_all(stream,
                           "GET /" + std::to_string(number) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const std::string answer = co_await read_to_end(stream);
        const std::size_t end = answer.find("\r\n\r\n");
        tally.exact +=
            answer.starts_with("HTTP/1.1 200") && end != std::string::npos && answer.substr(end + 4) == body_of(number)
                ? 1
                : 0;
    }
    ++tally.finished;
}

inline tcp::Awaitable<void> echo(World& world, wire::Endpoint from, wire::Endpoint to, std::size_t number, Tally& tally)
{
    auto [error, stream] =
        co_await world.stack.async_connect(from, to, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (!error) {
        const std::string sent = body_of(number);
        co_await write_all(stream, sent);
        stream.shutdown_send();
        tally.exact += co_await read_to_end(stream) == sent ? 1 : 0;
    }
    ++tally.finished;
}

} // namespace sluice::test
