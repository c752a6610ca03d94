#include <proxy/balance.hpp>

#include <sluice/health/server.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace sluice::proxy {
namespace {

std::vector<PoolServer> servers_with(std::initializer_list<std::uint32_t> weights)
{
    std::vector<PoolServer> servers;
    std::uint32_t number = 0;
    for (const std::uint32_t weight : weights) {
        const wire::Endpoint endpoint{wire::IpAddress::v4(0x0a00000bU + number++), 8080};
        servers.push_back({std::make_shared<health::Server>("web", std::to_string(number), endpoint), weight});
    }
    return servers;
}

std::vector<ServerLoad> loads_of(const std::vector<PoolServer>& servers)
{
    std::vector<ServerLoad> loads;
    for (const PoolServer& server : servers) {
        loads.push_back({server.weight, 0, server.weight != 0});
    }
    return loads;
}

const wire::Endpoint service = *wire::Endpoint::parse("192.0.2.1:80");

std::uint64_t client_number(std::uint32_t number)
{
    return client_hash({wire::IpAddress::v4(0xc6336400U + number), 1}, false);
}

std::vector<std::size_t> picks(Balancer& balancer, std::span<const ServerLoad> loads, std::size_t count)
{
    std::vector<std::size_t> result;
    for (std::uint32_t number = 0; number < count; ++number) {
        result.push_back(balancer.pick(loads, client_number(number), service).value());
    }
    return result;
}

TEST(Balance, rr_takes_turns_whatever_the_weights)
{
    const auto servers = servers_with({1, 5, 2});
    Balancer balancer{Balance::rr, servers, 1};
    EXPECT_EQ(picks(balancer, loads_of(servers), 6), (std::vector<std::size_t>{0, 1, 2, 0, 1, 2}));
}

TEST(Balance, rr_skips_what_is_not_eligible)
{
    const auto servers = servers_with({1, 1, 1});
    auto loads = loads_of(servers);
    loads[1].eligible = false;
    Balancer balancer{Balance::rr, servers, 1};
    EXPECT_EQ(picks(balancer, loads, 4), (std::vector<std::size_t>{0, 2, 0, 2}));
}

TEST(Balance, wrr_interleaves_by_weight)
{
    const auto servers = servers_with({5, 1, 1});
    Balancer balancer{Balance::wrr, servers, 1};
    EXPECT_EQ(picks(balancer, loads_of(servers), 7), (std::vector<std::size_t>{0, 0, 1, 0, 2, 0, 0}));
}

TEST(Balance, nobody_eligible_gives_nothing)
{
    const auto servers = servers_with({1, 1});
    auto loads = loads_of(servers);
    loads[0].eligible = loads[1].eligible = false;
    for (const Balance method : {Balance::rr, Balance::wrr, Balance::lc, Balance::wlc, Balance::sh, Balance::dh,
                                 Balance::mh, Balance::sed, Balance::nq, Balance::fo, Balance::ovf, Balance::twos}) {
        Balancer balancer{method, servers, 1};
        EXPECT_EQ(balancer.pick(loads, 1, service), std::nullopt);
    }
}

TEST(Balance, every_method_finds_the_only_eligible_one)
{
    const auto servers = servers_with({1, 3, 2, 1});
    auto loads = loads_of(servers);
    for (std::size_t only = 0; only < servers.size(); ++only) {
        for (ServerLoad& load : loads) {
            load.eligible = false;
        }
        loads[only].eligible = true;
        for (const Balance method :
             {Balance::rr, Balance::wrr, Balance::lc, Balance::wlc, Balance::sh, Balance::dh, Balance::mh, Balance::sed,
              Balance::nq, Balance::fo, Balance::ovf, Balance::twos}) {
            Balancer balancer{method, servers, 1};
            for (std::uint32_t number = 0; number < 20; ++number) {
                EXPECT_EQ(balancer.pick(loads, client_number(number), service), only);
            }
        }
    }
}

TEST(Balance, mh_same_client_same_server)
{
    const auto servers = servers_with({1, 1, 1});
    const auto loads = loads_of(servers);
    Balancer one{Balance::mh, servers, 1};
    Balancer other{Balance::mh, servers, 2};
    EXPECT_EQ(picks(one, loads, 500), picks(other, loads, 500));
}

TEST(Balance, mh_server_fails_only_its_clients_move)
{
    const auto servers = servers_with({1, 1, 1, 1});
    auto loads = loads_of(servers);
    Balancer balancer{Balance::mh, servers, 1};
    const auto before = picks(balancer, loads, 2000);
    loads[2].eligible = false;
    const auto after = picks(balancer, loads, 2000);
    for (std::size_t client = 0; client < before.size(); ++client) {
        EXPECT_EQ(before[client] == 2, before[client] != after[client]);
    }
}

TEST(Balance, mh_follows_weights)
{
    const auto servers = servers_with({3, 1});
    Balancer balancer{Balance::mh, servers, 1};
    std::map<std::size_t, int> share;
    for (const std::size_t index : picks(balancer, loads_of(servers), 8000)) {
        ++share[index];
    }
    EXPECT_NEAR(share[0], 6000, 300);
}

TEST(Balance, dh_ignores_the_client)
{
    const auto servers = servers_with({1, 1, 1});
    Balancer balancer{Balance::dh, servers, 1};
    const auto all = picks(balancer, loads_of(servers), 50);
    EXPECT_TRUE(std::ranges::all_of(all, [&](std::size_t index) { return index == all.front(); }));
}

TEST(Balance, lc_takes_the_least_busy)
{
    const auto servers = servers_with({1, 9, 1});
    auto loads = loads_of(servers);
    loads[0].active = 3;
    loads[1].active = 2;
    loads[2].active = 4;
    Balancer balancer{Balance::lc, servers, 1};
    EXPECT_EQ(balancer.pick(loads, 1, service), 1U);
}

TEST(Balance, wlc_and_sed_weigh_the_load)
{
    const auto servers = servers_with({1, 10});
    auto loads = loads_of(servers);
    loads[0].active = 1;
    loads[1].active = 5;
    Balancer wlc{Balance::wlc, servers, 1};
    EXPECT_EQ(wlc.pick(loads, 1, service), 1U);
    loads[0].active = 0;
    Balancer sed{Balance::sed, servers, 1};
    EXPECT_EQ(sed.pick(loads, 1, service), 1U); // (5 + 1) / 10 beats (0 + 1) / 1.
    Balancer nq{Balance::nq, servers, 1};
    EXPECT_EQ(nq.pick(loads, 1, service), 0U);
}

TEST(Balance, fo_and_ovf_prefer_the_heaviest)
{
    const auto servers = servers_with({1, 3, 2});
    auto loads = loads_of(servers);
    loads[1].active = 3;
    Balancer fo{Balance::fo, servers, 1};
    EXPECT_EQ(fo.pick(loads, 1, service), 1U);
    Balancer ovf{Balance::ovf, servers, 1};
    EXPECT_EQ(ovf.pick(loads, 1, service), 2U); // The heaviest is full.
}

TEST(Balance, twos_never_takes_the_busiest)
{
    const auto servers = servers_with({1, 1, 1});
    auto loads = loads_of(servers);
    loads[1].active = 100;
    Balancer balancer{Balance::twos, servers, 1};
    for (const std::size_t index : picks(balancer, loads, 200)) {
        EXPECT_NE(index, 1U);
    }
}

} // namespace
} // namespace sluice::proxy
