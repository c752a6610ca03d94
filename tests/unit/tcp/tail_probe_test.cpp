// The tail loss probe: what is lost at the end of a burst costs about two round trips, not a retransmission timeout.
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

struct TailProbe : ScriptedPeer {
    static constexpr std::uint32_t mss = 1460;

    /// A SACK peer 10 ms away.
    void start()
    {
        listen();
        send({.flags = SYN, .seq = 0, .mss = 1460, .sack_permitted = true});
        expect(SYN | ACK, 0, 1);
        pass(10ms);
        send({.flags = ACK, .seq = 1, .ack = 1});
        write(100);
        expect(ACK, 1, 1, 100);
        pass(10ms);
        send({.ack = 101});
        expect_nothing();
    }
    void send_burst(std::uint32_t from, std::uint32_t segments)
    {
        write(segments * mss);
        for (std::uint32_t index = 0; index < segments; ++index) {
            expect(ACK, from + index * mss, 1, mss);
        }
        expect_nothing();
    }
};

TEST_F(TailProbe, lost_acknowledgment_of_a_burst_costs_no_timeout_and_no_window)
{
    start();
    const std::uint32_t window = info()->congestion_window;
    send_burst(101, 4);
    pass(15ms);
    expect_nothing();
    pass(60ms);
    expect(ACK, 101 + 3 * mss, 1, mss); // The last segment again
    expect_nothing();
    // The peer had everything: acknowledgment and a D-SACK block.
    send({.ack = 101 + 4 * mss, .sacks = {{101 + 3 * mss, 101 + 4 * mss}}});
    expect_nothing();
    EXPECT_EQ(info()->in_flight, 0U);
    EXPECT_GE(info()->congestion_window, window) << "nothing was lost but an acknowledgment";
}

TEST_F(TailProbe, lost_tail_is_repaired_by_fast_recovery)
{
    start();
    send_burst(101, 6);
    pass(10ms);
    send({.ack = 101 + 3 * mss}); // The last three are lost.
    pass(60ms);
    expect(ACK, 101 + 5 * mss, 1, mss);
    expect_nothing();
    send({.ack = 101 + 3 * mss, .sacks = {{101 + 5 * mss, 101 + 6 * mss}}});
    expect(ACK, 101 + 3 * mss, 1, mss);
    pass(5ms);
    send({.ack = 101 + 4 * mss, .sacks = {{101 + 5 * mss, 101 + 6 * mss}}});
    expect(ACK, 101 + 4 * mss, 1, mss);
    send({.ack = 101 + 6 * mss});
    expect_nothing();
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(TailProbe, without_an_answer_is_sent_once_and_the_timeout_follows)
{
    start();
    send_burst(101, 3);
    pass(100ms);
    expect(ACK, 101 + 2 * mss, 1, mss);
    expect_nothing();
    pass(100ms);
    expect_nothing();
    pass(100ms);
    expect(ACK, 101, 1, mss); // The timeout, counted from the probe
}

TEST_F(TailProbe, recovery_that_falls_silent_sends_its_lost_retransmission_again)
{
    start();
    send_burst(101, 6);
    pass(10ms);
    const auto rest = std::pair{101 + mss, 101 + 6 * mss};
    send({.ack = 101, .sacks = {rest}});
    expect(ACK, 101, 1, mss); // Lost again, and nothing later can tell.
    pass(15ms);
    expect_nothing();
    pass(30ms);
    expect(ACK, 101, 1, mss);
    expect_nothing();
    const std::uint32_t window = info()->congestion_window;
    send({.ack = 101 + 6 * mss});
    EXPECT_GE(info()->congestion_window, window) << "the loss was paid for when recovery began";
    EXPECT_EQ(info()->in_flight, 0U);
    EXPECT_EQ(host().counters.get(telemetry::Counter::tcp_timeouts), 0U);
    EXPECT_EQ(host().counters.get(telemetry::Counter::tcp_loss_probes), 1U);
}

TEST_F(TailProbe, peer_that_sacks_what_it_then_does_not_acknowledge_does_no_harm)
{
    start();
    send_burst(101, 3);
    pass(10ms);
    send({.seq = 1, .ack = 51, .sacks = {{101, 101 + 3 * mss}}}); // All of it, by an old acknowledgment
    pass(1s);
    while (next()) {
    }
    send({.ack = 101 + 3 * mss});
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(TailProbe, peer_without_sack_gets_none)
{
    accept();
    write(100);
    expect(ACK, 1, 1, 100);
    pass(10ms);
    send({.ack = 101});
    write(3 * mss);
    for (std::uint32_t index = 0; index < 3; ++index) {
        expect(ACK, 101 + index * mss, 1, mss);
    }
    pass(190ms);
    expect_nothing();
}

} // namespace
} // namespace sluice::tcp
