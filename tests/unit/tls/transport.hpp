// Connected transports for the stream tests: a kernel socket pair, bare and with async_wait_readable.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <utility>

namespace sluice::tls::test {

using Socket =
    boost::asio::basic_stream_socket<boost::asio::local::stream_protocol, boost::asio::io_context::executor_type>;

/// As the TCP stream of a worker: says when a read would not wait, so that nobody need hold a buffer meanwhile.
class WaitingSocket {
public:
    using executor_type = Socket::executor_type;

    explicit WaitingSocket(Socket socket) : socket_{std::move(socket)} {}

    [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }

    template <class Token>
    auto async_wait_readable(Token&& token)
    {
        return socket_.async_wait(Socket::wait_read, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token)
    {
        ++reads;
        return socket_.async_read_some(buffers, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token)
    {
        return socket_.async_write_some(buffers, std::forward<Token>(token));
    }
    void close() { socket_.close(); }

    int reads = 0;

private:
    Socket socket_;
};

template <class Transport>
std::pair<Transport, Transport> transport_pair(boost::asio::io_context& context)
{
    Socket first{context};
    Socket second{context};
    boost::asio::local::connect_pair(first, second);
    return {Transport{std::move(first)}, Transport{std::move(second)}};
}

} // namespace sluice::tls::test
