// Receiving: acceptability, reassembly, windows, acknowledgments, RST and SYN in and out of window, timestamps.
#include "scripted_peer.hpp"

#include "tcp/ranges.hpp"

namespace sluice::tcp {
namespace {

using Receive = ScriptedPeer;

ListenOptions buffers(std::uint32_t initial, std::uint32_t limit)
{
    ListenOptions options;
    options.connection.receive_initial = initial;
    options.connection.receive_limit = limit;
    return options;
}

TEST_F(Receive, one_segment_is_acknowledged_after_the_delay_and_two_at_once)
{
    accept();
    send({.seq = 1, .payload = std::string(1460, 'a')});
    expect_nothing();
    pass(39ms);
    expect_nothing();
    pass(2ms);
    expect(ACK, 1, 1461);
    send({.seq = 1461, .payload = std::string(1460, 'a')});
    expect_nothing();
    send({.seq = 2921, .payload = std::string(1460, 'a')});
    expect(ACK, 1, 4381);
    pass(1s);
    expect_nothing();
}

TEST_F(Receive, segment_overlapping_the_left_edge_delivers_only_what_is_new)
{
    accept();
    send({.seq = 1, .payload = "abcd"});
    send({.seq = 3, .payload = "cdef"});
    expect(ACK, 1, 7);
    read();
    EXPECT_EQ(received, "abcdef");
}

TEST_F(Receive, segment_overlapping_the_right_edge_is_cut_and_its_fin_not_taken)
{
    accept({.mss = 1460}, buffers(1400, 1400));
    send({.flags = ACK | FIN, .seq = 1, .payload = std::string(1402, 'x')});
    const Out answer = expect(ACK, 1, 1401);
    EXPECT_EQ(answer.segment.window, 0);
    EXPECT_EQ(state(), State::established);
    read();
    EXPECT_EQ(received.size(), 1400U);
    expect(ACK, 1, 1401); // The window update
    send({.flags = ACK | FIN, .seq = 1401, .payload = "xx"});
    EXPECT_EQ(state(), State::close_wait);
}

TEST_F(Receive, fin_is_taken_although_the_window_is_full)
{
    accept({.mss = 1460}, buffers(1400, 1400));
    send({.flags = ACK | FIN, .seq = 1, .payload = std::string(1400, 'x')});
    EXPECT_EQ(expect(ACK, 1, 1402).segment.window, 0);
    EXPECT_EQ(state(), State::close_wait);
}

TEST_F(Receive, fin_behind_a_full_window_leaves_it_closed)
{
    accept({.mss = 1460}, buffers(1400, 1400));
    send({.flags = ACK | FIN, .seq = 1, .payload = std::string(1400, 'x')});
    expect(ACK, 1, 1402);
    ASSERT_TRUE(info());
    EXPECT_EQ(info()->receive_window, 0U);
    send({.flags = RST, .seq = 1'000'000}); // Outside of every window: not even a challenge
    expect_nothing();
    EXPECT_EQ(state(), State::close_wait);
}

TEST_F(Receive, fin_out_of_order_waits_for_the_data_before_it)
{
    accept();
    send({.flags = ACK | FIN, .seq = 5, .payload = "efgh"});
    expect(ACK, 1, 1);
    EXPECT_EQ(state(), State::established);
    send({.seq = 1, .payload = "abcd"});
    expect(ACK, 1, 10);
    EXPECT_EQ(state(), State::close_wait);
    read();
    EXPECT_EQ(received, "abcdefgh");
    read();
    EXPECT_EQ(read_error, boost::asio::error::eof);
}

TEST_F(Receive, out_of_order_data_is_reported_newest_first_in_sack_blocks)
{
    accept({.mss = 1460, .sack_permitted = true});
    send({.seq = 11, .payload = "k"});
    EXPECT_EQ(expect(ACK, 1, 1).segment.sack_count, 1);
    send({.seq = 21, .payload = "u"});
    send({.seq = 31, .payload = "E"});
    (void)next();
    const Out third = *next();
    ASSERT_EQ(third.segment.sack_count, 3);
    EXPECT_EQ(third.segment.sacks[0].begin, Sequence{peer_iss + 31});
    EXPECT_EQ(third.segment.sacks[1].begin, Sequence{peer_iss + 21});
    EXPECT_EQ(third.segment.sacks[2].begin, Sequence{peer_iss + 11});
    send({.seq = 12, .payload = "lmnopqrst"});
    const Out joined = *next();
    ASSERT_EQ(joined.segment.sack_count, 2);
    EXPECT_EQ(joined.segment.sacks[0].begin, Sequence{peer_iss + 11});
    EXPECT_EQ(joined.segment.sacks[0].end, Sequence{peer_iss + 22});
}

TEST_F(Receive, fin_behind_a_gap_is_in_the_sack_block_of_its_segment)
{
    accept({.mss = 1460, .sack_permitted = true});
    send({.flags = ACK | FIN, .seq = 11, .payload = "klm"});
    const Out out = expect(ACK, 1, 1);
    ASSERT_EQ(out.segment.sack_count, 1);
    EXPECT_EQ(out.segment.sacks[0].end, Sequence{peer_iss + 15});
}

TEST_F(Receive, duplicate_data_is_acknowledged_each_time_with_dsack)
{
    accept({.mss = 1460, .sack_permitted = true});
    send({.seq = 1, .payload = "abcd"});
    for (int repeat = 0; repeat < 3; ++repeat) { // Never rate-limited: our acknowledgment was lost.
        send({.seq = 1, .payload = "abcd"});
        const Out answer = expect(ACK, 1, 5);
        ASSERT_EQ(answer.segment.sack_count, 1);
        EXPECT_EQ(answer.segment.sacks[0], (SequenceRange{Sequence{peer_iss + 1}, Sequence{peer_iss + 5}}));
    }
}

TEST_F(Receive, segment_that_ends_inside_the_second_of_two_kept_ranges_joins_it)
{
    accept({.mss = 1460, .sack_permitted = true});
    send({.seq = 101, .payload = std::string(100, 'b')});
    send({.seq = 301, .payload = std::string(200, 'd')});
    host().sent.clear();
    send({.seq = 1,
          .payload = std::string(100, 'a') + std::string(100, 'b') + std::string(100, 'c') + std::string(50, 'd')});
    EXPECT_EQ(expect(ACK, 1, 501).segment.sack_count, 0U);
    read();
    EXPECT_EQ(received, std::string(100, 'a') + std::string(100, 'b') + std::string(100, 'c') + std::string(200, 'd'));
}

TEST_F(Receive, in_order_segment_is_taken_although_the_store_of_gaps_is_full)
{
    accept();
    for (std::uint32_t gap = 0; gap < RangeSet::capacity + 10; ++gap) {
        send({.seq = 11 + 2 * gap, .payload = "x"});
    }
    host().sent.clear();
    EXPECT_EQ(info()->out_of_order, RangeSet::capacity);
    send({.seq = 1, .payload = "0123456789"});
    expect(ACK, 1, 12);
}

TEST_F(Receive, one_byte_segments_out_of_order_pin_bytes_and_not_packets)
{
    accept();
    for (std::uint32_t gap = 0; gap < 60; ++gap) {
        send({.seq = 11 + 2 * gap, .payload = "x"});
    }
    EXPECT_EQ(host().pool.available(), host().pool.capacity());
    EXPECT_LE(host().stack.usage().buffer_bytes, 4096U);
}

TEST_F(Receive, stalled_reader_closes_the_window_and_a_drained_one_opens_it_at_once)
{
    accept({.mss = 1460}, buffers(4096, 4096));
    send({.seq = 1, .payload = std::string(1460, 'x')});
    send({.seq = 1461, .payload = std::string(1460, 'x')});
    EXPECT_EQ(expect(ACK, 1, 2921).segment.window, 4096 - 2920);
    send({.seq = 2921, .payload = std::string(1176, 'x')});
    pass(50ms);
    EXPECT_EQ(expect(ACK, 1, 4097).segment.window, 0);
    read(100);
    expect_nothing(); // A silly update of 100 bytes is kept back.
    read(4000);
    const Out update = expect(ACK, 1, 4097);
    EXPECT_EQ(update.segment.window, 4096);
    expect_nothing();
}

TEST_F(Receive, small_exchanges_under_an_open_window_cost_no_segment_for_the_window_alone)
{
    accept();
    for (std::uint32_t exchange = 0; exchange < 100; ++exchange) {
        send({.seq = 1 + 181 * exchange, .ack = 1 + 2 * exchange, .payload = std::string(181, 'q')});
        read();
        expect_nothing();
        write(2);
        expect(ACK, 1 + 2 * exchange, 1 + 181 * (exchange + 1), 2);
        expect_nothing();
    }
}

TEST_F(Receive, probe_of_a_zero_window_is_answered_and_its_byte_refused)
{
    accept({.mss = 1460}, buffers(1400, 1400));
    send({.seq = 1, .payload = std::string(1400, 'x')});
    pass(50ms);
    expect(ACK, 1, 1401);
    for (int probe = 0; probe < 3; ++probe) {
        send({.seq = 1401, .payload = "p"});
        EXPECT_EQ(expect(ACK, 1, 1401).segment.window, 0);
    }
    expect_nothing();
    EXPECT_EQ(stream->available(), 1400U);
}

TEST_F(Receive, bytes_beyond_the_window_are_rejected_without_harm)
{
    accept({.mss = 1460}, buffers(1400, 1400));
    send({.seq = 5000, .payload = "far"});
    expect(ACK, 1, 1);
    send({.seq = 1, .payload = "abc"});
    read();
    EXPECT_EQ(received, "abc");
}

TEST_F(Receive, empty_buffers_are_given_back)
{
    accept();
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    send({.seq = 1, .payload = "abc"});
    EXPECT_GT(host().stack.usage().buffer_bytes, 0U);
    read();
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

TEST_F(Receive, waiting_reader_takes_bytes_without_any_buffer)
{
    accept();
    read(4);
    send({.seq = 1, .payload = "abcd"});
    EXPECT_EQ(received, "abcd");
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    EXPECT_EQ(host().stack.usage().buffer_bytes_cached, 0U);
}

TEST_F(Receive, exact_reset_ends_the_connection_and_data_before_it_stays_readable)
{
    accept();
    send({.seq = 1, .payload = "last"});
    send({.flags = RST, .seq = 5});
    EXPECT_EQ(host().stack.usage().connections, 1U); // The stream is still held.
    read();
    EXPECT_EQ(received, "last");
    read();
    EXPECT_EQ(read_error, boost::asio::error::connection_reset);
    expect_nothing();
    close();
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

TEST_F(Receive, reset_inside_the_window_is_challenged_and_outside_ignored)
{
    accept();
    send({.flags = RST, .seq = 100});
    expect(ACK, 1, 1);
    send({.flags = RST, .seq = 100}); // Limited to one per half second
    expect_nothing();
    clock.advance(501ms);
    send({.flags = RST, .seq = 100});
    expect(ACK, 1, 1);
    clock.advance(501ms);
    send({.flags = RST, .seq = 100'000});
    send({.flags = RST, .seq = 0});
    expect_nothing();
    EXPECT_EQ(state(), State::established);
}

TEST_F(Receive, syn_on_an_established_connection_is_challenged)
{
    accept();
    send({.flags = SYN, .seq = 50});
    expect(ACK, 1, 1);
    EXPECT_EQ(state(), State::established);
    clock.advance(501ms);
    send({.flags = SYN | ACK, .seq = 0, .ack = 1}); // A SYN-ACK again: our ACK was lost.
    expect(ACK, 1, 1);
    expect_nothing();
}

TEST_F(Receive, challenge_acks_have_a_limit_for_all_connections_together)
{
    stack_options.challenge_acks_per_second = 1;
    accept();
    send({.flags = RST, .seq = 100});
    expect(ACK, 1, 1);
    clock.advance(501ms);
    send({.flags = RST, .seq = 100});
    expect_nothing();
    clock.advance(600ms);
    send({.flags = RST, .seq = 100});
    expect(ACK, 1, 1);
}

TEST_F(Receive, two_desynchronized_ends_do_not_acknowledge_each_other_for_ever)
{
    accept();
    int answers = 0;
    for (int round = 0; round < 1000; ++round) { // Empty and below the window, as the other end's answer would be
        send({.flags = ACK, .seq = 0xffff0000U, .ack = 1});
        clock.advance(1ms);
        while (next()) {
            ++answers;
        }
    }
    EXPECT_GE(answers, 1);
    EXPECT_LE(answers, 3);
}

TEST_F(Receive, acknowledgment_of_data_never_sent_is_answered_and_nothing_taken)
{
    accept();
    send({.seq = 1, .ack = 1000, .payload = "x"});
    expect(ACK, 1, 1);
    read();
    EXPECT_EQ(received, "");
}

TEST_F(Receive, keepalive_of_the_peer_is_answered)
{
    accept();
    send({.seq = 0});
    expect(ACK, 1, 1);
    expect_nothing();
}

TEST_F(Receive, old_timestamp_is_refused_and_a_segment_without_one_taken)
{
    accept({.mss = 1460, .timestamp = 1000});
    send({.seq = 1, .payload = "ab", .timestamp = 1001});
    send({.seq = 3, .payload = "OLD", .timestamp = 900});
    expect(ACK, 1, 3);
    send({.seq = 3, .payload = "cd"}); // Old kernels leave the option out now and then.
    send({.seq = 5, .payload = "ef", .timestamp = 1002});
    read();
    EXPECT_EQ(received, "abcdef");
}

TEST_F(Receive, timestamp_of_a_segment_beyond_the_last_ack_is_not_remembered)
{
    accept({.mss = 1460, .timestamp = 1000});
    send({.seq = 101, .payload = "future", .timestamp = 5000});
    const Out answer = expect(ACK, 1, 1);
    EXPECT_EQ(answer.segment.timestamp_echo, 1000U);
    send({.seq = 1, .payload = "now", .timestamp = 1001}); // Would be "old" against 5000.
    read();
    EXPECT_EQ(received, "now");
}

TEST_F(Receive, window_grows_with_a_reader_that_keeps_up)
{
    accept({.mss = 1460, .scale = 2}, buffers(4096, 65536));
    std::uint32_t seq = 1;
    for (int index = 0; index < 200; ++index) {
        read();
        send({.seq = seq, .payload = std::string(1000, 'x')});
        seq += 1000;
    }
    EXPECT_GT(info()->receive_window, 60000U);
    EXPECT_LE(info()->receive_window, 65536U);
}

TEST_F(Receive, ipv6_is_the_same)
{
    local.address = *wire::IpAddress::parse("2001:db8::1");
    peer.address = *wire::IpAddress::parse("2001:db8::9");
    accept({.mss = 1440});
    send({.seq = 1, .payload = "six"});
    read();
    EXPECT_EQ(received, "six");
    write(3000);
    expect(ACK, 1, 4, 1440);
}

} // namespace
} // namespace sluice::tcp
