#include <sluice/l4/tcp_state.hpp>

#include <sluice/wire/headers.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace sluice::l4 {
namespace {

namespace flag = wire::tcp_flag;
using std::chrono::seconds;

struct Segment {
    bool from_server;
    std::uint8_t flags;
};
constexpr bool client = false;
constexpr bool server = true;

TcpState after(const std::vector<Segment>& segments)
{
    TcpState state = TcpState::syn_sent;
    for (const Segment& segment : segments) {
        state = next_state(state, segment.from_server, segment.flags);
    }
    return state;
}

const std::vector<Segment> handshake{{client, flag::syn}, {server, flag::syn | flag::ack}, {client, flag::ack}};

std::vector<Segment> established_then(std::initializer_list<Segment> more)
{
    std::vector<Segment> result = handshake;
    result.insert(result.end(), more);
    return result;
}

TEST(TcpState, handshake_establishes)
{
    EXPECT_EQ(after({{client, flag::syn}}), TcpState::syn_sent);
    EXPECT_EQ(after({{client, flag::syn}, {server, flag::syn | flag::ack}}), TcpState::syn_received);
    EXPECT_EQ(after(handshake), TcpState::established);
}

TEST(TcpState, acknowledgment_alone_does_not_establish)
{
    EXPECT_EQ(after({{client, flag::ack}, {client, flag::ack}}), TcpState::syn_sent);
    EXPECT_EQ(after({{client, flag::syn | flag::ack}}), TcpState::syn_sent);
}

TEST(TcpState, of_the_clients_half_follows_what_the_client_shows)
{
    const auto after_client = [](std::initializer_list<std::uint8_t> segments) {
        TcpState state = TcpState::syn_sent;
        for (const std::uint8_t flags : segments) {
            state = next_state_by_client(state, flags);
        }
        return state;
    };
    EXPECT_EQ(after_client({flag::syn, flag::syn}), TcpState::syn_sent);
    EXPECT_EQ(after_client({flag::syn | flag::ack}), TcpState::syn_sent);
    EXPECT_EQ(after_client({flag::ack}), TcpState::established);
    EXPECT_EQ(after_client({flag::ack, flag::ack | flag::psh}), TcpState::established);
    EXPECT_EQ(after_client({flag::ack, flag::ack | flag::fin, flag::ack}), TcpState::fin_from_client);
    EXPECT_EQ(after_client({flag::ack | flag::fin}), TcpState::fin_from_client);
    EXPECT_EQ(after_client({flag::ack, flag::rst}), TcpState::reset_by_client);
    EXPECT_EQ(after_client({flag::ack, flag::rst, flag::ack}), TcpState::established) << "the RST was not the client's";
    EXPECT_TRUE(is_over_by_client(TcpState::fin_from_client));
    EXPECT_TRUE(is_over_by_client(TcpState::reset_by_client));
    EXPECT_FALSE(is_over_by_client(TcpState::established));
    EXPECT_FALSE(is_over(TcpState::fin_from_client));
}

TEST(TcpState, both_sides_must_finish)
{
    EXPECT_EQ(after(established_then({{client, flag::fin | flag::ack}})), TcpState::fin_from_client);
    EXPECT_EQ(after(established_then({{client, flag::fin | flag::ack}, {client, flag::fin | flag::ack}})),
              TcpState::fin_from_client);
    EXPECT_EQ(after(established_then({{server, flag::fin | flag::ack}})), TcpState::fin_from_server);
    EXPECT_EQ(after(established_then({{client, flag::fin | flag::ack}, {server, flag::fin | flag::ack}})),
              TcpState::closing);
    EXPECT_EQ(after(established_then(
                  {{server, flag::fin | flag::ack}, {client, flag::fin | flag::ack}, {server, flag::ack}})),
              TcpState::closing);
}

TEST(TcpState, reset_holds_until_its_alleged_sender_goes_on)
{
    EXPECT_EQ(after(established_then({{client, flag::rst}})), TcpState::reset_by_client);
    EXPECT_EQ(after(established_then({{client, flag::rst}, {server, flag::ack}})), TcpState::reset_by_client);
    EXPECT_EQ(after(established_then({{client, flag::rst}, {client, flag::ack}})), TcpState::established);
    EXPECT_EQ(after(established_then({{server, flag::rst | flag::ack}, {server, flag::ack | flag::psh}})),
              TcpState::established);
}

TEST(TcpState, only_finished_connections_give_way_to_a_syn)
{
    for (const TcpState state : {TcpState::syn_sent, TcpState::syn_received, TcpState::established,
                                 TcpState::fin_from_client, TcpState::fin_from_server}) {
        EXPECT_FALSE(is_over(state)) << name(state);
    }
    for (const TcpState state : {TcpState::closing, TcpState::reset_by_client, TcpState::reset_by_server}) {
        EXPECT_TRUE(is_over(state)) << name(state);
    }
}

TEST(TcpState, lifetimes_are_those_of_the_service)
{
    FlowTimeouts timeouts{seconds{500}, seconds{50}, seconds{30}};
    EXPECT_EQ(lifetime(TcpState::none, timeouts), seconds{30});
    EXPECT_EQ(lifetime(TcpState::syn_sent, timeouts), opening_timeout);
    EXPECT_EQ(lifetime(TcpState::established, timeouts), seconds{500});
    EXPECT_EQ(lifetime(TcpState::closing, timeouts), seconds{50});
    EXPECT_EQ(lifetime(TcpState::reset_by_server, timeouts), reset_timeout);
    timeouts = {seconds{5}, seconds{2}, seconds{1}};
    EXPECT_EQ(lifetime(TcpState::syn_received, timeouts), seconds{5});
    EXPECT_EQ(lifetime(TcpState::reset_by_client, timeouts), seconds{2});
}

} // namespace
} // namespace sluice::l4
