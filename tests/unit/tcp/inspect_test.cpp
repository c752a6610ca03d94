// What a look at a connection shows, the walk over all of them, and counters that have a name in Linux.
#include "scripted_peer.hpp"

#include <set>

namespace sluice::tcp {
namespace {

using telemetry::Counter;

struct Inspect : ScriptedPeer {
    [[nodiscard]] ConnectionInfo look()
    {
        ConnectionInfo found;
        host().stack.visit(0, {10, ~std::size_t{0}, true, {}}, [&](const ConnectionInfo& one) { found = one; });
        EXPECT_TRUE(found.detail.has_value());
        return found;
    }
    void accept_with_sack()
    {
        listen();
        send({.flags = SYN, .seq = 0, .mss = 1460, .scale = 7, .sack_permitted = true});
        expect(SYN | ACK, 0, 1);
        pass(10ms);
        send({.flags = ACK, .seq = 1, .ack = 1});
        ASSERT_TRUE(stream.has_value());
        expect_nothing();
    }
    std::uint64_t count(Counter counter) { return host().counters.get(counter); }
};

TEST_F(Inspect, idle_connection_has_no_timer_and_knows_its_round_trip)
{
    accept_with_sack();
    pass(5s);
    const ConnectionInfo one = look();
    EXPECT_GE(one.detail->minimum_rtt, 9ms);
    EXPECT_LE(one.detail->minimum_rtt, 10ms);
    EXPECT_EQ(one.detail->since_received, 5s);
    EXPECT_EQ(one.detail->recovery, Recovery::open);
    EXPECT_TRUE(one.detail->sack && one.detail->window_scaling && one.detail->slow_start);
    EXPECT_FALSE(one.detail->timestamps);
    EXPECT_EQ(one.detail->send_scale, 7);
    EXPECT_EQ(one.detail->peer_segment_size, 1460);
    EXPECT_FALSE(one.detail->timers.retransmission);
    EXPECT_FALSE(one.detail->timers.tail_loss_probe);
    EXPECT_EQ(one.detail->last_retransmission, RetransmissionCause::none);
    EXPECT_FALSE(one.detail->since_retransmission);
}

TEST_F(Inspect, unanswered_data_arms_its_timers_and_says_why_it_was_sent_again)
{
    accept_with_sack();
    write(1000);
    ConnectionInfo one = look();
    ASSERT_TRUE(one.detail->timers.retransmission);
    EXPECT_FALSE(one.detail->timers.tail_loss_probe) << "it would be later";
    EXPECT_FALSE(one.detail->timers.window_probe || one.detail->timers.linger);
    EXPECT_EQ(*one.detail->timers.retransmission, one.retransmission_timeout);
    EXPECT_EQ(one.detail->in_pipe, 1000U);
    EXPECT_EQ(one.detail->segments_in_flight, 1);
    EXPECT_TRUE(one.detail->writer_waits || one.send_queue == 1000);
    pass(300ms); // Twice the round trip, and what the peer may delay its acknowledgment by
    EXPECT_EQ(look().detail->last_retransmission, RetransmissionCause::timeout);
    EXPECT_EQ(look().detail->backoff, 1);
    EXPECT_EQ(look().detail->recovery, Recovery::timeout);
    pass(3s);
    one = look();
    EXPECT_EQ(one.detail->last_retransmission, RetransmissionCause::timeout);
    EXPECT_GE(one.retransmissions, 2U);
    ASSERT_TRUE(one.detail->since_retransmission);
    EXPECT_LE(*one.detail->since_retransmission, 3s);
}

TEST_F(Inspect, probe_of_the_tail_is_told_from_a_timeout)
{
    accept_with_sack();
    write(5 * 1460);
    pass(100ms); // 20 ms after the last segment
    EXPECT_EQ(count(Counter::tcp_loss_probes), 1U);
    const ConnectionInfo one = look();
    EXPECT_EQ(one.detail->last_retransmission, RetransmissionCause::tail_loss_probe);
    EXPECT_TRUE(one.detail->tail_probe_out);
    EXPECT_EQ(one.detail->recovery, Recovery::open);
}

TEST_F(Inspect, gap_that_is_reported_shows_recovery_with_what_is_sacked_and_lost)
{
    accept_with_sack();
    write(10 * 1460);
    pass(10ms);
    host().sent.clear();
    send({.ack = 1, .sacks = {{1 + 2 * 1460, 1 + 8 * 1460}}});
    const ConnectionInfo one = look();
    EXPECT_EQ(one.detail->recovery, Recovery::fast);
    EXPECT_EQ(one.detail->recovery_left, 10U * 1460);
    EXPECT_EQ(one.detail->sacked, 6U * 1460);
    EXPECT_EQ(one.detail->sacked_segments, 6);
    EXPECT_GT(one.detail->prr_delivered, 0U);
    EXPECT_GT(one.detail->prr_out, 0U);
    EXPECT_EQ(one.detail->prr_recover_flight, 10U * 1460);
    EXPECT_EQ(one.detail->last_retransmission, RetransmissionCause::acknowledgments);
    EXPECT_EQ(one.detail->cubic_maximum, 14600U);
    EXPECT_FALSE(one.detail->slow_start);
}

TEST_F(Inspect, received_out_of_order_is_shown_in_ranges)
{
    accept_with_sack();
    send({.seq = 11, .payload = std::string(10, 'x')});
    send({.seq = 31, .payload = std::string(10, 'x')});
    EXPECT_EQ(look().out_of_order, 20U);
    EXPECT_EQ(look().detail->out_of_order_ranges, 2);
    EXPECT_EQ(look().detail->largest_segment_seen, 536) << "never less than the default";
}

TEST_F(Inspect, walk_shows_each_connection_once_in_slices_of_any_size)
{
    listen();
    constexpr std::uint16_t clients = 100;
    for (std::uint16_t client = 0; client < clients; ++client) {
        peer.port = static_cast<std::uint16_t>(5000 + client);
        send({.flags = SYN, .seq = 0, .mss = 1460});
        host().sent.clear();
    }
    for (const Stack::Slice& slice : {Stack::Slice{7, ~std::size_t{0}, false, {}}, Stack::Slice{100, 64, true, {}}}) {
        std::multiset<std::uint16_t> seen;
        std::size_t cursor = 0;
        std::size_t slices = 0;
        do {
            std::size_t shown = 0;
            cursor = host().stack.visit(cursor, slice, [&](const ConnectionInfo& one) {
                EXPECT_EQ(one.state, State::syn_received);
                EXPECT_FALSE(one.detail.has_value()) << "a half-open record has none";
                seen.insert(one.remote.port);
                ++shown;
            });
            EXPECT_LE(shown, slice.limit);
            ++slices;
        } while (cursor != 0);
        EXPECT_EQ(seen.size(), clients);
        EXPECT_EQ(std::set<std::uint16_t>(seen.begin(), seen.end()).size(), clients);
        EXPECT_GE(slices, clients / slice.limit);
    }
}

TEST_F(Inspect, walk_describes_only_what_is_wanted)
{
    accept_with_sack();
    Stack::Slice none;
    none.slots = ~std::size_t{0};
    none.wanted = [](const ConnectionEnds& ends) { return ends.state != State::established; };
    host().stack.visit(0, none, [](const ConnectionInfo&) { ADD_FAILURE() << "not wanted"; });
}

// ---- Counters by their Linux names

TEST_F(Inspect, syn_ack_sent_again_is_counted_as_such)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    pass(2s);
    EXPECT_EQ(count(Counter::tcp_syn_retransmits), 1U);
    EXPECT_EQ(count(Counter::tcp_segments_retransmitted), 1U);
}

TEST_F(Inspect, reset_of_a_handshake_is_embryonic)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    send({.flags = RST, .seq = 1});
    EXPECT_EQ(count(Counter::tcp_embryonic_resets), 1U);
    EXPECT_EQ(count(Counter::tcp_established_resets), 0U);
}

TEST_F(Inspect, syn_inside_of_a_connection_is_a_challenge)
{
    accept_with_sack();
    send({.flags = SYN, .seq = 1});
    EXPECT_EQ(count(Counter::tcp_syn_challenges), 1U);
    EXPECT_EQ(state(), State::established);
}

TEST_F(Inspect, window_that_closes_and_opens_is_counted_once_each)
{
    ListenOptions options;
    options.connection.receive_initial = options.connection.receive_limit = 1400;
    accept({.mss = 1460}, options);
    send({.seq = 1, .payload = std::string(1400, 'x')});
    pass(50ms);
    send({.seq = 1401, .payload = "p"});
    EXPECT_EQ(count(Counter::tcp_zero_windows), 1U);
    EXPECT_EQ(count(Counter::tcp_zero_windows_reopened), 0U);
    read();
    pass(50ms);
    EXPECT_EQ(count(Counter::tcp_zero_windows), 1U);
    EXPECT_EQ(count(Counter::tcp_zero_windows_reopened), 1U);
}

TEST_F(Inspect, duplicate_that_is_reported_is_counted)
{
    accept_with_sack();
    send({.seq = 1, .payload = "abc"});
    pass(50ms);
    send({.seq = 1, .payload = "abc"});
    EXPECT_EQ(count(Counter::tcp_dsack_sent), 1U);
}

TEST_F(Inspect, fast_recovery_that_falls_silent_fails_into_a_timeout)
{
    accept_with_sack();
    write(10 * 1460);
    pass(10ms);
    send({.ack = 1, .sacks = {{1 + 2 * 1460, 1 + 8 * 1460}}});
    EXPECT_EQ(count(Counter::tcp_sack_recovery), 1U);
    pass(2s);
    EXPECT_EQ(count(Counter::tcp_sack_failures), 1U);
    EXPECT_EQ(count(Counter::tcp_reno_failures), 0U);
}

TEST_F(Inspect, icmp_error_about_nothing_in_flight_is_out_of_window)
{
    accept_with_sack();
    wire::IcmpError error;
    error.kind = wire::IcmpErrorKind::port_unreachable;
    error.quoted.source = local.address;
    error.quoted.destination = peer.address;
    error.quoted.source_port = local.port;
    error.quoted.destination_port = peer.port;
    error.quoted.protocol = wire::protocol::tcp;
    error.quoted.sequence = Sequence{iss + 5000};
    host().loop.start_turn();
    EXPECT_FALSE(host().stack.icmp_error(error));
    EXPECT_EQ(count(Counter::tcp_icmp_out_of_window), 1U);
}

} // namespace
} // namespace sluice::tcp
