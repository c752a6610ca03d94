// Opening: both opens, listeners and their limits, resets of what does not exist (RFC 9293 §3.5, §3.10.7.2, §3.10.7.3).
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

using Open = ScriptedPeer;

TEST_F(Open, syn_is_answered_and_the_ack_establishes)
{
    accept({.mss = 1460, .scale = 7, .sack_permitted = true, .timestamp = 5});
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(stream->remote_endpoint(), peer);
    EXPECT_EQ(stream->local_endpoint(), local);
}

TEST_F(Open, windows_of_syn_and_syn_ack_are_not_scaled)
{
    listen();
    send({.flags = SYN, .seq = 0, .window = 1000, .mss = 1460, .scale = 7});
    const Out answer = expect(SYN | ACK, 0, 1);
    EXPECT_EQ(answer.segment.window, 65535);
    EXPECT_TRUE(answer.segment.has_window_scale);
    send({.window = 10}); // 10 << 7
    EXPECT_EQ(info()->send_window, 1280U);
}

TEST_F(Open, options_not_offered_are_not_used)
{
    listen();
    send({.flags = SYN, .seq = 0});
    const Out answer = expect(SYN | ACK, 0, 1);
    EXPECT_FALSE(answer.segment.has_window_scale);
    EXPECT_FALSE(answer.segment.sack_permitted);
    EXPECT_FALSE(answer.segment.has_timestamps);
    send({});
    EXPECT_EQ(info()->segment_size, 536); // RFC 9293 §3.7.1
}

TEST_F(Open, mss_of_zero_does_not_send_empty_segments_for_ever)
{
    accept({.mss = 0});
    write(200);
    std::size_t total = 0;
    std::size_t segments = 0;
    while (const auto out = next()) {
        ASSERT_GT(out->payload.size(), 0U);
        total += out->payload.size();
        ++segments;
    }
    EXPECT_EQ(total, 200U);
    EXPECT_LE(segments, 4U);
}

TEST_F(Open, retransmitted_syn_gets_the_same_syn_ack)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    const Out first = expect(SYN | ACK, 0, 1);
    clock.advance(10ms);
    send({.flags = SYN, .seq = 0, .mss = 1460});
    const Out second = expect(SYN | ACK, 0, 1);
    EXPECT_EQ(first.segment.sequence, second.segment.sequence);
    EXPECT_EQ(host().stack.usage().half_open, 1U);
    expect_nothing();
}

TEST_F(Open, ack_off_by_one_in_syn_received_is_reset_and_establishes_nothing)
{
    listen();
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    send({.ack = 2});
    expect(RST, 2, 0);
    send({.ack = 0});
    expect(RST, 0, 0);
    EXPECT_FALSE(stream.has_value());
    send({.ack = 1});
    EXPECT_TRUE(stream.has_value());
    expect_nothing();
}

TEST_F(Open, data_and_fin_on_the_last_ack_of_the_handshake_are_taken)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    send({.flags = ACK | FIN, .seq = 1, .ack = 1, .payload = "hello"});
    expect(ACK, 1, 7);
    ASSERT_TRUE(stream.has_value());
    read();
    EXPECT_EQ(received, "hello");
    read();
    EXPECT_EQ(read_error, boost::asio::error::eof);
    expect_nothing();
}

TEST_F(Open, data_right_behind_the_handshake_before_accept_is_kept)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    send({});
    send({.payload = "early"});
    read();
    EXPECT_EQ(received, "early");
}

TEST_F(Open, sequence_numbers_wrap_around_zero)
{
    peer_iss = 0xffffffff - 3;
    accept();
    send({.seq = 1, .payload = "abcd"});
    send({.seq = 9, .payload = "ijkl"});
    send({.seq = 5, .payload = "efgh"});
    read();
    EXPECT_EQ(received, "abcdefghijkl");
}

TEST_F(Open, rst_to_a_listener_is_ignored)
{
    listen();
    send({.flags = RST, .seq = 0});
    send({.flags = RST | ACK, .seq = 0});
    expect_nothing();
}

TEST_F(Open, ack_to_a_listener_is_reset_with_its_own_number)
{
    listen();
    send({.flags = ACK, .seq = 7, .ack = 99});
    expect(RST, 99, 0);
    expect_nothing();
}

TEST_F(Open, segment_without_a_connection_is_reset_and_a_reset_is_not)
{
    send({.flags = ACK, .seq = 7, .ack = 99});
    expect(RST, 99, 0);
    send({.flags = SYN, .seq = 0});
    expect(RST | ACK, 0, 1);
    send({.flags = FIN, .seq = 10, .payload = "xyz"});
    EXPECT_EQ(next()->ack, 14U);
    send({.flags = RST, .seq = 5});
    send({.flags = RST | ACK, .seq = 5});
    expect_nothing();
}

TEST_F(Open, half_open_limit_drops_syns_and_dead_handshakes_give_their_place_back)
{
    ListenOptions options;
    options.half_open_limit = 2;
    options.syn_cookies = false;
    listen(options);
    for (std::uint16_t port = 1; port <= 3; ++port) {
        peer.port = port;
        send({.flags = SYN, .seq = 0});
    }
    expect(SYN | ACK, 0, 1);
    expect(SYN | ACK, 0, 1);
    expect_nothing();
    pass(120s); // SYN-ACKs at 1, 3, 7, 15, 31 s, then given up
    std::size_t repeated = 0;
    while (next()) {
        ++repeated;
    }
    EXPECT_EQ(repeated, 10U);
    EXPECT_EQ(host().stack.usage().half_open, 0U);
    peer.port = 4;
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
}

TEST_F(Open, rst_in_syn_received_frees_the_record)
{
    listen();
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    send({.flags = RST, .seq = 2});
    EXPECT_EQ(host().stack.usage().half_open, 1U);
    send({.flags = RST, .seq = 1});
    EXPECT_EQ(host().stack.usage().half_open, 0U);
    expect_nothing();
}

TEST_F(Open, full_accept_queue_drops_the_last_ack_and_the_client_gets_in_later)
{
    ListenOptions options;
    options.accept_limit = 0;
    listen(options);
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    send({});
    EXPECT_FALSE(stream.has_value());
    EXPECT_EQ(host().stack.usage().half_open, 1U);
    expect_nothing();
}

TEST_F(Open, syn_from_multicast_or_unspecified_source_is_dropped)
{
    listen();
    peer.address = wire::IpAddress::v4(0xe0000001);
    send({.flags = SYN, .seq = 0});
    peer.address = wire::IpAddress::v4(0);
    send({.flags = SYN, .seq = 0});
    peer.address = wire::IpAddress::v4(0xffffffff);
    send({.flags = SYN, .seq = 0});
    expect_nothing();
    EXPECT_EQ(host().stack.usage().half_open, 0U);
}

TEST_F(Open, malformed_options_do_not_hang_and_earlier_ones_count)
{
    listen();
    // MSS 1000, then an option of length 0; then one that overruns the header.
    const auto bytes = [](std::initializer_list<int> values) {
        std::vector<std::byte> out;
        for (const int value : values) {
            out.push_back(static_cast<std::byte>(value));
        }
        return out;
    };
    send({.flags = SYN, .seq = 0, .raw_options = bytes({2, 4, 3, 0xe8, 8, 0, 1, 1})});
    expect(SYN | ACK, 0, 1);
    peer.port = 5001;
    send({.flags = SYN, .seq = 0, .raw_options = bytes({3, 1, 1, 2})});
    expect(SYN | ACK, 0, 1);
    peer.port = 5002;
    send({.flags = SYN, .seq = 0, .raw_options = bytes({1, 1, 2, 40})});
    expect(SYN | ACK, 0, 1);
}

TEST_F(Open, syn_with_ece_and_cwr_is_accepted)
{
    listen();
    send({.flags = SYN | flag::ece | flag::cwr, .seq = 0});
    expect(SYN | ACK, 0, 1);
}

TEST_F(Open, connect_completes_and_data_flows)
{
    connect({.mss = 1460});
    write(10);
    expect(ACK, 1, 1, 10);
    EXPECT_TRUE(info()->active_open);
}

TEST_F(Open, refused_connect_reports_it_only_for_a_reset_that_acknowledges_the_syn)
{
    start_connect();
    expect(SYN, 0, 0);
    send({.flags = RST, .seq = 0});
    send({.flags = RST | ACK, .seq = 0, .ack = 0});
    EXPECT_FALSE(connect_error.has_value());
    expect_nothing();
    send({.flags = RST | ACK, .seq = 0, .ack = 1});
    EXPECT_EQ(connect_error, boost::asio::error::connection_refused);
    EXPECT_FALSE(stream->is_open());
    expect_nothing();
}

TEST_F(Open, wrong_ack_in_syn_sent_is_reset_and_the_syn_repeated_once)
{
    // A peer that still has our tuple from an earlier life answers the SYN with a challenge ACK: after our RST it is
    // free, and a health check must not wait a whole retransmission timeout for it.
    start_connect();
    expect(SYN, 0, 0);
    send({.flags = ACK, .seq = 0, .ack = 5});
    expect(RST, 5, 0);
    expect(SYN, 0, 0);
    EXPECT_EQ(state(), State::syn_sent);
    send({.flags = SYN | ACK, .seq = 0, .ack = 9});
    expect(RST, 9, 0);
    expect_nothing();
}

TEST_F(Open, unanswered_connect_backs_off_and_times_out)
{
    ConnectionOptions options;
    options.syn_retransmissions = 2;
    start_connect(options);
    expect(SYN, 0, 0);
    pass(999ms);
    expect_nothing();
    pass(2ms);
    expect(SYN, 0, 0);
    pass(2s);
    expect(SYN, 0, 0);
    pass(5s);
    expect_nothing();
    EXPECT_EQ(connect_error, boost::asio::error::timed_out);
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

TEST_F(Open, connect_without_route_or_port_fails_at_once_but_not_inside_the_call)
{
    host().routed = false;
    start_connect();
    EXPECT_EQ(connect_error, boost::asio::error::network_unreachable);
    host().routed = true;
    listen();
    start_connect();
    EXPECT_EQ(connect_error, boost::asio::error::address_in_use); // A listener has this port.
    expect_nothing();
}

TEST_F(Open, connect_leaves_reserved_ports_alone)
{
    host().reserve_even_ports = true;
    start_connect();
    EXPECT_EQ(connect_error, boost::asio::error::address_in_use);
    local.port = 0;
    host().loop.start_turn();
    for (int attempt = 0; attempt < 20; ++attempt) {
        host().stack.async_connect(local, peer, {}, [](ErrorCode, Stream) {});
    }
    host().turn();
    ASSERT_EQ(host().sent.size(), 20U);
    for (const std::vector<std::byte>& syn : host().sent) {
        EXPECT_EQ(load16(syn.data() + 20) % 2, 1);
    }
    host().sent.clear();
}

TEST_F(Open, simultaneous_open_establishes_both_ways)
{
    start_connect();
    expect(SYN, 0, 0);
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    EXPECT_EQ(state(), State::syn_received);
    send({.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460});
    EXPECT_EQ(state(), State::established);
    ASSERT_TRUE(stream.has_value());
    send({.payload = "hi"});
    read();
    EXPECT_EQ(received, "hi");
}

TEST_F(Open, unlisten_resets_what_nobody_accepted)
{
    listen();
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    host().stack.unlisten(local);
    EXPECT_EQ(host().stack.usage().half_open, 0U);
    send({});
    expect(RST, 1, 0);
}

TEST_F(Open, initial_sequence_numbers_differ_by_connection_and_grow_with_time)
{
    listen();
    std::vector<std::uint32_t> seen;
    for (std::uint16_t port = 1; port <= 3; ++port) {
        peer.port = port;
        send({.flags = SYN, .seq = 0});
        expect(SYN | ACK, 0, 1);
        seen.push_back(iss);
    }
    EXPECT_GT(std::abs(static_cast<std::int32_t>(seen[1] - seen[0])), 1000);
    EXPECT_GT(std::abs(static_cast<std::int32_t>(seen[2] - seen[1])), 1000);
    send({.flags = RST, .seq = 1});
    clock.advance(4ms);
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    EXPECT_EQ(iss, seen[2] + 1000); // RFC 6528: 4 us per tick for the same connection
}

} // namespace
} // namespace sluice::tcp
