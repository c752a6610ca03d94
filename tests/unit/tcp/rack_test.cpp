// RACK (RFC 8985): the rules as pure functions, and what a connection makes of them.
#include "scripted_peer.hpp"
#include "tcp/rack.hpp"

namespace sluice::tcp {
namespace {

using telemetry::Counter;

SentSegment segment(std::uint32_t begin, Microseconds sent_at, std::uint8_t flags = 0)
{
    SentSegment one;
    one.begin = Sequence{begin};
    one.length = 100;
    one.sent_at = sent_at;
    one.flags = flags;
    return one;
}

TEST(RackRules, most_recently_sent_of_those_delivered_counts)
{
    Rack rack;
    on_delivered(rack, segment(1000, 500), 1500, false);
    EXPECT_EQ(rack.xmit_ts, 500U);
    EXPECT_EQ(rack.rtt, 1000U);
    on_delivered(rack, segment(900, 400), 1600, false);
    EXPECT_EQ(rack.xmit_ts, 500U);
    on_delivered(rack, segment(1100, 500), 1700, false);
    EXPECT_EQ(rack.end_seq, Sequence{1200}) << "sent in the same instant, the later one decides";
}

TEST(RackRules, times_that_wrap_are_compared_rightly)
{
    EXPECT_TRUE(sent_after(5, Sequence{1}, 0xffff'fff0U, Sequence{2}));
    EXPECT_FALSE(sent_after(0xffff'fff0U, Sequence{2}, 5, Sequence{1}));
}

TEST(RackRules, answer_faster_than_any_round_trip_is_to_the_original)
{
    Rack rack;
    note_round_trip(rack, 1000, 1);
    on_delivered(rack, segment(1000, 5000, SentSegment::retransmitted), 5999, false);
    EXPECT_FALSE(rack.valid);
    on_delivered(rack, segment(1000, 5000, SentSegment::retransmitted), 9000, true);
    EXPECT_FALSE(rack.valid) << "its timestamp says so";
    on_delivered(rack, segment(1000, 5000, SentSegment::retransmitted), 6000, false);
    EXPECT_TRUE(rack.valid);
}

TEST(RackRules, shortest_round_trip_is_forgotten_after_five_minutes)
{
    Rack rack;
    note_round_trip(rack, 1000, 10);
    note_round_trip(rack, 2000, 300);
    EXPECT_EQ(rack.min_rtt, 1000U);
    note_round_trip(rack, 2000, 311);
    EXPECT_EQ(rack.min_rtt, 2000U);
}

TEST(RackRules, original_that_fills_a_gap_shows_reordering_and_a_retransmission_does_not)
{
    Rack rack;
    EXPECT_FALSE(on_delivered(rack, segment(1200, 500), 1500, false));
    EXPECT_FALSE(on_delivered(rack, segment(1000, 600, SentSegment::retransmitted), 1600, false));
    EXPECT_FALSE(rack.reordering_seen);
    EXPECT_TRUE(on_delivered(rack, segment(1100, 500), 1700, false));
    EXPECT_TRUE(rack.reordering_seen);
}

TEST(RackRules, window_is_a_quarter_of_the_round_trip_unless_three_duplicates_say_loss)
{
    Rack rack;
    rack.min_rtt = 8000;
    EXPECT_EQ(reordering_window(rack, false, 2, 10'000), 2000U);
    EXPECT_EQ(reordering_window(rack, false, 3, 10'000), 0U);
    EXPECT_EQ(reordering_window(rack, true, 0, 10'000), 0U);
    rack.reordering_seen = true;
    EXPECT_EQ(reordering_window(rack, true, 30, 10'000), 2000U);
}

TEST(RackRules, duplicates_widen_the_window_once_a_round_trip_and_not_beyond_one)
{
    Rack rack;
    rack.min_rtt = 8000;
    rack.reordering_seen = true;
    on_duplicate_reported(rack, Sequence{100}, Sequence{500});
    on_duplicate_reported(rack, Sequence{300}, Sequence{700});
    EXPECT_EQ(reordering_window(rack, true, 0, 10'000), 4000U);
    on_duplicate_reported(rack, Sequence{500}, Sequence{900});
    EXPECT_EQ(reordering_window(rack, true, 0, 10'000), 6000U);
    for (std::uint32_t round = 2; round < 300; ++round) {
        on_duplicate_reported(rack, Sequence{500 * round}, Sequence{500 * round + 500});
    }
    EXPECT_EQ(reordering_window(rack, true, 0, 10'000), 10'000U) << "at most the smoothed round-trip time";
}

TEST(RackRules, widened_window_is_given_up_after_sixteen_recoveries_without_a_duplicate)
{
    Rack rack;
    on_duplicate_reported(rack, Sequence{100}, Sequence{500});
    for (int recovery = 0; recovery < 15; ++recovery) {
        on_recovery_ended(rack);
        EXPECT_EQ(rack.reo_wnd_mult, 2);
    }
    on_recovery_ended(rack);
    EXPECT_EQ(rack.reo_wnd_mult, 1);
}

TEST(RackRules, tiny_round_trip_still_leaves_a_window_that_can_widen)
{
    Rack rack;
    note_round_trip(rack, 0, 1);
    rack.reordering_seen = true;
    EXPECT_EQ(reordering_window(rack, true, 0, 100), 1U);
    on_duplicate_reported(rack, Sequence{100}, Sequence{500});
    EXPECT_EQ(reordering_window(rack, true, 0, 100), 2U);
}

TEST(RackRules, timeout_marks_the_first_and_what_is_overdue_and_spares_what_just_left)
{
    BufferPool pool{1U << 20U};
    Flight flight;
    for (std::uint32_t index = 0; index < 4; ++index) {
        ASSERT_TRUE(flight.reserve(pool));
        flight.push(Sequence{1000 + 100 * index}, 100, index * 10'000);
    }
    Rack rack;
    rack.rtt = 15'000;
    mark_losses_on_timeout(rack, flight, 4000, 40'000);
    EXPECT_EQ(flight.lost_bytes(), 300U) << "the last left 10 ms ago, a round trip takes 15";
    EXPECT_TRUE(flight[flight.last()].on_its_way());
    flight.release(pool);
}

/// A SACK peer 10 ms away, with 100 bytes exchanged.
struct RackConnection : ScriptedPeer {
    static constexpr std::uint32_t mss = 1460;

    static std::uint32_t at(std::uint32_t index) { return 101 + index * mss; }
    static std::pair<std::uint32_t, std::uint32_t> block(std::uint32_t from, std::uint32_t to)
    {
        return {at(from), at(to)};
    }
    void start(std::optional<std::uint32_t> timestamp = {})
    {
        listen();
        send({.flags = SYN, .seq = 0, .mss = 1460, .sack_permitted = true, .timestamp = timestamp});
        expect(SYN | ACK, 0, 1);
        pass(10ms);
        send({.flags = ACK, .seq = 1, .ack = 1, .timestamp = timestamp});
        write(100);
        expect(ACK, 1, 1, 100);
        pass(10ms);
        send({.ack = 101, .timestamp = timestamp});
        expect_nothing();
    }
    void expect_segments(std::uint32_t from, std::uint32_t to)
    {
        for (; from < to; ++from) {
            expect(ACK, at(from), 1, mss);
        }
        expect_nothing();
    }
    std::uint64_t count(Counter counter) { return host().counters.get(counter); }
};

TEST_F(RackConnection, lost_retransmission_is_found_within_a_round_trip_and_without_a_timeout)
{
    start();
    write(40 * mss);
    expect_segments(0, 10);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 4)}});
    expect(ACK, at(0), 1, mss); // It is lost again.
    expect_nothing();
    for (std::uint32_t index = 5; index <= 10; ++index) {
        send({.ack = at(0), .sacks = {block(1, index)}});
    }
    std::uint32_t last = 10;
    while (const auto out = next()) {
        EXPECT_EQ(out->seq, at(last));
        ++last;
    }
    ASSERT_GT(last, 11U) << "new data left after the retransmission";
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 11)}});
    const auto again = next();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->seq, at(0));
    EXPECT_EQ(count(Counter::tcp_lost_retransmits), 1U);
    EXPECT_EQ(count(Counter::tcp_timeouts), 0U);
    EXPECT_EQ(count(Counter::tcp_sack_recovery), 1U) << "one reduction for one recovery";
}

TEST_F(RackConnection, same_loss_is_not_retransmitted_twice)
{
    start();
    write(10 * mss);
    expect_segments(0, 10);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 4)}});
    expect(ACK, at(0), 1, mss);
    for (std::uint32_t index = 5; index <= 10; ++index) {
        pass(1ms);
        send({.ack = at(0), .sacks = {block(1, index)}});
        send({.ack = at(0), .sacks = {block(1, index)}}); // A duplicate of the acknowledgment
    }
    expect_nothing();
    pass(1ms);
    send({.ack = at(10)});
    EXPECT_EQ(info()->retransmissions, 1U);
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(RackConnection, retransmission_respects_a_window_that_has_shrunk)
{
    start();
    write(10 * mss);
    expect_segments(0, 10);
    pass(10ms);
    send({.seq = 1, .ack = at(1), .window = 100, .sacks = {block(6, 10)}}); // 1 to 5 are lost.
    expect(ACK, at(1), 1, mss); // The first may always go; the rest lies beyond the window.
    expect_nothing();
    pass(10ms);
    send({.seq = 1, .ack = at(2), .window = 2 * mss, .sacks = {block(6, 10)}});
    while (const auto out = next()) {
        EXPECT_LE(out->seq + out->payload.size(), at(4));
    }
}

TEST_F(RackConnection, tiny_round_trip_does_not_stall)
{
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460, .sack_permitted = true});
    expect(SYN | ACK, 0, 1);
    send({.flags = ACK, .seq = 1, .ack = 1});
    write(100);
    expect(ACK, 1, 1, 100);
    send({.ack = 101}); // All of it within one instant of the clock
    write(10 * mss);
    expect_segments(0, 10);
    send({.ack = at(0), .sacks = {block(1, 8)}});
    expect(ACK, at(0), 1, mss);
    expect_nothing();
    write(mss);
    expect(ACK, at(10), 1, mss);
    send({.ack = at(0), .sacks = {block(1, 11)}}); // Sent after the retransmission, which is lost again
    pass(1ms);
    const auto out = next();
    ASSERT_TRUE(out) << "waits for a timeout";
    EXPECT_EQ(out->seq, at(0));
    EXPECT_EQ(count(Counter::tcp_timeouts), 0U);
}

TEST_F(RackConnection, late_segment_is_waited_for_a_quarter_of_the_round_trip)
{
    start();
    write(4 * mss);
    expect_segments(0, 4);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 2)}});
    expect_nothing();
    pass(1ms);
    expect_nothing();
    send({.ack = at(2)}); // It was only late.
    EXPECT_EQ(count(Counter::tcp_sack_reordering), 1U);
    pass(1ms);
    EXPECT_EQ(info()->retransmissions, 0U);
}

TEST_F(RackConnection, late_segment_that_never_comes_is_sent_again_by_the_reordering_timer)
{
    start();
    write(4 * mss);
    expect_segments(0, 4);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 2)}});
    pass(2ms);
    expect_nothing();
    pass(1ms);
    expect(ACK, at(0), 1, mss);
    EXPECT_EQ(count(Counter::tcp_reordering_timeouts), 1U);
}

TEST_F(RackConnection, after_reordering_was_seen_three_duplicates_mark_nothing_at_once)
{
    start();
    write(4 * mss);
    expect_segments(0, 4);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 2)}});
    send({.ack = at(4)});
    write(10 * mss);
    expect_segments(4, 14);
    pass(10ms);
    send({.ack = at(4), .sacks = {block(5, 10)}});
    expect_nothing();
    pass(1ms);
    send({.ack = at(14)});
    EXPECT_EQ(info()->retransmissions, 0U) << "reordered by more than three segments, and not lost";
}

TEST_F(RackConnection, needless_retransmission_that_is_reported_gives_the_window_back)
{
    start();
    write(20 * mss);
    expect_segments(0, 10);
    pass(10ms);
    const std::uint32_t window = info()->congestion_window;
    send({.ack = at(0), .sacks = {block(1, 4)}});
    expect(ACK, at(0), 1, mss);
    EXPECT_LT(info()->slow_start_threshold, window);
    send({.ack = at(10)}); // The original was only late.
    pass(10ms);
    while (next()) {
    }
    send({.ack = at(10), .sacks = {block(0, 1)}}); // The retransmission arrived for nothing.
    EXPECT_EQ(count(Counter::tcp_dsack_received), 1U);
    EXPECT_EQ(count(Counter::tcp_dsack_undo), 1U);
    EXPECT_GE(info()->congestion_window, window);
}

TEST_F(RackConnection, duplicate_that_the_network_made_gives_nothing_back)
{
    start();
    write(20 * mss);
    expect_segments(0, 10);
    pass(10ms);
    send({.ack = at(0), .sacks = {block(1, 4)}});
    expect(ACK, at(0), 1, mss);
    pass(10ms);
    send({.ack = at(4), .sacks = {block(2, 3)}}); // Never sent again by us
    EXPECT_EQ(count(Counter::tcp_dsack_received), 1U);
    EXPECT_EQ(count(Counter::tcp_dsack_undo), 0U);
}

TEST_F(RackConnection, acknowledgment_of_the_original_by_its_timestamp_gives_the_window_back)
{
    start(1);
    const std::uint32_t size = 1448;
    write(10 * size);
    std::uint32_t first_timestamp = 0;
    for (std::uint32_t index = 0; index < 10; ++index) {
        first_timestamp = expect(ACK, 101 + index * size, 1, size).segment.timestamp_value;
    }
    const std::uint32_t window = info()->congestion_window;
    pass(10ms);
    echo = first_timestamp;
    send({.ack = 101, .timestamp = 2, .sacks = {{101 + size, 101 + 4 * size}}});
    expect(ACK, 101, 1, size);
    pass(1ms);
    send({.ack = 101 + 4 * size, .timestamp = 2});
    EXPECT_EQ(count(Counter::tcp_full_undo), 1U);
    EXPECT_GE(info()->congestion_window, window);
}

TEST_F(RackConnection, report_of_a_duplicate_that_a_retransmission_has_no_room_for_follows_it)
{
    start();
    send({.seq = 1, .ack = at(0), .payload = "abcde"});
    pass(50ms);
    expect(ACK, at(0), 6);
    write(10 * mss);
    for (std::uint32_t index = 0; index < 10; ++index) {
        expect(ACK, at(index), 6, mss);
    }
    pass(10ms);
    send({.seq = 1, .ack = at(0), .payload = "abcdefgh", .sacks = {block(1, 4)}});
    expect(ACK, at(0), 9, mss);
    const Out report = expect(ACK, at(10), 9);
    ASSERT_EQ(report.segment.sack_count, 1);
    EXPECT_EQ(report.segment.sacks[0].begin, Sequence{peer_iss + 1});
    EXPECT_EQ(report.segment.sacks[0].end, Sequence{peer_iss + 6});
}

TEST_F(RackConnection, timeout_that_was_only_a_delay_is_taken_back)
{
    start(1);
    const std::uint32_t size = 1448;
    write(4 * size);
    std::uint32_t first_timestamp = 0;
    for (std::uint32_t index = 0; index < 4; ++index) {
        first_timestamp = expect(ACK, 101 + index * size, 1, size).segment.timestamp_value;
    }
    const std::uint32_t window = info()->congestion_window;
    pass(300ms);
    EXPECT_EQ(count(Counter::tcp_timeouts), 1U);
    EXPECT_LT(info()->congestion_window, window);
    host().sent.clear();
    echo = first_timestamp;
    send({.ack = 101 + 2 * size, .timestamp = 2}); // The path had stalled, and nothing was lost.
    EXPECT_EQ(count(Counter::tcp_full_undo), 1U);
    EXPECT_GE(info()->congestion_window, window);
    expect_nothing();
    send({.ack = 101 + 4 * size, .timestamp = 2});
    EXPECT_EQ(info()->in_flight, 0U);
}

TEST_F(RackConnection, without_memory_for_records_data_goes_out_one_by_one)
{
    stack_options.buffer_limit = 4096;
    listen();
    send({.flags = SYN, .seq = 0, .mss = 1460, .sack_permitted = true});
    expect(SYN | ACK, 0, 1);
    pass(10ms);
    send({.flags = ACK, .seq = 1, .ack = 1});
    write(4096); // The send buffer takes all the memory.
    ASSERT_EQ(written, 4096U);
    std::uint32_t sent = 1;
    for (int turn = 0; turn < 12 && sent != 4097; ++turn) {
        std::uint32_t end = sent;
        while (const auto out = next()) {
            EXPECT_EQ(out->seq, end);
            end += static_cast<std::uint32_t>(out->payload.size());
        }
        ASSERT_GT(end, sent) << "nothing leaves any more";
        ASSERT_LE(end - sent, mss);
        sent = end;
        pass(10ms);
        send({.ack = sent});
    }
    EXPECT_EQ(sent, 4097U);
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

TEST_F(RackConnection, idle_connection_holds_no_records)
{
    start();
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    write(10 * mss);
    expect_segments(0, 10);
    EXPECT_GT(host().stack.usage().buffer_bytes, 16384U);
    pass(10ms);
    send({.ack = at(10)});
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

} // namespace
} // namespace sluice::tcp
