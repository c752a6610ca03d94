// What a turn of a core takes in, and how its time is accounted for.
#include "support/node_lab.hpp"
#include "support/peers.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* turning_config = R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80}]}
)";

class Turn : public testing::TestWithParam<bool> {
protected:
    Turn() : lab{{.shared_cores = GetParam()}, turning_config, {ip("192.0.2.10"), ip("192.0.2.21")}}
    {
        EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, 1s));
    }
    NodeLab lab;
};

INSTANTIATE_TEST_SUITE_P(workers, Turn, testing::Bool(), [](const auto& one) {
    return one.param ? "on_the_forwarders_core" : "on_a_core_of_their_own";
});

TEST_P(Turn, more_segments_than_a_burst_holds_are_all_answered)
{
    constexpr std::uint16_t clients = 3 * packet::Burst::capacity + 7;
    std::set<std::uint16_t> answered;
    lab.world.on_frame = [&](Bytes, const wire::ParsedPacket& parsed) {
        if (parsed.protocol == wire::protocol::tcp && parsed.tcp_flags == (wire::tcp_flag::syn | wire::tcp_flag::ack)) {
            answered.insert(parsed.destination_port);
        }
    };
    const auto connect = [this](std::uint16_t port) {
        Segment segment;
        segment.flags = wire::tcp_flag::syn;
        lab.world.send_packet(tcp_packet({ip("192.0.2.10"), port}, {ip("192.0.2.11"), 80}, segment));
    };
    connect(19999); // Who the client is must be known: few packets wait for that.
    lab.settle();
    answered.clear();
    for (std::uint16_t client = 0; client < clients; ++client) {
        connect(static_cast<std::uint16_t>(20000 + client));
    }
    lab.world.turn(); // All of them lie in the node's queue before its next turn.
    lab.settle();
    EXPECT_EQ(answered.size(), clients) << lab.drops();
}

TEST(Jumbo, proxy_on_an_interface_of_9000_bytes_agrees_on_segments_that_its_buffers_hold)
{
    const std::string config = turning_config;
    NodeLab lab{{.shared_cores = true, .mtu = 9000},
                std::string{config}.replace(config.find("front,"), 6, "front, mtu: 9000,"),
                {ip("192.0.2.10"), ip("192.0.2.21")}};
    std::size_t announced = 0;
    lab.world.on_frame = [&](Bytes frame, const wire::ParsedPacket& parsed) {
        if (parsed.protocol == wire::protocol::tcp && (parsed.tcp_flags & wire::tcp_flag::ack) != 0) {
            announced = load16(frame.data() + parsed.transport_offset + wire::tcp_minimum_size + 2);
        }
    };
    EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, 1s));
    Segment segment;
    segment.flags = wire::tcp_flag::syn;
    lab.world.send_packet(tcp_packet({ip("192.0.2.10"), 20000}, {ip("192.0.2.11"), 80}, segment));
    lab.settle();
    EXPECT_EQ(announced, packet::default_data_room - wire::ipv4_minimum_size - wire::tcp_minimum_size);
}

class Polling : public testing::Test {
protected:
    Polling() : lab{{.shared_cores = true}, turning_config, {ip("192.0.2.10")}} { lab.settle(); }

    /// Nanoseconds that one more turn, this long after the last, adds to the core's polling.
    std::uint64_t polled_by_turn_after(Duration pause)
    {
        const std::uint64_t before = core().status().polling.get();
        lab.clock.advance(pause);
        EXPECT_FALSE(core().turn());
        return core().status().polling.get() - before;
    }
    [[nodiscard]] app::Core& core() { return *lab.node->cores().front(); }

    NodeLab lab;
};

TEST_F(Polling, turns_that_find_nothing_are_polling_and_not_work)
{
    const std::uint64_t busy = core().status().busy.get();
    EXPECT_EQ(polled_by_turn_after(300ns), 300U);
    EXPECT_EQ(polled_by_turn_after(500ns), 500U);
    EXPECT_EQ(core().status().busy.get(), busy);
}

TEST_F(Polling, time_that_others_had_the_processor_is_not_polling) { EXPECT_LE(polled_by_turn_after(10ms), 2000U); }

TEST_F(Polling, turn_with_work_ends_the_poll_and_is_busy)
{
    static_cast<void>(polled_by_turn_after(300ns));
    ASSERT_TRUE(core().post(std::make_unique<app::Core::Command>([this](app::Core&) { lab.clock.advance(7us); })));
    const std::uint64_t busy = core().status().busy.get();
    lab.clock.advance(400ns);
    EXPECT_TRUE(core().turn());
    EXPECT_EQ(core().status().busy.get() - busy, 7000U);
    EXPECT_EQ(polled_by_turn_after(900ns), 0U) << "the time after a turn with work is nobody's";
}

} // namespace
} // namespace sluice::test
