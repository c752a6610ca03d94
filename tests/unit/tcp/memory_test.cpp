// The stack's memory is short: whoever took much of it must not keep the others from moving.
#include "scripted_peer.hpp"

#include "tcp/buffers.hpp"

namespace sluice::tcp {
namespace {

using telemetry::Counter;

class Memory : public ScriptedPeer {
protected:
    Memory() { stack_options.buffer_limit = 1024 * 1024; }

    [[nodiscard]] bool scarce() { return host().stack.usage().buffer_bytes > stack_options.buffer_limit / 8 * 7; }

    /// One more connection, from the next port of the peer; `stream` is its end.
    void open()
    {
        if (stream) {
            streams_.push_back(std::move(*stream));
            stream.reset();
        } else {
            listen();
        }
        ++peer.port;
        host().sent.clear();
        send({.flags = SYN, .seq = 0, .mss = 1460});
        expect(SYN | ACK, 0, 1);
        send({.flags = ACK});
        ASSERT_TRUE(stream.has_value());
    }

private:
    std::vector<Stream> streams_;
};

TEST_F(Memory, peers_that_take_nothing_leave_the_others_room_to_send)
{
    for (int count = 0; count < 24; ++count) {
        open();
        written = 0;
        write(300'000); // Nothing of it will be acknowledged.
        EXPECT_GE(written, 4096U) << count;
        EXPECT_FALSE(write_error.value_or(ErrorCode{})) << count;
    }
}

TEST_F(Memory, single_bytes_far_ahead_do_not_use_it_up)
{
    for (int count = 0; count < 24; ++count) {
        open();
        send({.seq = 60'001, .payload = "x"});
    }
    open();
    send({.payload = std::string(1460, 'y')});
    read();
    EXPECT_EQ(received.size(), 1460U);
}

TEST_F(Memory, peer_that_takes_nothing_is_reset_when_buffers_are_scarce_and_one_that_does_is_not)
{
    for (int count = 0; count < 150 && !scarce(); ++count) {
        open();
        write(300'000); // Nothing of it will be acknowledged.
    }
    ASSERT_TRUE(scarce());
    pass(3s);
    EXPECT_GT(host().counters.get(Counter::tcp_aborts_on_memory), 0U);
    EXPECT_FALSE(scarce());
    EXPECT_GT(host().stack.usage().connections, 0U) << "only as many as must";
}

TEST_F(Memory, gap_that_is_never_filled_does_not_keep_its_buffer_while_buffers_are_scarce)
{
    stack_options.buffer_limit = 128 * 1024;
    for (int count = 0; count < 60 && !scarce(); ++count) {
        open();
        send({.seq = 1'001, .payload = "x"});
    }
    ASSERT_TRUE(scarce());
    // No timer is armed for a gap: other traffic makes the turns.
    for (int turn = 0; turn < 60; ++turn) {
        pass(100ms);
    }
    EXPECT_FALSE(scarce());
    EXPECT_GT(host().counters.get(Counter::tcp_aborts_on_memory), 0U);
}

TEST_F(Memory, when_buffers_run_short_windows_shrink_then_syns_are_dropped_and_later_taken_again)
{
    stack_options.buffer_limit = 256 * 1024;
    open();
    std::vector<std::uint32_t> windows;
    std::size_t opened = 1;
    const auto nearly_full = [&] { return host().stack.usage().buffer_bytes > stack_options.buffer_limit / 16 * 15; };
    for (; !nearly_full() && opened < 200; ++opened) {
        write(300'000);
        if (!nearly_full()) {
            open();
            send({.payload = "hello"});
            pass(50ms);
            std::optional<Out> last;
            for (std::optional<Out> out = next(); out; out = next()) {
                last = out;
            }
            windows.push_back(last.value_or(Out{}).segment.window);
        }
    }
    ASSERT_TRUE(nearly_full());
    EXPECT_LT(windows.back(), windows.front());
    ++peer.port;
    host().sent.clear();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect_nothing();
    EXPECT_EQ(host().counters.get(Counter::tcp_listen_drops), 1U);
    pass(3s);
    host().sent.clear();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
}

TEST_F(Memory, without_packet_buffers_for_data_acknowledgments_and_resets_are_sent)
{
    open();
    host().starve_data = true;
    write(1000);
    expect_nothing();
    send({.payload = std::string(1460, 'a')});
    send({.seq = 1461, .payload = std::string(1460, 'b')});
    expect(ACK, 1, 2921);
    with_stream(&Stream::abort);
    EXPECT_NE(next().value_or(Out{}).flags & RST, 0);
}

TEST_F(Memory, last_ack_that_finds_no_room_for_a_connection_is_a_drop_with_its_reason)
{
    stack_options.connection_limit = 1;
    open();
    ++peer.port;
    host().sent.clear();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    send({.flags = ACK});
    expect_nothing();
    EXPECT_EQ(host().counters.get(Counter::tcp_listen_drops), 1U);
    EXPECT_EQ(host().counters.get(telemetry::DropReason::tcp_memory), 1U);
}

// The symptom: who is further away than a tenth of a second was reset before its acknowledgment could come.
TEST_F(Memory, peer_far_away_has_the_time_for_its_acknowledgment_when_hardly_anything_is_left)
{
    const auto nearly_full = [&] { return host().stack.usage().buffer_bytes > stack_options.buffer_limit / 16 * 15; };
    const std::string bytes(300'000, 'w');
    const auto fill = [&](Stream& one) { // Nothing of it will be acknowledged.
        host().loop.start_turn();
        one.async_write_some(boost::asio::buffer(bytes), [](ErrorCode, std::size_t) {});
        host().turn();
    };
    std::vector<Stream> near;
    for (int count = 0; count < 200; ++count) {
        open();
        near.push_back(std::move(*stream));
    }
    ++peer.port;
    host().sent.clear();
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    pass(150ms);
    send({.flags = ACK}); // The newest, and so the first that is looked at
    for (Stream& one : near) {
        if (!nearly_full()) {
            fill(one);
        }
    }
    ASSERT_TRUE(nearly_full());
    fill(*stream);
    pass(120ms);
    EXPECT_GT(host().counters.get(Counter::tcp_aborts_on_memory), 0U);
    EXPECT_FALSE(stream->receive_error());
}

TEST_F(Memory, blocks_that_wait_for_reuse_are_within_the_limit)
{
    constexpr unsigned large = BufferPool::largest_cached_shift;
    BufferPool pool{1U << 20U};
    std::byte* const first = pool.allocate(large);
    std::byte* const second = pool.allocate(large);
    pool.release(first, large);
    pool.release(second, large);
    ASSERT_EQ(pool.cached(), 2U << large);
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool.allocate(ByteRing::smallest_shift)) {
        blocks.push_back(block);
        ASSERT_LE(pool.used() + pool.cached(), 1U << 20U) << blocks.size();
    }
    EXPECT_EQ(pool.used(), 1U << 20U);
    for (std::byte* const block : blocks) {
        pool.release(block, ByteRing::smallest_shift);
    }
}

TEST_F(Memory, idle_connection_holds_no_buffer)
{
    open();
    send({.payload = "request"});
    read();
    write(2000);
    send({.seq = 8, .ack = 2001});
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    EXPECT_EQ(host().pool.available(), host().pool.capacity()) << "and no packet";
}

TEST_F(Memory, listener_has_a_limit_of_its_own)
{
    ListenOptions options;
    options.connection_limit = 1;
    listen(options);
    send({.flags = SYN, .seq = 0});
    expect(SYN | ACK, 0, 1);
    send({});
    ASSERT_TRUE(stream.has_value());
    ++peer.port;
    send({.flags = SYN, .seq = 0});
    expect_nothing();
    EXPECT_EQ(host().counters.get(Counter::tcp_listen_drops), 1U);
}

TEST_F(Memory, time_wait_records_have_a_limit)
{
    stack_options.time_wait_limit = 2;
    for (int count = 0; count < 3; ++count) {
        open();
        with_stream(&Stream::close);
        send({.flags = ACK, .ack = 2});
        send({.flags = FIN | ACK, .ack = 2});
    }
    EXPECT_EQ(host().stack.usage().time_wait, 2U);
    EXPECT_EQ(host().counters.get(Counter::tcp_time_wait_overflows), 1U);
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

} // namespace
} // namespace sluice::tcp
