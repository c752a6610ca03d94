// Ways in which other stacks went wrong and that no other file here has: each test says what was seen. The list of all
// of them with their tests is in docs/tcp.md.
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

using telemetry::Counter;

using History = ScriptedPeer;

TEST_F(History, fin_that_found_no_packet_buffer_is_sent_when_there_is_one)
{
    accept();
    host().starve = true;
    close();
    expect_nothing();
    EXPECT_TRUE(host().stack.has_pending_output());
    host().starve = false;
    host().turn();
    expect(ACK | FIN, 1, 1);
    EXPECT_EQ(state(), State::fin_wait_1);
}

TEST_F(History, data_in_fin_wait_1_and_2_is_taken_and_acknowledged)
{
    accept();
    shutdown();
    expect(ACK | FIN, 1, 1);
    send({.seq = 1, .ack = 1, .payload = "before your FIN, "});
    EXPECT_EQ(state(), State::fin_wait_1);
    send({.seq = 18, .ack = 2, .payload = "behind it"});
    EXPECT_EQ(state(), State::fin_wait_2);
    read();
    EXPECT_EQ(received, "before your FIN, behind it");
    pass(50ms);
    std::uint32_t acknowledged = 0;
    while (const auto out = next()) {
        acknowledged = out->ack;
    }
    EXPECT_EQ(acknowledged, 27U);
}

TEST_F(History, closed_window_is_probed_in_fin_wait_1)
{
    accept({.window = 1000, .mss = 1460});
    write(1500);
    shutdown();
    expect(ACK, 1, 1, 1000);
    send({.ack = 1001, .window = 0});
    expect_nothing();
    pass(250ms);
    expect(ACK, 1000, 1);
    send({.ack = 1001, .window = 4000});
    expect(ACK | FIN, 1001, 1, 500);
}

TEST_F(History, closed_window_does_not_let_the_peer_hold_a_closed_connection_for_ever)
{
    accept({.window = 1000, .mss = 1460});
    write(1500);
    expect(ACK, 1, 1, 1000);
    send({.ack = 1001, .window = 0});
    close();
    for (int second = 0; second < 200; ++second) {
        pass(1s);
        while (const auto out = next()) {
            if ((out->flags & RST) == 0) {
                send({.ack = 1001, .window = 0}); // It answers every probe, and takes nothing.
            }
        }
    }
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

TEST_F(History, gaps_and_their_blocks_are_right_across_sequence_number_zero)
{
    peer_iss = 0xffffffffU - 20;
    accept({.mss = 1460, .sack_permitted = true});
    send({.seq = 11, .payload = std::string(20, 'b')}); // Begins before zero and ends behind it.
    Out out = expect(ACK, 1, 1);
    ASSERT_EQ(out.segment.sack_count, 1U);
    EXPECT_EQ(out.segment.sacks[0].begin.value(), peer_iss + 11);
    EXPECT_EQ(out.segment.sacks[0].end.value(), peer_iss + 31);
    send({.seq = 41, .payload = std::string(10, 'd')}); // Behind it altogether.
    out = expect(ACK, 1, 1);
    ASSERT_EQ(out.segment.sack_count, 2U);
    EXPECT_EQ(out.segment.sacks[0].begin.value(), peer_iss + 41);
    send({.seq = 31, .payload = std::string(10, 'c')});
    send({.seq = 1, .payload = std::string(10, 'a')});
    read();
    EXPECT_EQ(received, std::string(10, 'a') + std::string(20, 'b') + std::string(10, 'c') + std::string(10, 'd'));
}

TEST_F(History, blocks_across_sequence_number_zero_retransmit_the_hole_alone)
{
    // Our initial sequence number follows the clock (RFC 6528): let it be just before zero.
    listen();
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    send({.flags = RST, .seq = 1});
    clock.advance(4us * (0xffffffffU - iss - 5000));
    host().loop.start_turn();
    send({.flags = SYN, .seq = 0, .mss = 1000, .sack_permitted = true});
    expect(SYN | ACK, 0, 1);
    ASSERT_GT(iss, 0xffffffffU - 6000U);
    send({});
    ASSERT_TRUE(stream.has_value());
    write(10'000);
    for (int segment = 0; segment < 10; ++segment) {
        EXPECT_EQ(next()->payload.size(), 1000U);
    }
    send({.sacks = {{1001, 2001}}});
    send({.sacks = {{1001, 4001}}});
    send({.sacks = {{1001, 8001}}}); // Across zero
    EXPECT_EQ(expect(ACK, 1, 1, 1000).seq, 1U);
    while (const auto out = next()) {
        EXPECT_GE(out->seq, 8001U) << "what the peer has was sent again";
    }
    send({.ack = 10'001});
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(History, receiver_that_takes_back_what_it_sacked_gets_everything)
{
    accept({.mss = 1000, .sack_permitted = true});
    write(5000);
    for (int segment = 0; segment < 5; ++segment) {
        expect(ACK, 1 + 1000U * segment, 1, 1000);
    }
    send({.sacks = {{1001, 5001}}});
    pass(5s);
    // RFC 2018 §8: from now on it says nothing of them.
    std::uint32_t acknowledged = 1;
    for (int round = 0; round < 40 && acknowledged < 5001; ++round) {
        while (const auto out = next()) {
            if (!out->payload.empty() && out->seq == acknowledged) {
                acknowledged += static_cast<std::uint32_t>(out->payload.size());
            }
        }
        send({.ack = acknowledged});
        pass(1s);
    }
    EXPECT_EQ(acknowledged, 5001U);
    EXPECT_EQ(state(), State::established);
}

TEST_F(History, nothing_fires_and_nothing_is_sent_after_an_abort_with_every_timer_armed)
{
    ListenOptions options;
    options.connection.keepalive_idle = 1s;
    options.connection.user_timeout = 2s;
    accept({.mss = 1460, .sack_permitted = true}, options);
    write(5000);
    send({.seq = 1, .payload = "one segment: its acknowledgment waits"});
    host().sent.clear();
    with_stream(&Stream::abort);
    EXPECT_EQ(next()->flags & RST, RST);
    EXPECT_EQ(host().loop.next_deadline(), never);
    pass(300s);
    expect_nothing();
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

TEST_F(History, reset_behind_a_fin_ends_the_connection_at_its_very_number_alone)
{
    accept();
    send({.flags = ACK | FIN, .seq = 1});
    expect(ACK, 1, 2);
    send({.flags = RST, .seq = 1}); // Before the FIN: old.
    EXPECT_EQ(state(), State::close_wait);
    send({.flags = RST, .seq = 2});
    EXPECT_EQ(state(), State::closed);
}

TEST_F(History, urgent_data_is_delivered_in_line)
{
    accept();
    send({.flags = ACK | flag::urg, .seq = 1, .payload = "urgent"});
    read();
    EXPECT_EQ(received, "urgent");
}

TEST_F(History, new_reader_of_a_closed_window_is_announced_once_and_usefully)
{
    ListenOptions options;
    options.connection.receive_initial = options.connection.receive_limit = 4000;
    accept({.mss = 1000}, options);
    for (std::uint32_t at = 0; at < 4; ++at) {
        send({.seq = 1 + 1000 * at, .payload = std::string(1000, 'x')});
    }
    host().sent.clear();
    read(100); // Too little to speak of: a silly window.
    expect_nothing();
    read(1900);
    const auto update = next();
    ASSERT_TRUE(update.has_value());
    EXPECT_GE(update->segment.window, 1000U);
    expect_nothing();
}

} // namespace
} // namespace sluice::tcp
