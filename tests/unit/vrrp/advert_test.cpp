// Adverts byte by byte, and one drop reason for each check that a received one fails.
#include "node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::vrrp::test {
namespace {

using telemetry::DropReason;

Parameters golden()
{
    Parameters parameters = instance(200);
    parameters.advert_interval = 500ms;
    parameters.source = address("192.0.2.1");
    return parameters;
}

TEST(Frame, ipv4_with_pseudo_header_is_byte_exact)
{
    FrameBuffer buffer;
    EXPECT_EQ(to_hex(build_frame(golden(), 200, ChecksumKind::pseudo, buffer)), "01005e000012"
                                                                                "00005e000133"
                                                                                "0800"
                                                                                "45c000200000"
                                                                                "4000"
                                                                                "ff70d899"
                                                                                "c0000201"
                                                                                "e0000012"
                                                                                "3133c8010032a1a3c0000264");
}

TEST(Frame, ipv4_checksums_of_both_populations)
{
    FrameBuffer buffer;
    const auto message = [&](std::uint8_t priority, ChecksumKind kind) {
        return to_hex(
            build_frame(golden(), priority, kind, buffer).subspan(wire::ethernet_size + wire::ipv4_minimum_size));
    };
    EXPECT_EQ(message(200, ChecksumKind::pseudo), "3133c8010032a1a3c0000264");
    EXPECT_EQ(message(200, ChecksumKind::rfc9568), "3133c80100324434c0000264");
    EXPECT_EQ(message(0, ChecksumKind::pseudo), "31330001003269a4c0000264");
    EXPECT_EQ(message(0, ChecksumKind::rfc9568), "3133000100320c35c0000264");
}

TEST(Frame, ipv6_is_byte_exact)
{
    Parameters parameters = golden();
    parameters.source = address("fe80::c849:33ff:fe26:48a8");
    parameters.addresses = {address("fe80::100"), address("fd00::100")};
    FrameBuffer buffer;
    EXPECT_EQ(to_hex(build_frame(parameters, 200, ChecksumKind::rfc9568, buffer)), "333300000012"
                                                                                   "00005e000233"
                                                                                   "86dd"
                                                                                   "6c000000"
                                                                                   "002870ff"
                                                                                   "fe80000000000000c84933fffe2648a8"
                                                                                   "ff020000000000000000000000000012"
                                                                                   "3133c8020032c7cf"
                                                                                   "fe800000000000000000000000000100"
                                                                                   "fd000000000000000000000000000100");
}

TEST(Frame, link_local_address_goes_first)
{
    Parameters parameters = instance();
    parameters.source = address("fe80::2");
    parameters.addresses = {address("2001:db8::100"), address("2001:db8::101"), address("fe80::100")};
    const Member member{parameters};
    EXPECT_THAT(member.parameters.addresses,
                testing::ElementsAre(address("fe80::100"), address("2001:db8::100"), address("2001:db8::101")));
}

TEST(Frame, largest_lists_fit)
{
    for (const bool ipv6 : {false, true}) {
        Parameters parameters = instance();
        parameters.source = address(ipv6 ? "fe80::2" : "192.0.2.2");
        parameters.addresses.assign(maximum_addresses(ipv6), parameters.source);
        FrameBuffer buffer;
        const Bytes frame = build_frame(parameters, 100, ChecksumKind::pseudo, buffer);
        wire::ParsedPacket parsed;
        ASSERT_EQ(wire::parse_frame(frame, parsed), std::nullopt);
        EXPECT_LE(frame.size(), 1514U);
        const auto advert = check({0, parsed.hop_limit, parsed.source, parsed.destination,
                                   frame.subspan(parsed.transport_offset, parsed.transport_size())});
        ASSERT_TRUE(advert);
        EXPECT_EQ(advert->view.address_count(), maximum_addresses(ipv6));
    }
}

struct CheckRow {
    std::string description;
    std::string message;
    std::optional<DropReason> reason;
    std::uint8_t hop_limit = 255;
};

TEST(Check, each_failure_has_its_reason)
{
    const CheckRow rows[] = {
        {"valid, with pseudo-header", "3133c8010032a1a3 c0000264", std::nullopt},
        {"valid, without", "3133c80100324434 c0000264", std::nullopt},
        {"priority 0", "31330001003269a4 c0000264", std::nullopt},
        {"sent through a router", "3133c8010032a1a3 c0000264", DropReason::vrrp_ttl, 254},
        {"version 2", "2133c80100015465 c0000264 00000000 00000000", DropReason::vrrp_version},
        {"version 2 with a password", "2133c80101011719 c0000264 73656372 65740000", DropReason::vrrp_version},
        {"version 4", "4133c8010032 91a3 c0000264", DropReason::vrrp_version},
        {"type 2", "3233c8010032a0a3 c0000264", DropReason::vrrp_invalid},
        {"an empty message", "", DropReason::vrrp_invalid},
        {"a header cut short", "3133c8010032a1", DropReason::vrrp_invalid},
        {"an address cut short", "3133c8010032a1a3 c00002", DropReason::vrrp_invalid},
        {"more addresses than the message holds", "3133c8020032a1a2 c0000264", DropReason::vrrp_invalid},
        {"a wrong checksum", "3133c8010032a1a4 c0000264", DropReason::vrrp_checksum},
        {"a changed priority", "3133c9010032a1a3 c0000264", DropReason::vrrp_checksum},
        {"no address", "3133c80000324 6 9b", DropReason::vrrp_checksum},
        {"no address, with the right checksum", "3133c8000032069a", DropReason::vrrp_invalid},
        {"interval 0", "3133c80100004466 c0000264", DropReason::vrrp_invalid},
        {"the longest interval", "3133c8010fff3467 c0000264", std::nullopt},
        {"reserved bits are ignored", "3133c801f032 5433 c0000264", std::nullopt},
    };
    for (const CheckRow& row : rows) {
        SCOPED_TRACE(row.description);
        const std::vector<std::byte> message = from_hex(row.message);
        const auto result = check({0, row.hop_limit, address("192.0.2.1"), address("224.0.0.18"), message});
        ASSERT_EQ(!result.has_value(), row.reason.has_value());
        if (row.reason) {
            EXPECT_EQ(result.error(), *row.reason);
        }
    }
}

TEST(Check, ethernet_padding_is_not_part_of_the_message)
{
    // The IP length is authoritative; with the padding the checksum would be right too, so the length must be what
    // differs.
    const std::vector<std::byte> padded = from_hex("3133c8010032a1a3 c0000264 0000000000000000");
    EXPECT_FALSE(check({0, 255, address("192.0.2.1"), address("224.0.0.18"), padded}));
}

TEST(Check, ipv6_needs_the_pseudo_header)
{
    std::vector<std::byte> message(wire::vrrp_length(1, true));
    const std::vector<wire::IpAddress> list{address("fe80::100")};
    const wire::IpAddress source = address("fe80::1");
    const wire::IpAddress group = wire::vrrp_group(true);
    wire::emit_vrrp(message.data(), {51, 100, 10, list}, source, group, true);
    EXPECT_TRUE(check({0, 255, source, group, message}));
    wire::emit_vrrp(message.data(), {51, 100, 10, list}, source, group, false);
    const auto plain = check({0, 255, source, group, message});
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error(), DropReason::vrrp_checksum);
}

TEST(Receive, counts_each_drop_once_and_changes_nothing)
{
    Node node{instance()};
    node.start();
    const TimePoint deadline = node.manager.next_deadline();
    const std::vector<std::byte> good = from_hex("3133c8010032a1a3 c0000264");
    node.manager.input({0, 64, address("192.0.2.1"), address("224.0.0.18"), good}, node.now);
    EXPECT_EQ(node.counters.get(DropReason::vrrp_ttl), 1U);
    node.hear(200, "192.0.2.1", 10, {}, true, 52);
    EXPECT_EQ(node.counters.get(DropReason::vrrp_vrid_unknown), 1U);
    node.hear(200, "192.0.2.1", 10, {}, true, 51, 1); // The VRID of another port
    EXPECT_EQ(node.counters.get(DropReason::vrrp_vrid_unknown), 2U);
    node.hear(200, "fe80::1"); // The VRID of the other family
    EXPECT_EQ(node.counters.get(DropReason::vrrp_vrid_unknown), 3U);
    node.hear(200, "192.0.2.2");
    EXPECT_EQ(node.counters.get(DropReason::source_address_invalid), 1U);
    EXPECT_EQ(node.manager.next_deadline(), deadline);
    EXPECT_EQ(node.member().statistics.adverts_received.get(), 0U);
}

TEST(Checksum, automatic_speaks_as_it_was_spoken_to)
{
    Node node{instance(100)};
    node.start();
    EXPECT_EQ(node.member().checksum, ChecksumKind::pseudo);
    node.hear(50, "192.0.2.1", 10, {}, false);
    EXPECT_EQ(node.member().statistics.checksum_rfc9568.get(), 1U);
    node.run(400ms);
    ASSERT_EQ(node.state(), State::active);
    const Sent& last = node.output.sent.back();
    const Bytes message = Bytes{last.frame}.subspan(wire::ethernet_size + wire::ipv4_minimum_size);
    EXPECT_TRUE(wire::VrrpView{message}.checksum_valid_plain());
    node.hear(50, "192.0.2.1", 10, {}, true);
    EXPECT_EQ(node.member().checksum, ChecksumKind::pseudo);
}

TEST(Checksum, configured_kind_stays)
{
    Parameters parameters = instance(100);
    parameters.checksum = ChecksumMode::rfc9568;
    Node node{parameters};
    node.start();
    node.hear(50, "192.0.2.1", 10, {}, true);
    EXPECT_EQ(node.member().checksum, ChecksumKind::rfc9568);
    EXPECT_EQ(node.member().statistics.checksum_pseudo.get(), 1U);
}

TEST(AddressList, difference_is_reported_once_and_accepted)
{
    Node node{instance(100)};
    node.start();
    node.output.clear();
    node.hear(200, "192.0.2.1", 10, {address("192.0.2.100"), address("192.0.2.101")});
    node.hear(200, "192.0.2.1", 10, {address("192.0.2.101")});
    EXPECT_THAT(node.output.events, testing::ElementsAre("addresses_differ"));
    EXPECT_EQ(node.member().statistics.addresses_differ.get(), 2U);
    node.run(300ms);
    EXPECT_EQ(node.state(), State::backup);
    node.run(10s);
    node.output.clear();
    node.hear(200);
    node.hear(200, "192.0.2.1", 10, {address("192.0.2.101")});
    EXPECT_THAT(node.output.events, testing::Contains("addresses_differ"));
}

TEST(AddressList, lists_that_change_all_the_time_do_not_flood_the_events)
{
    Node node{instance(100)};
    node.start();
    node.output.clear();
    for (int count = 0; count < 1000; ++count) {
        node.hear(200);
        node.hear(200, "192.0.2.1", 10, {address("192.0.2.101")});
    }
    EXPECT_EQ(node.member().statistics.addresses_differ.get(), 1000U);
    EXPECT_EQ(node.output.events.size(), 1U);
}

TEST(AddressList, order_means_nothing)
{
    Parameters parameters = instance(100);
    parameters.addresses.push_back(address("192.0.2.101"));
    Node node{parameters};
    node.start();
    node.hear(200, "192.0.2.1", 10, {address("192.0.2.101"), address("192.0.2.100")});
    EXPECT_EQ(node.member().statistics.addresses_differ.get(), 0U);
}

TEST(AddressList, ipv6_list_without_link_local_first_is_counted_and_accepted)
{
    Parameters parameters = instance(100);
    parameters.source = address("fe80::2");
    parameters.addresses = {address("2001:db8::100")};
    Node node{parameters};
    node.start();
    node.run(300ms);
    node.hear(200, "fe80::1", 10, {address("2001:db8::100")});
    EXPECT_EQ(node.member().statistics.not_link_local_first.get(), 1U);
    node.run(300ms);
    EXPECT_EQ(node.state(), State::backup);
}

} // namespace
} // namespace sluice::vrrp::test
