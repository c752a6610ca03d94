// Sending: windows, congestion, loss recovery, timers, ICMP.
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

struct SendTest : ScriptedPeer {
    /// Takes all segments that wait; they must be full-sized, in order from `seq`. Returns where they end.
    std::uint32_t expect_full(std::uint32_t seq, std::size_t count, std::size_t size = 1460)
    {
        for (std::size_t index = 0; index < count; ++index) {
            expect(ACK, seq, 1, size);
            seq += static_cast<std::uint32_t>(size);
        }
        expect_nothing();
        return seq;
    }

    void icmp(wire::IcmpErrorKind kind, std::uint32_t seq, std::uint32_t mtu = 0)
    {
        wire::IcmpError error;
        error.kind = kind;
        error.mtu = mtu;
        error.quoted.source = local.address;
        error.quoted.destination = peer.address;
        error.quoted.source_port = local.port;
        error.quoted.destination_port = peer.port;
        error.quoted.protocol = wire::protocol::tcp;
        error.quoted.sequence = Sequence{iss + seq};
        host().loop.start_turn();
        matched = host().stack.icmp_error(error);
        host().turn();
    }
    bool matched = false;
};

TEST_F(SendTest, ten_segments_leave_at_first_and_no_more)
{
    accept();
    write(100'000);
    expect_full(1, 10); // RFC 6928; a window that is never applied is worse than none.
    EXPECT_EQ(info()->congestion_window, 14600U);
}

TEST_F(SendTest, slow_start_sends_two_for_each_acknowledged)
{
    accept();
    write(100'000);
    expect_full(1, 10);
    send({.ack = 1 + 2 * 1460});
    expect_full(14601, 4);
}

TEST_F(SendTest, unused_congestion_window_does_not_grow)
{
    accept();
    for (std::uint32_t index = 0; index < 100; ++index) {
        write(100);
        (void)next();
        send({.ack = 101 + 100 * index});
    }
    EXPECT_EQ(info()->congestion_window, 14600U);
}

/// A port hands over bursts: between their acknowledgments nothing is sent, and yet the window was full.
TEST_F(SendTest, acknowledgments_of_one_burst_all_make_the_window_grow)
{
    stack_options.congestion_control = CongestionControl::newreno;
    accept({.mss = 1460, .sack_permitted = true});
    write(200'000);
    const std::uint32_t lost_from = expect_full(1, 10);
    send({.ack = 1, .sacks = {{1461, lost_from}}}); // The first is lost: half the window from here on.
    host().sent.clear();
    std::uint32_t at = 1 + info()->in_flight;
    send({.ack = at});
    for (int round = 0; round < 6; ++round) {
        const std::uint32_t window = info()->congestion_window;
        const std::uint32_t end = expect_full(at, window / 1460);
        while (at != end) {
            at += 1460;
            more_follow = at != end;
            send({.ack = at});
        }
        if (round >= 2) { // What the end of the recovery acknowledged has been counted.
            EXPECT_EQ(info()->congestion_window, window + 1460); // RFC 5681 §3.1
        }
    }
}

TEST_F(SendTest, window_that_was_full_once_does_not_grow_for_what_was_sent_after_that)
{
    accept();
    write(20 * 1460);
    std::uint32_t at = expect_full(1, 10);
    send({.ack = at}); // Slow start: twenty from here on, and ten are left.
    at = expect_full(at, 10);
    ASSERT_EQ(info()->congestion_window, 20U * 1460U);
    send({.ack = at});
    EXPECT_EQ(info()->congestion_window, 20U * 1460U);
}

TEST_F(SendTest, options_are_subtracted_from_the_segment_size)
{
    accept({.mss = 1460, .timestamp = 1});
    write(5000);
    expect(ACK, 1, 1, 1448);
}

TEST_F(SendTest, third_duplicate_ack_retransmits_one_segment_and_the_first_two_let_new_ones_out)
{
    accept();
    write(100'000);
    expect_full(1, 10);
    send({.ack = 1461});
    expect_full(14601, 2);
    send({.ack = 1461});
    expect_full(17521, 1); // RFC 3042
    send({.ack = 1461});
    expect_full(18981, 1);
    send({.ack = 1461});
    expect_full(1461, 1);
    // Of the eleven that the window allowed: what limited transmit added does not count (RFC 5681 §3.2).
    EXPECT_EQ(info()->slow_start_threshold, 11U * 1460U * 7U / 10U);
    send({.ack = 1461});
    expect_nothing(); // The window is inflated, not yet beyond what is in flight.
}

TEST_F(SendTest, window_updates_are_not_duplicate_acks)
{
    accept({.window = 20000, .mss = 1460});
    write(100'000);
    expect_full(1, 10);
    for (std::uint16_t step = 1; step <= 5; ++step) {
        send({.window = static_cast<std::uint16_t>(20000 + step)});
    }
    expect_nothing();
}

TEST_F(SendTest, sack_retransmits_the_hole_alone)
{
    accept({.mss = 1460, .sack_permitted = true});
    write(14600);
    expect_full(1, 10);
    send({.ack = 1461, .sacks = {{2921, 4381}}});
    expect_nothing();
    send({.ack = 1461, .sacks = {{2921, 5841}}});
    expect_nothing();
    send({.ack = 1461, .sacks = {{2921, 7301}}}); // More than two segments above the hole: lost
    expect_full(1461, 1);
    send({.ack = 1461, .sacks = {{2921, 8761}}});
    expect_nothing(); // Once
    send({.ack = 14601});
    expect_nothing();
    EXPECT_EQ(info()->in_flight, 0U);
    EXPECT_EQ(info()->retransmissions, 1U);
}

TEST_F(SendTest, sack_blocks_that_lie_are_ignored)
{
    accept({.mss = 1460, .sack_permitted = true});
    write(14600);
    expect_full(1, 10);
    send({.sacks = {{20000, 30000}}});
    send({.sacks = {{5000, 4000}}});
    send({.sacks = {{0, 1}}});
    expect_nothing();
    EXPECT_EQ(info()->in_flight, 14600U);
}

TEST_F(SendTest, timeout_retransmits_one_segment_with_back_off_and_gives_up_by_count)
{
    ListenOptions options;
    options.connection.retransmissions = 3;
    accept({.mss = 1460}, options);
    write(5000);
    expect(ACK, 1, 1, 1460);
    host().sent.clear();
    const Duration timeout = info()->retransmission_timeout;
    EXPECT_EQ(timeout, 200ms);
    pass(timeout + 1ms);
    expect_full(1, 1);
    EXPECT_EQ(info()->congestion_window, 1460U);
    const std::uint32_t threshold = info()->slow_start_threshold;
    pass(2 * timeout);
    expect_full(1, 1);
    EXPECT_EQ(info()->slow_start_threshold, threshold); // Halved once for one loss
    pass(4 * timeout);
    expect(ACK, 1, 1, 536); // By now the path may be a black hole for large ones.
    expect_nothing();
    pass(8 * timeout);
    expect(RST | ACK, 5001, 1);
    read();
    EXPECT_EQ(read_error, boost::asio::error::timed_out);
    expect_nothing();
}

TEST_F(SendTest, acknowledgment_after_a_timeout_goes_on_with_what_is_lost)
{
    accept();
    write(14600);
    expect_full(1, 10);
    pass(201ms);
    expect_full(1, 1);
    send({.ack = 1461});
    expect_full(1461, 2);
    send({.ack = 14601}); // All had arrived but the first.
    expect_nothing();
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(SendTest, echoes_of_what_a_timeout_repeated_start_no_fast_retransmit)
{
    accept();
    write(14600);
    expect_full(1, 10);
    pass(201ms);
    expect_full(1, 1); // Needlessly: only the acknowledgments were lost.
    send({.ack = 14601});
    write(1460);
    expect_full(14601, 1);
    for (int echo_of = 0; echo_of < 5; ++echo_of) {
        send({.ack = 14601});
    }
    expect_nothing(); // RFC 6582 §3.2: nothing beyond the end of that recovery was acknowledged yet.
}

TEST_F(SendTest, round_trip_of_what_waited_behind_a_hole_is_not_measured)
{
    accept(); // Without SACK
    clock.advance(10ms);
    write(4380);
    expect_full(1, 3);
    const Duration before = info()->smoothed_rtt;
    pass(201ms);
    expect_full(1, 1);
    send({.ack = 4381}); // The other two arrived long ago.
    EXPECT_EQ(info()->smoothed_rtt, before);
}

TEST_F(SendTest, retransmission_gives_no_round_trip_sample)
{
    accept();
    write(100);
    expect(ACK, 1, 1, 100);
    pass(201ms);
    expect(ACK, 1, 1, 100);
    clock.advance(1ms);
    send({.ack = 101});
    EXPECT_LT(info()->smoothed_rtt, 1ms); // Only the handshake was measured.
}

TEST_F(SendTest, lost_acknowledgment_does_not_inflate_the_timeout)
{
    accept({.mss = 1460, .timestamp = 1});
    write(100);
    const Out first = expect(ACK, 1, 1, 100);
    for (int loss = 0; loss < 5; ++loss) { // The peer has it since the first time, and says so after 6.2 s.
        pass(info()->retransmission_timeout * (1 << loss) + 1ms);
    }
    host().sent.clear();
    echo = first.segment.timestamp_value;
    send({.ack = 101, .timestamp = 2});
    EXPECT_LT(info()->retransmission_timeout, 1s);
}

TEST_F(SendTest, zero_window_is_probed_and_reopened)
{
    accept({.window = 1000, .mss = 1460});
    write(3000);
    expect(ACK, 1, 1, 1000);
    send({.ack = 1001, .window = 0});
    expect_nothing();
    pass(201ms);
    expect(ACK, 1000, 1); // Just left of the window: must be answered
    send({.ack = 1001, .window = 0});
    pass(401ms);
    expect(ACK, 1000, 1);
    send({.ack = 1001, .window = 5000});
    expect(ACK, 1001, 1, 1460);
    expect(ACK, 2461, 1, 540);
    expect_nothing();
}

TEST_F(SendTest, peer_that_answers_probes_is_not_given_up)
{
    accept({.window = 10, .mss = 1460});
    write(30);
    expect(ACK, 1, 1, 10);
    send({.ack = 11, .window = 0});
    for (int probe = 0; probe < 40; ++probe) {
        pass(61s);
        while (next()) {
            send({.ack = 11, .window = 0});
        }
    }
    EXPECT_EQ(state(), State::established);
}

TEST_F(SendTest, window_smaller_than_a_segment_does_not_deadlock)
{
    accept({.window = 8000, .mss = 1460});
    write(10'000);
    expect_full(1, 5);
    send({.ack = 7301, .window = 700});
    expect_nothing(); // Silly window avoidance holds 700 of 1460 back ...
    pass(250ms);
    expect(ACK, 7301, 1, 700); // ... but not for ever.
}

TEST_F(SendTest, peer_that_shrinks_its_window_causes_no_harm)
{
    accept({.window = 20'000, .mss = 1460});
    write(30'000);
    expect_full(1, 10);
    send({.seq = 1, .ack = 1461, .window = 100});
    expect_nothing();
    pass(201ms);
    expect_full(1461, 1); // Only the first: the rest is beyond the window now.
    send({.ack = 14601, .window = 5000});
    EXPECT_EQ(next()->seq, 14601U);
}

TEST_F(SendTest, retransmission_into_a_zero_window_sends_one_segment_per_timeout)
{
    accept({.window = 20'000, .mss = 1460});
    write(14600);
    expect_full(1, 10);
    send({.seq = 2, .ack = 1461, .window = 0});
    host().sent.clear();
    pass(3s);
    std::size_t count = 0;
    while (const auto out = next()) {
        EXPECT_EQ(out->seq, 1461U);
        EXPECT_GT(out->payload.size(), 0U);
        ++count;
    }
    EXPECT_LE(count, 5U);
}

TEST_F(SendTest, keepalive_probes_and_gives_up)
{
    ListenOptions options;
    options.connection.keepalive_idle = 10s;
    options.connection.keepalive_interval = 1s;
    options.connection.keepalive_probes = 2;
    accept({.mss = 1460}, options);
    pass(9900ms);
    expect_nothing();
    pass(200ms);
    expect(ACK, 0, 1);
    send({});
    pass(9s);
    expect_nothing();
    pass(4s);
    expect(ACK, 0, 1);
    expect(ACK, 0, 1);
    expect(RST | ACK, 1, 1);
    read();
    EXPECT_EQ(read_error, boost::asio::error::timed_out);
}

TEST_F(SendTest, keepalive_is_not_sent_while_data_is_outstanding)
{
    ListenOptions options;
    options.connection.keepalive_idle = 10s;
    accept({.mss = 1460}, options);
    write(10);
    expect(ACK, 1, 1, 10);
    pass(60s);
    while (const auto out = next()) {
        EXPECT_EQ(out->seq, 1U) << "a probe instead of a retransmission";
    }
}

TEST_F(SendTest, user_timeout_ends_a_connection_whose_data_is_not_acknowledged)
{
    ListenOptions options;
    options.connection.user_timeout = 2s;
    accept({.mss = 1460}, options);
    pass(1h);
    EXPECT_EQ(state(), State::established);
    write(10);
    pass(1900ms);
    EXPECT_EQ(state(), State::established);
    pass(200ms);
    read();
    EXPECT_EQ(read_error, boost::asio::error::timed_out);
}

TEST_F(SendTest, packet_too_big_makes_segments_smaller_and_sends_again)
{
    accept();
    write(2920);
    expect_full(1, 2);
    icmp(wire::IcmpErrorKind::too_big, 1, 1000);
    EXPECT_TRUE(matched);
    expect(ACK, 1, 1, 960);
    expect(ACK, 961, 1, 960);
    expect(ACK, 1921, 1, 960);
    expect(ACK, 2881, 1, 40);
    expect_nothing();
}

TEST_F(SendTest, packet_too_big_about_nothing_in_flight_or_absurdly_small_does_not_hurt)
{
    accept();
    write(1460);
    expect_full(1, 1);
    icmp(wire::IcmpErrorKind::too_big, 5000, 1000);
    EXPECT_FALSE(matched);
    icmp(wire::IcmpErrorKind::too_big, 0, 1000);
    EXPECT_FALSE(matched);
    EXPECT_EQ(info()->segment_size, 1460);
    icmp(wire::IcmpErrorKind::too_big, 1, 68);
    EXPECT_EQ(info()->segment_size, 536);
}

TEST_F(SendTest, black_hole_is_suspected_after_repeated_timeouts)
{
    accept();
    write(1460);
    expect_full(1, 1);
    pass(201ms);
    expect_full(1, 1);
    pass(401ms);
    expect_full(1, 1);
    pass(801ms);
    expect(ACK, 1, 1, 536);
}

TEST_F(SendTest, unreachable_gives_up_an_attempt_but_not_a_connection)
{
    start_connect();
    expect(SYN, 0, 0);
    icmp(wire::IcmpErrorKind::host_unreachable, 5);
    EXPECT_FALSE(connect_error.has_value()); // Not about our SYN
    icmp(wire::IcmpErrorKind::port_unreachable, 0);
    EXPECT_EQ(connect_error, boost::asio::error::connection_refused);
}

TEST_F(SendTest, unreachable_does_not_end_an_established_connection)
{
    accept();
    write(10);
    expect(ACK, 1, 1, 10);
    icmp(wire::IcmpErrorKind::port_unreachable, 1);
    EXPECT_TRUE(matched);
    EXPECT_EQ(state(), State::established);
}

TEST_F(SendTest, no_packet_buffers_delay_and_lose_nothing)
{
    accept();
    host().starve = true;
    write(100);
    expect_nothing();
    EXPECT_TRUE(host().stack.has_pending_output());
    host().starve = false;
    host().turn();
    expect(ACK, 1, 1, 100);
    EXPECT_FALSE(host().stack.has_pending_output());
}

TEST_F(SendTest, acknowledgment_leaves_when_data_buffers_are_gone)
{
    accept();
    host().starve_data = true;
    write(100);
    send({.seq = 1, .payload = std::string(1460, 'x')});
    send({.seq = 1461, .payload = std::string(1460, 'x')});
    expect(ACK, 1, 2921);
}

TEST_F(SendTest, writer_waits_for_room_and_is_woken_by_acknowledgments)
{
    ListenOptions options;
    options.connection.send_limit = 4000;
    accept({.mss = 1460}, options);
    write(10'000);
    EXPECT_EQ(written, 4000U);
    write(10'000);
    EXPECT_EQ(written, 4000U);
    send({.ack = 4001});
    EXPECT_EQ(written, 8000U);
}

TEST_F(SendTest, nothing_is_retransmitted_after_a_reset)
{
    accept();
    write(5000);
    host().sent.clear();
    send({.flags = RST, .seq = 1});
    pass(100s);
    expect_nothing();
    write(1);
    EXPECT_EQ(write_error, boost::asio::error::connection_reset);
}

} // namespace
} // namespace sluice::tcp
