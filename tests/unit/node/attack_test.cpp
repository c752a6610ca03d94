// A node under attack, in virtual time: whether clients are served meanwhile, what it holds, and that all is normal a
// second later. How fast it is then: scripts/bench attacks.
#include "support/node_lab.hpp"
#include "support/peers.hpp"

#include "app/memory_plan.hpp"
#include "app/memory_shares.hpp"

#include <sluice/base/random.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::test {
namespace {

constexpr const char* attacked_config = R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24], routes: [{to: 0.0.0.0/0, via: 192.0.2.21}]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80}]}
)";
constexpr int milliseconds_of_attack = 200;
constexpr int packets_a_millisecond = 100;

/// Asks and takes nothing of the answer; or says only a part of a request, or nothing.
tcp::Awaitable<void> hold(World& world, std::string says, std::vector<tcp::Stream>& held)
{
    auto [error, stream] = co_await world.stack.async_connect(
        {ip("192.0.2.66"), 0}, {ip("192.0.2.11"), 80}, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (!error) {
        co_await write_all(stream, std::move(says));
        held.push_back(std::move(stream));
    }
}

class UnderAttack : public testing::Test {
protected:
    UnderAttack() : lab{{.shared_cores = true}, attacked_config, {ip("192.0.2.10"), ip("192.0.2.21"), ip("192.0.2.66")}}
    {
        EXPECT_TRUE(lab.world.stack.listen({ip("192.0.2.21"), 80}, {},
                                           [this](tcp::Stream stream) { spawn(serve(std::move(stream))); }));
        EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{1}));
        EXPECT_EQ(served(), 20U) << "without an attack";
    }

    template <class Coroutine>
    void spawn(Coroutine coroutine)
    {
        asio::co_spawn(lab.world.loop.get_executor(), std::move(coroutine), asio::detached);
    }
    /// How many of twenty new clients get their whole answer while `attack` does something every millisecond.
    std::size_t served(const std::function<void()>& attack = [] {})
    {
        Tally tally;
        std::size_t begun = 0;
        for (int millisecond = 0; millisecond < milliseconds_of_attack; ++millisecond) {
            if (millisecond % 10 == 0) {
                spawn(fetch(lab.world, {ip("192.0.2.10"), 0}, {ip("192.0.2.11"), 80}, begun++, tally));
            }
            attack();
            lab.settle();
            lab.clock.advance(std::chrono::milliseconds{1});
        }
        lab.run_until([&] { return tally.finished == begun; }, std::chrono::seconds{5});
        return tally.exact;
    }
    void from_nowhere(std::uint8_t flags)
    {
        for (int count = 0; count < packets_a_millisecond; ++count) {
            Segment segment;
            segment.flags = flags;
            segment.sequence = static_cast<std::uint32_t>(random.next());
            segment.acknowledgment = static_cast<std::uint32_t>(random.next());
            const wire::Endpoint source{
                wire::IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(random.below(1U << 24U))),
                static_cast<std::uint16_t>(1024 + random.below(60'000))};
            lab.world.send_packet(tcp_packet(source, {ip("192.0.2.11"), 80}, segment));
        }
    }
    [[nodiscard]] app::WorkerUnit& worker() { return *lab.node->cores().front()->worker(); }

    Random random{7};
    NodeLab lab;
};

TEST_F(UnderAttack, syns_from_random_sources_keep_nobody_out_and_leave_nothing)
{
    EXPECT_EQ(served([&] { from_nowhere(wire::tcp_flag::syn); }), 20U);
    EXPECT_GT(lab.total(telemetry::Counter::tcp_syn_cookies_sent), 10'000U);
    EXPECT_LE(worker().stack().usage().half_open, 1024U);
    EXPECT_EQ(served(), 20U);
    lab.run_until([] { return false; }, std::chrono::seconds{70}, std::chrono::milliseconds{50});
    EXPECT_EQ(worker().stack().usage().half_open, 0U);
}

TEST_F(UnderAttack, acknowledgments_from_random_sources_keep_nobody_out_and_are_hardly_answered)
{
    EXPECT_EQ(served([&] { from_nowhere(wire::tcp_flag::ack); }), 20U);
    EXPECT_LE(lab.total(telemetry::Counter::tcp_resets_sent), 2000U);
    EXPECT_EQ(worker().stack().usage().half_open, 0U);
    EXPECT_EQ(served(), 20U);
}

TEST_F(UnderAttack, connections_that_say_nothing_ask_half_or_take_nothing_make_room_for_clients)
{
    std::vector<tcp::Stream> held;
    std::size_t begun = 0;
    const auto more = [&] {
        static const std::array<std::string, 3> words{"",
                                                      "GET / HTTP/1.1\r\nX: ", "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"};
        spawn(hold(lab.world, words[begun++ % words.size()], held));
    };
    for (int round = 0; round < 5; ++round) { // A thousand of them, in five seconds
        EXPECT_EQ(served(more), 20U) << round;
        lab.run_until([] { return false; }, std::chrono::milliseconds{800});
        const proxy::WorkerUsage usage = worker().proxy().usage();
        EXPECT_LE(usage.held_bytes, usage.held_limit) << round;
    }
    EXPECT_GT(lab.total(telemetry::Counter::connections_evicted), 300U);
    held.clear();
    EXPECT_EQ(served(), 20U);
}

TEST(NodeMemory, every_share_is_shown_with_its_limit)
{
    NodeLab lab{{.shared_cores = true}, attacked_config, {ip("192.0.2.10")}};
    app::Core& core = *lab.node->cores().front();
    control::CoreUse use;
    use.flow_capacity = core.forwarder()->layer4().flows().capacity();
    use.proxy = core.worker()->proxy().usage();
    use.tcp = core.worker()->stack().usage();
    std::map<std::string_view, std::uint64_t> limits;
    for (const control::MemoryShare& share : app::memory_shares(core, use)) {
        limits[share.name] = share.limit_bytes;
        EXPECT_LE(share.used_bytes, share.limit_bytes) << share.name;
    }
    // As NodeLab has laid them out.
    EXPECT_EQ(limits.at("packets"), 8192 * app::cost::packet_buffer);
    EXPECT_EQ(limits.at("packets_reserve"), 512 * app::cost::packet_buffer);
    EXPECT_GE(limits.at("flows"), 4096 * app::cost::flow);
    EXPECT_EQ(limits.at("connections"), 1024 * app::cost::connection);
    EXPECT_EQ(limits.at("tcp_buffers"), 64U << 20U);
    EXPECT_EQ(limits.at("proxy_blocks"), 1024 * app::cost::proxy_block);
    EXPECT_EQ(limits.at("tls_blocks"), 256 * app::cost::tls_block);
    EXPECT_EQ(limits.at("half_open"), 16384 * app::cost::record);
    EXPECT_EQ(limits.at("time_wait"), 65536 * app::cost::record);
    for (const char* within : {"clients", "tls_sessions", "tls_handshakes", "requests", "large_heads", "http2_bodies",
                               "upstream_connections"}) {
        EXPECT_EQ(limits.at(within), 0U) << within;
    }
}

} // namespace
} // namespace sluice::test
