// Handshakes that the client keeps for us, under a flood (RFC 4987 §3.6).
#include "scripted_peer.hpp"
#include "tcp/syn_cookie.hpp"

#include <algorithm>

namespace sluice::tcp {
namespace {

using telemetry::Counter;

struct SynCookie : ScriptedPeer {
    /// Three of four places are taken by SYNs that nobody will complete.
    void flood(ListenOptions options = {})
    {
        options.half_open_limit = 4;
        listen(options);
        const std::uint16_t port = peer.port;
        for (peer.port = 1; peer.port <= 3; ++peer.port) {
            send({.flags = SYN, .seq = 0});
            expect(SYN | ACK, 0, 1);
        }
        peer.port = port;
        EXPECT_EQ(host().stack.usage().half_open, 3U);
    }

    /// The SYN of a client, and the answer to it.
    Segment open(In syn)
    {
        syn.flags = SYN;
        syn.seq = 0;
        send(syn);
        const Segment answer = expect(SYN | ACK, 0, 1).segment;
        echo = answer.timestamp_value;
        return answer;
    }

    [[nodiscard]] std::uint64_t count(telemetry::Counter counter) { return host().counters.get(counter); }
};

TEST_F(SynCookie, below_the_watermark_none_is_given)
{
    ListenOptions options;
    options.half_open_limit = 4;
    listen(options);
    for (peer.port = 1; peer.port <= 3; ++peer.port) {
        send({.flags = SYN, .seq = 0});
    }
    EXPECT_EQ(count(Counter::tcp_syn_cookies_sent), 0U);
    EXPECT_EQ(host().stack.usage().half_open, 3U);
}

TEST_F(SynCookie, flood_of_a_hundred_thousand_keeps_nothing_and_a_client_still_gets_in)
{
    flood();
    const std::size_t before = host().stack.usage().half_open;
    for (std::uint32_t number = 0; number < 100'000; ++number) {
        peer.address = wire::IpAddress::v4(0x0b000000U + number);
        send({.flags = SYN, .seq = 0, .mss = 1460, .scale = 7, .sack_permitted = true, .timestamp = number});
        host().sent.clear();
    }
    EXPECT_EQ(host().stack.usage().half_open, before);
    EXPECT_EQ(count(Counter::tcp_syn_cookies_sent), 100'000U);
    peer.address = wire::IpAddress::v4(0x0a000009);
    open({.mss = 1460, .scale = 7, .sack_permitted = true, .timestamp = 77});
    send({.timestamp = 78});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(count(Counter::tcp_syn_cookies_received), 1U);
}

TEST_F(SynCookie, what_completes_the_handshake_is_known_and_what_does_not_is_not)
{
    flood();
    open({.mss = 1460});
    send({.ack = 2});
    EXPECT_FALSE(known) << "no cookie of ours";
    EXPECT_EQ(next()->flags, RST);
    send({});
    EXPECT_TRUE(known) << "before there is a connection";
    ASSERT_TRUE(stream.has_value());
    send({.payload = "hello"});
    EXPECT_TRUE(known);
    ++peer.port;
    send({});
    EXPECT_FALSE(known);
}

TEST_F(SynCookie, window_scale_sack_and_mss_survive)
{
    flood();
    const Segment answer = open({.window = 1000, .mss = 1400, .scale = 7, .sack_permitted = true, .timestamp = 500});
    EXPECT_TRUE(answer.sack_permitted);
    EXPECT_TRUE(answer.has_window_scale);
    EXPECT_EQ(answer.timestamp_echo, 500U);
    send({.window = 1000, .timestamp = 501});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(info()->send_window, 1000U << 7U);
    EXPECT_EQ(info()->segment_size, 1400U - timestamps_option_size);
    // Out of order: the answer has a SACK block, and its timestamp is not before the cookie's.
    send({.seq = 11, .payload = "later", .timestamp = 502});
    const Out duplicate = expect(ACK, 1, 1);
    EXPECT_EQ(duplicate.segment.sack_count, 1U);
    EXPECT_GE(static_cast<std::int32_t>(duplicate.segment.timestamp_value - answer.timestamp_value), 0);
}

TEST_F(SynCookie, options_that_the_client_did_not_offer_are_not_used)
{
    flood();
    const Segment answer = open({.mss = 1460, .timestamp = 500});
    EXPECT_FALSE(answer.sack_permitted);
    EXPECT_FALSE(answer.has_window_scale);
    send({.window = 1000, .timestamp = 501});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(info()->send_window, 1000U);
    send({.seq = 11, .payload = "later", .timestamp = 502});
    EXPECT_EQ(expect(ACK, 1, 1).segment.sack_count, 0U);
}

TEST_F(SynCookie, without_timestamps_nothing_is_agreed_on_that_would_be_forgotten)
{
    flood();
    const Segment answer = open({.mss = 1460, .scale = 7, .sack_permitted = true});
    EXPECT_FALSE(answer.sack_permitted);
    EXPECT_FALSE(answer.has_window_scale);
    EXPECT_FALSE(answer.has_timestamps);
    EXPECT_NE(answer.mss, 0U);
    send({.window = 1000});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(info()->send_window, 1000U);
    EXPECT_EQ(info()->segment_size, 1460U);
}

TEST_F(SynCookie, data_with_or_instead_of_the_acknowledgment_is_taken)
{
    flood();
    open({.mss = 1460, .timestamp = 1});
    send({.payload = "hello", .timestamp = 2}); // The bare acknowledgment was lost.
    ASSERT_TRUE(stream.has_value());
    read();
    EXPECT_EQ(received, "hello");
}

TEST_F(SynCookie, data_and_fin_at_once_are_taken)
{
    flood();
    open({.mss = 1460});
    send({.flags = ACK | FIN, .payload = "bye"});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(state(), State::close_wait);
    read();
    EXPECT_EQ(received, "bye");
}

TEST_F(SynCookie, acknowledgment_of_anything_else_is_reset)
{
    flood();
    open({.mss = 1460});
    send({.ack = 2});
    EXPECT_EQ(next()->flags, RST);
    send({.seq = 2});
    EXPECT_EQ(next()->flags, RST);
    ++peer.port;
    send({});
    EXPECT_EQ(next()->flags, RST);
    EXPECT_FALSE(stream.has_value());
    EXPECT_EQ(count(Counter::tcp_syn_cookies_received), 0U);
}

TEST_F(SynCookie, old_cookie_is_worth_nothing)
{
    flood();
    open({.mss = 1460});
    clock.advance(2 * SynCookies::lifetime);
    host().loop.start_turn();
    send({});
    EXPECT_FALSE(stream.has_value());
}

TEST_F(SynCookie, full_accept_queue_drops_and_does_not_reset)
{
    ListenOptions options;
    flood(options);
    open({.mss = 1460});
    host().stack.unlisten(local);
    options.accept_limit = 0;
    listen(options);
    host().sent.clear();
    send({});
    expect_nothing();
    EXPECT_FALSE(stream.has_value());
    EXPECT_EQ(count(Counter::tcp_listen_overflows), 1U);
}

TEST_F(SynCookie, no_memory_for_a_connection_leaks_nothing)
{
    stack_options.connection_limit = 0;
    flood();
    open({.mss = 1460});
    send({});
    EXPECT_FALSE(stream.has_value());
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

TEST(SynCookies, hash_depends_on_everything_and_the_age_is_checked)
{
    SynCookies cookies{HashKey{1, 2}};
    TableEntry ends{EntryKind::half_open, nullptr};
    ends.local = wire::IpAddress::v4(0x0a000001);
    ends.remote = wire::IpAddress::v4(0x0a000002);
    ends.local_port = 80;
    ends.remote_port = 5000;
    const TimePoint start = TimePoint{} + 1000s;
    EXPECT_FALSE(cookies.check(ends, Sequence{7}, Sequence{1}, start)) << "none was given";
    const Sequence cookie = cookies.make(ends, Sequence{7}, 1460, start);
    EXPECT_EQ(cookies.check(ends, Sequence{7}, cookie, start), 1460);
    EXPECT_EQ(cookies.check(ends, Sequence{7}, cookie, start + 60s), 1460);
    EXPECT_FALSE(cookies.check(ends, Sequence{7}, cookie, start + SynCookies::lifetime + 1s));
    EXPECT_FALSE(cookies.check(ends, Sequence{8}, cookie, start));
    EXPECT_FALSE(cookies.check(ends, Sequence{7}, cookie + 1, start));
    TableEntry other = ends;
    other.remote_port = 5001;
    EXPECT_FALSE(cookies.check(other, Sequence{7}, cookie, start));
    other = ends;
    other.local = wire::IpAddress::v4(0x0a000003);
    EXPECT_FALSE(cookies.check(other, Sequence{7}, cookie, start));
    std::size_t guessed = 0;
    for (std::uint32_t guess = 0; guess < 1'000'000; ++guess) {
        guessed += cookies.check(ends, Sequence{7}, Sequence{guess * 2654435761U}, start).has_value() ? 1 : 0;
    }
    EXPECT_LE(guessed, 1U);
}

TEST(SynCookies, mss_is_rounded_down)
{
    SynCookies cookies{HashKey{1, 2}};
    TableEntry ends{EntryKind::half_open, nullptr};
    const auto kept = [&](std::uint16_t mss) {
        return cookies.check(ends, Sequence{1}, cookies.make(ends, Sequence{1}, mss, TimePoint{} + 1s),
                             TimePoint{} + 1s);
    };
    EXPECT_EQ(kept(1460), 1460);
    EXPECT_EQ(kept(1459), 1440);
    EXPECT_EQ(kept(65535), 8900);
    EXPECT_EQ(kept(216), 216);
    EXPECT_EQ(kept(1), 216);
}

TEST(SynCookies, timestamp_says_the_options_and_is_never_after_the_clock)
{
    for (const std::uint32_t clock : {0U, 5U, 31U, 32U, 1000U, 0x7fffffffU, 0x80000000U, 0xfffffff0U}) {
        for (std::uint8_t scale = 0; scale <= 15; ++scale) {
            for (const bool sack : {false, true}) {
                SynCookies::Options options{sack, scale == 15 ? std::nullopt : std::optional{scale}};
                const std::uint32_t value = SynCookies::timestamp(clock, options);
                EXPECT_LT(clock - value, 64U);
                EXPECT_EQ(SynCookies::options(value).sack, sack);
                EXPECT_EQ(SynCookies::options(value).window_scale, options.window_scale);
            }
        }
    }
}

} // namespace
} // namespace sluice::tcp
