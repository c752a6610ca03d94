#include "host.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tcp/awaitable.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <charconv>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nContent-Length: 32\r\nContent-Type: text/plain\r\n\r\na body of thirty-two bytes.....\n";
// One byte more, and the proxy rightly uses no connection to this origin twice.
static_assert(response.size() - response.find("\r\n\r\n") - 4 == 32);
const wire::Endpoint origin_at{wire::IpAddress::v4(0x0a000002), 8080};

tcp::StackOptions stack_options()
{
    tcp::StackOptions options;
    options.secret = random_hash_key();
    options.connection_limit = 200'000; // A proxy's idle connections, and TLS clients
    return options;
}

tcp::Awaitable<void> answer(tcp::Stream stream)
{
    std::array<char, 4096> buffer;
    std::string text;
    for (;;) {
        const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), result);
        if (error) {
            co_return;
        }
        text.append(buffer.data(), size);
        for (std::size_t end = text.find("\r\n\r\n"); end != std::string::npos; end = text.find("\r\n\r\n")) {
            text.erase(0, end + 4);
            const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(response), result);
            if (failed) {
                co_return;
            }
        }
    }
}

} // namespace

std::size_t response_size(std::string_view text)
{
    constexpr std::string_view length = "ontent-Length: ";
    const std::size_t head = text.find("\r\n\r\n");
    if (head == std::string_view::npos) {
        return 0;
    }
    const std::size_t field = text.find(length);
    std::size_t body = 0;
    if (field < head) {
        std::from_chars(text.data() + field + length.size(), text.data() + head, body);
    }
    return head + 4 + body;
}

Host::Host(Wire& wire)
    : wire_{wire}, network_{wire}, loop_{clock_}, ports_{random_hash_key(), {1024, 65535}, ~std::uint64_t{0}},
      stack_{loop_, network_, ports_, counters_, stack_options()}
{
    static_cast<void>(stack_.listen(origin_at, {}, [](tcp::Stream stream) {
        asio::co_spawn(tcp::Executor{stream.get_executor()}, answer(std::move(stream)), asio::detached);
    }));
}

} // namespace sluice::bench
