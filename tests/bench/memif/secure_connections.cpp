// Many TLS sessions, each a stream of Sluice's own: what an open one costs the proxy. The phases are those of
// connections.cpp.
#include "host.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tls/stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <vector>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
using Secure = tls::Stream<tcp::Stream>;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::uint32_t handshakes_at_once = 64;
constexpr std::uint32_t requests_at_once = 64;
constexpr std::uint32_t clients_per_address = 10'000;

struct Session {
    std::unique_ptr<Secure> stream;
    bool asking = false;
};

class SecureCrowd {
public:
    SecureCrowd(Wire& wire, const Options& options)
        : options_{options}, host_{wire}, random_{random_secret()}, sessions_(options.connections)
    {
        tls::ClientOptions client;
        client.verify = false;
        client.alpn = {"http/1.1"};
        context_ = *tls::ClientContext::create(client);
    }

    int run();

private:
    tcp::Awaitable<void> open(std::uint32_t index);
    tcp::Awaitable<void> ask(std::uint32_t index);
    void ask_more(double due);
    void report(const char* phase, double seconds);
    template <class Done>
    double run_until(Done&& done)
    {
        const auto begin = SteadyClock::now();
        do {
            host_.turn();
        } while (!done(std::chrono::duration<double>(SteadyClock::now() - begin).count()));
        return std::chrono::duration<double>(SteadyClock::now() - begin).count();
    }

    const Options& options_;
    Host host_;
    Random random_;
    tls::BufferPool buffers_{4096};
    std::shared_ptr<const tls::ClientContext> context_;
    std::vector<Session> sessions_;
    std::vector<double> latencies_us_;
    std::uint32_t begun_ = 0;
    std::uint32_t shaking_ = 0;
    std::uint32_t asking_ = 0;
    std::uint32_t open_ = 0;
    std::uint64_t requests_ = 0;
    std::uint64_t failures_ = 0;
};

tcp::Awaitable<void> SecureCrowd::open(std::uint32_t index)
{
    const wire::Endpoint local{wire::IpAddress::v4(0x0a010001U + index / clients_per_address), 0};
    auto [refused, stream] = co_await host_.stack().async_connect(local, {options_.node, 443}, {}, result);
    if (!refused) {
        auto secure = std::make_unique<Secure>(std::move(stream), context_, "bench.example.org", buffers_);
        const auto [failed] = co_await secure->async_handshake(result);
        if (!failed) {
            sessions_[index].stream = std::move(secure);
            ++open_;
        } else {
            ++failures_;
        }
    } else {
        ++failures_;
    }
    --shaking_;
}

tcp::Awaitable<void> SecureCrowd::ask(std::uint32_t index)
{
    Session& session = sessions_[index];
    const auto begin = SteadyClock::now();
    std::array<char, 4096> buffer;
    std::size_t have = 0;
    std::size_t whole = 0;
    auto [error, written] = co_await asio::async_write(*session.stream, asio::buffer(http_request), result);
    while (!error && (whole == 0 || have < whole) && have < buffer.size()) {
        const auto [end, size] =
            co_await session.stream->async_read_some(asio::buffer(buffer.data() + have, buffer.size() - have), result);
        error = end;
        have += size;
        whole = response_size({buffer.data(), have});
    }
    if (error || whole == 0 || have != whole) {
        ++failures_;
    } else {
        const std::chrono::duration<double, std::micro> took = SteadyClock::now() - begin;
        latencies_us_.push_back(took.count());
    }
    session.asking = false;
    --asking_;
}

void SecureCrowd::ask_more(double due)
{
    while (static_cast<double>(requests_) < due && asking_ < requests_at_once && open_ > 0) {
        const auto index = static_cast<std::uint32_t>(random_.below(begun_));
        if (!sessions_[index].stream || sessions_[index].asking) {
            return; // Another one, next time
        }
        sessions_[index].asking = true;
        ++asking_;
        ++requests_;
        asio::co_spawn(host_.loop().get_executor(), ask(index), asio::detached);
    }
}

void SecureCrowd::report(const char* phase, double seconds)
{
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto quantile = [this](double part) {
        return latencies_us_.empty()
                   ? 0
                   : latencies_us_[static_cast<std::size_t>(part * static_cast<double>(latencies_us_.size() - 1))];
    };
    std::printf("{\"phase\": \"%s\", \"seconds\": %.3f, \"open\": %u, \"requests\": %lu, \"answered\": %zu, "
                "\"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, \"failures\": %lu}\n",
                phase, seconds, open_, requests_, latencies_us_.size(), quantile(0.5), quantile(0.99), quantile(1.0),
                failures_);
    std::fflush(stdout);
    static_cast<void>(std::getchar());
    latencies_us_.clear();
    requests_ = 0;
}

int SecureCrowd::run()
{
    report("ramp", run_until([this](double passed) {
               while (begun_ < sessions_.size() && begun_ < passed * options_.open_rate &&
                      shaking_ < handshakes_at_once) {
                   ++shaking_;
                   asio::co_spawn(host_.loop().get_executor(), open(begun_++), asio::detached);
               }
               const bool all = begun_ == sessions_.size() && shaking_ == 0;
               ask_more(all ? 0 : passed * options_.rate);
               return all && asking_ == 0;
           }));
    report("hold", run_until([this](double passed) {
               ask_more(passed < options_.seconds ? passed * options_.rate : 0);
               return passed >= options_.seconds && asking_ == 0;
           }));
    const std::uint32_t held = open_;
    std::size_t closed = 0;
    report("end", run_until([&](double) {
               for (int each = 0; each < 64 && closed < sessions_.size(); ++each, ++closed) {
                   if (sessions_[closed].stream) {
                       sessions_[closed].stream->next_layer().close();
                       sessions_[closed].stream.reset();
                       --open_;
                   }
               }
               return closed == sessions_.size() && host_.stack().usage().connections <= requests_at_once;
           }));
    return held == sessions_.size() && failures_ == 0 ? 0 : 1;
}

} // namespace

int run_secure_connections(Wire& wire, const Options& options)
{
    SecureCrowd crowd{wire, options};
    return crowd.run();
}

} // namespace sluice::bench
