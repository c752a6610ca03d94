#include <sluice/l4/scheduler.hpp>

#include <l4/weighted_order.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

namespace sluice::l4 {
namespace {

std::vector<PoolServer> pool(std::initializer_list<std::uint32_t> weights)
{
    std::vector<PoolServer> result;
    std::uint32_t number = 1;
    for (const std::uint32_t weight : weights) {
        const wire::Endpoint address{wire::IpAddress::v4(0x0a000000U + number), 80};
        result.push_back({ServerId{number++}, std::make_shared<health::Server>("pool", "", address), weight});
    }
    return result;
}

/// Servers as letters, for `count` flows of one client.
std::string order(const Scheduler& scheduler, const std::vector<PoolServer>& servers, std::size_t count,
                  const PickRequest& request = {wire::IpAddress::v4(1)})
{
    Cursor cursor;
    std::string result;
    for (std::size_t flow = 0; flow < count; ++flow) {
        const auto picked = scheduler.pick(servers, request, cursor);
        result += picked ? static_cast<char>('A' + *picked) : '-';
    }
    return result;
}

TEST(WeightedOrder, is_that_of_lvs)
{
    const auto letters = [](std::initializer_list<std::uint32_t> weights) {
        std::string result;
        for (const std::uint16_t server : weighted_order(std::vector<std::uint32_t>{weights})) {
            result += static_cast<char>('A' + server);
        }
        return result;
    };
    EXPECT_EQ(letters({4, 3, 2}), "AABABCABC");
    EXPECT_EQ(letters({400, 300, 200}), "AABABCABC");
    EXPECT_EQ(letters({2, 4, 3}), "BBCABCABC");
    EXPECT_EQ(letters({1, 1, 1}), "ABC");
    EXPECT_EQ(letters({0, 2, 0, 1}), "BBD");
    EXPECT_EQ(letters({5}), "A");
    EXPECT_EQ(letters({0, 0}), "");
}

TEST(WeightedOrder, weights_too_heavy_to_write_out_keep_their_shares)
{
    std::vector<std::uint32_t> weights(100);
    std::iota(weights.begin(), weights.end(), 65'400U);
    weights[0] = 1;
    const auto written = weighted_order(weights);
    EXPECT_LE(written.size(), maximum_order);
    std::vector<double> counts(weights.size());
    for (const std::uint16_t server : written) {
        ++counts[server];
    }
    EXPECT_GE(counts[0], 1.0);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t server = 1; server < weights.size(); ++server) {
        EXPECT_NEAR(counts[server] / static_cast<double>(written.size()), weights[server] / total, 1e-4);
    }
}

TEST(RoundRobin, ignores_weights_except_zero)
{
    const auto servers = pool({5, 1, 0, 3});
    EXPECT_EQ(order(*make_scheduler({Balance::rr}, servers), servers, 7), "ABDABDA");
}

TEST(WeightedRoundRobin, follows_its_order_and_starts_elsewhere_on_every_forwarder)
{
    const auto servers = pool({4, 3, 2});
    const auto scheduler = make_scheduler({Balance::wrr}, servers);
    EXPECT_EQ(order(*scheduler, servers, 18), "AABABCABCAABABCABC");
    PickRequest second{wire::IpAddress::v4(1)};
    second.forwarder = 1;
    second.forwarders = 3;
    EXPECT_EQ(order(*scheduler, servers, 9, second), "ABCABCAAB");
}

TEST(WeightedRoundRobin, server_that_fails_is_skipped_at_once_and_comes_back_at_once)
{
    const auto servers = pool({1, 1, 1});
    const auto scheduler = make_scheduler({Balance::wrr}, servers);
    servers[1].record->set_status(health::Status::down);
    EXPECT_EQ(order(*scheduler, servers, 6), "ACACAC");
    servers[1].record->set_status(health::Status::up);
    EXPECT_EQ(order(*scheduler, servers, 6), "ABCABC");
}

TEST(WeightedRoundRobin, heavy_server_that_fails_hides_nobody)
{
    const auto servers = pool({1000, 1});
    const auto scheduler = make_scheduler({Balance::wrr}, servers);
    servers[0].record->set_drained(true);
    EXPECT_EQ(order(*scheduler, servers, 3), "BBB");
}

TEST(AnyScheduler, without_a_server_picks_nobody_and_recovers_without_a_rebuild)
{
    for (const Balance balance : {Balance::rr, Balance::wrr, Balance::sh, Balance::dh, Balance::mh, Balance::twos}) {
        const auto servers = pool({1, 2});
        servers[0].record->set_status(health::Status::down);
        servers[1].record->set_status(health::Status::checking);
        const auto scheduler = make_scheduler({balance, false, 251}, servers);
        EXPECT_EQ(order(*scheduler, servers, 3), "---");
        servers[1].record->set_status(health::Status::up);
        EXPECT_EQ(order(*scheduler, servers, 3), "BBB");
        EXPECT_EQ(order(*make_scheduler({balance, false, 251}, {}), {}, 2), "--");
        const auto quiesced = pool({0, 0});
        EXPECT_EQ(order(*make_scheduler({balance, false, 251}, quiesced), quiesced, 2), "--");
    }
}

std::map<std::uint32_t, wire::IpAddress> assignment(const Scheduler& scheduler, const std::vector<PoolServer>& servers)
{
    std::map<std::uint32_t, wire::IpAddress> result;
    Cursor cursor;
    for (std::uint32_t client = 0; client < 2000; ++client) {
        PickRequest request{wire::IpAddress::v4(0xcb000000U + client)};
        request.client_port = static_cast<std::uint16_t>(client * 7);
        result[client] = servers[*scheduler.pick(servers, request, cursor)].record->address().address;
    }
    return result;
}

TEST(MaglevHashing, order_of_the_configuration_does_not_matter)
{
    auto servers = pool({1, 2, 3, 1, 1});
    const auto before = assignment(*make_scheduler({Balance::mh}, servers), servers);
    std::reverse(servers.begin(), servers.end());
    EXPECT_EQ(assignment(*make_scheduler({Balance::mh}, servers), servers), before);
}

TEST(MaglevHashing, client_keeps_its_server_whatever_its_port_unless_ports_count)
{
    const auto servers = pool({1, 1, 1, 1});
    const auto by_address = make_scheduler({Balance::mh}, servers);
    const auto by_port = make_scheduler({Balance::mh, true}, servers);
    std::map<std::uint32_t, int> address_hits;
    std::map<std::uint32_t, int> port_hits;
    Cursor cursor;
    for (std::uint16_t port = 1; port <= 400; ++port) {
        PickRequest request{wire::IpAddress::v4(0xcb000001U)};
        request.client_port = port;
        ++address_hits[*by_address->pick(servers, request, cursor)];
        ++port_hits[*by_port->pick(servers, request, cursor)];
    }
    EXPECT_EQ(address_hits.size(), 1U);
    EXPECT_EQ(port_hits.size(), 4U);
    for (const auto& [server, hits] : port_hits) {
        EXPECT_NEAR(hits, 100, 40) << server;
    }
}

TEST(MaglevHashing, failure_moves_the_flows_of_the_failed_server_alone_before_any_rebuild)
{
    const auto servers = pool({1, 1, 1, 1});
    const auto scheduler = make_scheduler({Balance::mh}, servers);
    const auto before = assignment(*scheduler, servers);
    servers[2].record->set_status(health::Status::down);
    const auto after = assignment(*scheduler, servers);
    std::map<wire::IpAddress, int> heirs;
    for (const auto& [client, server] : before) {
        if (server == servers[2].record->address().address) {
            ++heirs[after.at(client)];
        } else {
            EXPECT_EQ(after.at(client), server);
        }
    }
    EXPECT_EQ(heirs.size(), 3U) << "the failed server's clients are spread";
}

TEST(MaglevHashing, further_attempts_lead_elsewhere)
{
    const auto servers = pool({1, 1, 1, 1});
    const auto scheduler = make_scheduler({Balance::mh}, servers);
    std::map<std::uint32_t, int> hits;
    Cursor cursor;
    for (std::uint16_t attempt = 0; attempt < 32; ++attempt) {
        PickRequest request{wire::IpAddress::v4(0xcb000001U)};
        request.attempt = attempt;
        ++hits[*scheduler->pick(servers, request, cursor)];
    }
    EXPECT_EQ(hits.size(), 4U);
}

/// How often each server is picked by clients (or destinations) 1 up to `count`.
std::vector<double> hits(const Scheduler& scheduler, const std::vector<PoolServer>& servers, std::uint32_t count,
                         bool by_destination = false)
{
    std::vector<double> result(servers.size());
    Cursor cursor;
    for (std::uint32_t number = 1; number <= count; ++number) {
        PickRequest request{wire::IpAddress::v4(by_destination ? 1 : number)};
        request.destination = wire::IpAddress::v4(by_destination ? number : 1);
        ++result[*scheduler.pick(servers, request, cursor)];
    }
    return result;
}

TEST(SourceHashing, shares_are_the_weights)
{
    const auto servers = pool({4, 3, 2, 0});
    const auto shares = hits(*make_scheduler({Balance::sh}, servers), servers, 90'000);
    EXPECT_NEAR(shares[0], 40'000, 400);
    EXPECT_NEAR(shares[1], 30'000, 300);
    EXPECT_NEAR(shares[2], 20'000, 200);
    EXPECT_EQ(shares[3], 0);
}

TEST(SourceHashing, client_keeps_its_server_in_any_order_of_the_configuration_and_at_any_destination)
{
    auto servers = pool({1, 2, 3, 1, 1});
    const auto before = assignment(*make_scheduler({Balance::sh}, servers), servers);
    std::reverse(servers.begin(), servers.end());
    EXPECT_EQ(assignment(*make_scheduler({Balance::sh}, servers), servers), before);
    PickRequest request{wire::IpAddress::v4(7)};
    const auto scheduler = make_scheduler({Balance::sh}, servers);
    Cursor cursor;
    const auto first = scheduler->pick(servers, request, cursor);
    request.client_port = 99;
    request.destination = wire::IpAddress::v4(99);
    request.forwarder = 2;
    request.forwarders = 3;
    EXPECT_EQ(scheduler->pick(servers, request, cursor), first);
    EXPECT_TRUE(scheduler->consistent());
}

TEST(DestinationHashing, what_is_asked_for_decides_whoever_asks_and_whatever_the_weights)
{
    const auto servers = pool({50, 1, 1, 1});
    const auto scheduler = make_scheduler({Balance::dh}, servers);
    const auto by_client = hits(*scheduler, servers, 100);
    EXPECT_EQ(*std::max_element(by_client.begin(), by_client.end()), 100);
    for (const double share : hits(*scheduler, servers, 40'000, true)) {
        EXPECT_NEAR(share, 10'000, 300);
    }
}

TEST(HashFallback, clients_of_a_full_server_wait_for_it_or_go_elsewhere)
{
    for (const Balance balance : {Balance::sh, Balance::mh}) {
        const auto servers = pool({1, 1, 1});
        const auto waiting = make_scheduler({balance}, servers);
        SchedulerOptions options{balance};
        options.hash_fallback = true;
        const auto moving = make_scheduler(options, servers);
        const auto before = assignment(*waiting, servers);
        servers[0].record->set_limits(1, 1);
        servers[0].record->counters(0).flows.begin(true);
        servers[0].record->flow_began();
        Cursor cursor;
        for (const auto& [client, server] : before) {
            PickRequest request{wire::IpAddress::v4(0xcb000000U + client)};
            request.client_port = static_cast<std::uint16_t>(client * 7);
            const auto waits = waiting->pick(servers, request, cursor);
            const auto moves = moving->pick(servers, request, cursor);
            if (server == servers[0].record->address().address) {
                EXPECT_FALSE(waits);
                EXPECT_NE(*moves, 0U);
            } else {
                EXPECT_EQ(servers[*waits].record->address().address, server);
                EXPECT_EQ(moves, waits);
            }
        }
    }
}

TEST(AnyScheduler, tables_are_built_over_full_servers_as_well)
{
    // A server that fills up and empties again must not move anybody's clients.
    const auto servers = pool({1, 1, 1});
    const auto before = assignment(*make_scheduler({Balance::mh}, servers), servers);
    servers[0].record->set_limits(1, 1);
    servers[0].record->counters(0).flows.begin(true);
    servers[0].record->flow_began();
    const auto rebuilt = make_scheduler({Balance::mh}, servers);
    servers[0].record->set_limits(0, 0);
    EXPECT_EQ(assignment(*rebuilt, servers), before);
}

TEST(WeightedRoundRobin, shares_of_four_forwarders_are_the_weights_within_one_percent)
{
    const auto servers = pool({7, 5, 3, 1});
    const auto scheduler = make_scheduler({Balance::wrr}, servers);
    std::vector<double> shares(servers.size());
    for (std::uint16_t forwarder = 0; forwarder < 4; ++forwarder) {
        PickRequest request{wire::IpAddress::v4(1)};
        request.forwarder = forwarder;
        request.forwarders = 4;
        Cursor cursor;
        for (int flow = 0; flow < 1003; ++flow) {
            ++shares[*scheduler->pick(servers, request, cursor)];
        }
    }
    for (std::size_t server = 0; server < servers.size(); ++server) {
        const double fair = 4012.0 * servers[server].weight / 16;
        EXPECT_NEAR(shares[server], fair, fair * 0.01);
    }
}

} // namespace
} // namespace sluice::l4
