#include <sluice/l4/service_table.hpp>

#include <sluice/l4/server_registry.hpp>
#include <sluice/wire/headers.hpp>

#include <gtest/gtest.h>

namespace sluice::l4 {
namespace {

wire::IpAddress ip(std::string_view text) { return wire::IpAddress::parse(text).value(); }

constexpr std::uint8_t tcp = wire::protocol::tcp;
constexpr std::uint8_t udp = wire::protocol::udp;

ServiceTable::Parts small_parts()
{
    ServiceTable::Parts parts;
    parts.addresses = {{ip("192.0.2.1"), false, 0}, {ip("2001:db8::1"), true, 3}};
    parts.services = {{{4}, "web", std::nullopt}, {{7}, "dns", Forwarding{}}};
    parts.listeners = {{ip("192.0.2.1"), 80, 80, tcp, {4}},     {ip("192.0.2.1"), 53, 53, udp, {7}},
                       {ip("192.0.2.1"), 1000, 1999, udp, {7}}, {ip("192.0.2.1"), 1000, 1499, tcp, {4}},
                       {ip("192.0.2.1"), 1500, 1500, tcp, {7}}, {ip("192.0.2.1"), 1501, 2000, tcp, {4}},
                       {ip("2001:db8::1"), 80, 80, tcp, {4}}};
    return parts;
}

TEST(ServiceTable, destination_is_told_by_address_protocol_and_port)
{
    const auto table = ServiceTable::make(small_parts());
    const auto service_at = [&](const char* address, std::uint8_t protocol, std::uint16_t port) {
        const auto found = table->classify(ip(address), protocol, port);
        return found.service == nullptr ? 0U : found.service->id.value;
    };
    EXPECT_EQ(service_at("192.0.2.1", tcp, 80), 4U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 80), 0U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 53), 7U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 999), 0U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 1000), 7U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 1999), 7U);
    EXPECT_EQ(service_at("192.0.2.1", udp, 2000), 0U);
    EXPECT_EQ(service_at("192.0.2.1", tcp, 1499), 4U);
    EXPECT_EQ(service_at("192.0.2.1", tcp, 1500), 7U);
    EXPECT_EQ(service_at("192.0.2.1", tcp, 2000), 4U);
    EXPECT_EQ(service_at("192.0.2.1", tcp, 2001), 0U);
    EXPECT_EQ(service_at("2001:db8::1", tcp, 80), 4U);
    EXPECT_EQ(service_at("192.0.2.2", tcp, 80), 0U);
}

TEST(ServiceTable, address_is_told_from_a_stranger_with_or_without_a_service)
{
    const auto table = ServiceTable::make(small_parts());
    EXPECT_FALSE(table->classify(ip("192.0.2.1"), udp, 9).address->is_virtual);
    EXPECT_EQ(table->classify(ip("2001:db8::1"), tcp, 80).address->place, 3);
    EXPECT_TRUE(table->classify(ip("2001:db8::1"), 0, 0).address->is_virtual);
    EXPECT_EQ(table->classify(ip("192.0.2.9"), tcp, 80).address, nullptr);
}

TEST(ServiceTable, names_lead_to_services_and_pools)
{
    auto parts = small_parts();
    parts.pools = {Pool::make({2}, "pool", {}, {})};
    const auto table = ServiceTable::make(std::move(parts));
    EXPECT_EQ(table->service({4})->name, "web");
    EXPECT_EQ(table->service({7})->name, "dns");
    EXPECT_EQ(table->service({5}), nullptr);
    EXPECT_EQ(table->service({5000}), nullptr);
    EXPECT_EQ(table->pool({2})->name, "pool");
    EXPECT_EQ(table->pool({1}), nullptr);
    EXPECT_EQ(table->pool({99}), nullptr);
}

TEST(ServiceTable, servers_of_nat_services_alone_are_nat_servers)
{
    const auto server = [](const char* address) {
        return PoolServer{{}, std::make_shared<health::Server>("", "", wire::Endpoint{ip(address), 53}), 1};
    };
    ServiceTable::Parts parts;
    Forwarding nat;
    nat.method = Method::nat;
    nat.pool = {1};
    Forwarding full_nat;
    full_nat.pool = {2};
    parts.services = {{{1}, "nat", nat}, {{2}, "full", full_nat}};
    parts.pools = {Pool::make({1}, "a", {}, {server("10.0.0.1"), server("10.0.0.2"), server("2001:db8::1")}),
                   Pool::make({2}, "b", {}, {server("10.0.0.3")})};
    const auto table = ServiceTable::make(std::move(parts));
    EXPECT_TRUE(table->is_nat_server(ip("10.0.0.1")));
    EXPECT_TRUE(table->is_nat_server(ip("2001:db8::1")));
    EXPECT_FALSE(table->is_nat_server(ip("10.0.0.3")));
    EXPECT_FALSE(table->is_nat_server(ip("203.0.113.1")));
    EXPECT_FALSE(ServiceTable::make({})->is_nat_server(ip("10.0.0.1")));
}

TEST(ServiceTable, ten_thousand_services_are_all_found)
{
    ServiceTable::Parts parts;
    for (std::uint32_t number = 0; number < 10'000; ++number) {
        const wire::IpAddress address = wire::IpAddress::v4(0xc6336400U + number / 100);
        if (number % 100 == 0) {
            parts.addresses.push_back({address, true, static_cast<std::uint16_t>(number / 100)});
        }
        const auto port = static_cast<std::uint16_t>(1000 + number % 100);
        parts.services.push_back({{number + 1}, "", std::nullopt});
        parts.listeners.push_back({address, port, port, tcp, {number + 1}});
    }
    const auto table = ServiceTable::make(std::move(parts));
    for (std::uint32_t number = 0; number < 10'000; ++number) {
        const auto found = table->classify(wire::IpAddress::v4(0xc6336400U + number / 100), tcp,
                                           static_cast<std::uint16_t>(1000 + number % 100));
        ASSERT_NE(found.service, nullptr);
        ASSERT_EQ(found.service->id.value, number + 1);
        ASSERT_EQ(found.address->place, number / 100);
    }
}

TEST(ServerRegistry, id_leads_to_its_server_until_it_is_reclaimed_and_never_to_another)
{
    ServerRegistry registry{2};
    const auto record = std::make_shared<health::Server>("pool", "a", wire::Endpoint{});
    const ServerId id = registry.add(record);
    ASSERT_TRUE(id);
    EXPECT_EQ(registry.find(id).server, record.get());
    EXPECT_TRUE(registry.find(id).listed);
    EXPECT_TRUE(registry.add(record));
    EXPECT_FALSE(registry.add(record)) << "full";

    record->counters(3).flows.begin(true);
    registry.retire(id);
    EXPECT_EQ(registry.find(id).server, record.get());
    EXPECT_FALSE(registry.find(id).listed);
    EXPECT_TRUE(registry.reclaim().empty()) << "a flow still uses it";
    registry.restore(id);
    EXPECT_TRUE(registry.find(id).listed);
    record->counters(3).flows.end(true);
    EXPECT_TRUE(registry.reclaim().empty()) << "it is listed";

    registry.retire(id);
    const auto gone = registry.reclaim();
    ASSERT_EQ(gone.size(), 1U);
    EXPECT_EQ(gone[0], id);
    EXPECT_EQ(registry.find(id).server, nullptr);
    const ServerId next = registry.add(std::make_shared<health::Server>("pool", "b", wire::Endpoint{}));
    EXPECT_NE(next, id);
    EXPECT_EQ(registry.find(id).server, nullptr);
    EXPECT_EQ(registry.find(next).server->name(), "b");
    EXPECT_EQ(registry.find(ServerId{}).server, nullptr);
    EXPECT_EQ(registry.find(ServerId{0xffffffff}).server, nullptr);
}

} // namespace
} // namespace sluice::l4
