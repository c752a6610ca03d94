// Which flows and connections a filter takes.
#include "model_of.hpp"

#include <sluice/control/connection_filter.hpp>
#include <sluice/l4/tcp_state.hpp>

#include <boost/json/serialize.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

using testing::HasSubstr;

constexpr const char* file = R"(
node: n
ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: ["192.0.2.11:80/tcp", "192.0.2.11:8000-8009/tcp"], proxy: {routes: [{pool: web}]}}
  - {name: echo, listen: 192.0.2.11:80/udp, forward: {method: fullnat, pool: web}}
pools: [{name: web, servers: [{address: 192.0.2.21:80}]}]
)";

wire::Endpoint at(std::string_view text) { return *wire::Endpoint::parse(text); }

struct ConnectionFilterTest : testing::Test {
    config::Model model = model_of(file);

    [[nodiscard]] ConnectionFilter filter(const std::string& arguments) const
    {
        return ConnectionFilter::read(Request::parse(R"({"verb":"connections")" + arguments + "}").value(), model);
    }
    [[nodiscard]] std::string refusal(const std::string& arguments) const
    {
        try {
            static_cast<void>(filter(arguments));
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "taken";
    }
    static tcp::ConnectionEnds accepted(std::string_view client, std::string_view local = "192.0.2.11:80",
                                        tcp::State state = tcp::State::established)
    {
        return {at(local), at(client), state, false};
    }
    static tcp::ConnectionEnds opened(std::string_view server)
    {
        return {at("192.0.2.11:5000"), at(server), tcp::State::established, true};
    }
    static flow::Flow flow(std::string_view client, std::string_view server, std::uint8_t protocol = 17,
                           l4::TcpState state = l4::TcpState::none)
    {
        flow::Flow made;
        made.client = at(client).address;
        made.client_port = at(client).port;
        made.service = at("192.0.2.11:80").address;
        made.service_port = 80;
        made.server = at(server).address;
        made.server_port = at(server).port;
        made.protocol = protocol;
        made.state = static_cast<std::uint8_t>(state) & 0xfU;
        return made;
    }
};

TEST_F(ConnectionFilterTest, Nothing_TakesEverything)
{
    const ConnectionFilter all = filter("");
    EXPECT_TRUE(all.takes(accepted("198.51.100.1:9")));
    EXPECT_TRUE(all.takes(opened("192.0.2.21:80")));
    EXPECT_TRUE(all.takes(flow("198.51.100.1:9", "192.0.2.21:80")));
    EXPECT_FALSE(all.detail);
}

TEST_F(ConnectionFilterTest, Client_IsAnAddressAPrefixOrOneEndpoint)
{
    for (const char* client : {"198.51.100.1", "198.51.100.0/24", "198.51.100.1:9", "198.51.100.0/24:9"}) {
        const ConnectionFilter some = filter(R"(,"client":")" + std::string{client} + '"');
        EXPECT_TRUE(some.takes(accepted("198.51.100.1:9"))) << client;
        EXPECT_TRUE(some.takes(flow("198.51.100.1:9", "192.0.2.21:80"))) << client;
        EXPECT_FALSE(some.takes(accepted("198.51.101.1:9"))) << client;
        EXPECT_FALSE(some.takes(opened("198.51.100.1:9"))) << client << ": whom we connected to is no client";
        EXPECT_FALSE(some.takes(flow("203.0.113.1:9", "198.51.100.1:9"))) << client;
    }
    EXPECT_FALSE(filter(R"(,"client":"198.51.100.1:9")").takes(accepted("198.51.100.1:10")));
    EXPECT_TRUE(filter(R"(,"client":"[2001:db8::1]:9")").takes(accepted("[2001:db8::1]:9", "[2001:db8::11]:80")));
    EXPECT_TRUE(filter(R"(,"client":"[2001:db8::/32]:9")").takes(accepted("[2001:db8::1]:9", "[2001:db8::11]:80")));
}

TEST_F(ConnectionFilterTest, OneEndpoint_IsShownWithEverything)
{
    EXPECT_TRUE(filter(R"(,"client":"198.51.100.1:9")").detail);
    EXPECT_TRUE(filter(R"(,"endpoint":"198.51.100.1:9")").detail);
    EXPECT_FALSE(filter(R"(,"client":"198.51.100.1")").detail);
    EXPECT_FALSE(filter(R"(,"client":"198.51.100.0/24:9")").detail);
}

TEST_F(ConnectionFilterTest, Endpoint_IsAnyEnd)
{
    EXPECT_TRUE(filter(R"(,"endpoint":"192.0.2.11:5000")").takes(opened("192.0.2.21:80")));
    EXPECT_TRUE(filter(R"(,"endpoint":"192.0.2.21:80")").takes(opened("192.0.2.21:80")));
    EXPECT_TRUE(filter(R"(,"endpoint":"192.0.2.21:80")").takes(flow("198.51.100.1:9", "192.0.2.21:80")));
    EXPECT_FALSE(filter(R"(,"endpoint":"192.0.2.21:81")").takes(opened("192.0.2.21:80")));
}

TEST_F(ConnectionFilterTest, Server_IsWhomAFlowOrAConnectionGoesTo)
{
    const ConnectionFilter some = filter(R"(,"server":"192.0.2.21:80")");
    EXPECT_TRUE(some.takes(opened("192.0.2.21:80")));
    EXPECT_TRUE(some.takes(flow("198.51.100.1:9", "192.0.2.21:80")));
    EXPECT_FALSE(some.takes(opened("192.0.2.22:80")));
    EXPECT_FALSE(some.takes(accepted("192.0.2.21:80")));
}

TEST_F(ConnectionFilterTest, Service_IsWhatItListensOn)
{
    const ConnectionFilter site = filter(R"(,"service":"site")");
    EXPECT_TRUE(site.takes(accepted("198.51.100.1:9")));
    EXPECT_TRUE(site.takes(accepted("198.51.100.1:9", "192.0.2.11:8009")));
    EXPECT_FALSE(site.takes(accepted("198.51.100.1:9", "192.0.2.11:8010")));
    EXPECT_FALSE(site.takes(opened("192.0.2.21:80")));
    EXPECT_FALSE(site.takes(flow("198.51.100.1:9", "192.0.2.21:80"))) << "UDP is another service";
    EXPECT_TRUE(filter(R"(,"service":"echo")").takes(flow("198.51.100.1:9", "192.0.2.21:80")));
}

TEST_F(ConnectionFilterTest, State_IsThatOfEitherLayerInAnyCase)
{
    for (const char* word : {"TIME_WAIT", "time-wait", "time_wait"}) {
        const ConnectionFilter some = filter(R"(,"state":")" + std::string{word} + '"');
        EXPECT_TRUE(some.takes(accepted("198.51.100.1:9", "192.0.2.11:80", tcp::State::time_wait))) << word;
        EXPECT_FALSE(some.takes(accepted("198.51.100.1:9"))) << word;
        EXPECT_FALSE(some.takes(flow("198.51.100.1:9", "192.0.2.21:80"))) << word;
    }
    const ConnectionFilter both = filter(R"(,"state":"established")");
    EXPECT_TRUE(both.takes(accepted("198.51.100.1:9")));
    EXPECT_TRUE(both.takes(flow("198.51.100.1:9", "192.0.2.21:80", 6, l4::TcpState::established)));
    EXPECT_FALSE(both.takes(flow("198.51.100.1:9", "192.0.2.21:80", 6, l4::TcpState::closing)));
}

TEST_F(ConnectionFilterTest, Worker_HasNoFlows)
{
    EXPECT_EQ(filter(R"(,"worker":1)").worker, 1U);
    EXPECT_FALSE(filter(R"(,"worker":1)").takes(flow("198.51.100.1:9", "192.0.2.21:80")));
}

TEST_F(ConnectionFilterTest, Nonsense_IsRefusedWithWhatWouldDo)
{
    EXPECT_THAT(refusal(R"(,"client":"nobody")"), HasSubstr("192.0.2.0/24"));
    EXPECT_THAT(refusal(R"(,"client":"192.0.2.1:0")"), HasSubstr("no address"));
    EXPECT_THAT(refusal(R"(,"client":"192.0.2.0/33")"), HasSubstr("no address"));
    EXPECT_THAT(refusal(R"(,"service":"nowhere")"), HasSubstr("sluicectl services"));
    EXPECT_THAT(refusal(R"(,"state":"asleep")"), HasSubstr("established"));
    EXPECT_THAT(refusal(R"(,"worker":-1)"), HasSubstr("whole number"));
    EXPECT_THAT(refusal(R"(,"worker":"1")"), HasSubstr("whole number"));
}

} // namespace
} // namespace sluice::control
