// Received bytes that leave their connection in their block (Stream::take), and waiting for the end alone.
#include "scripted_peer.hpp"

#include <sluice/tcp/received.hpp>

namespace sluice::tcp {
namespace {

using Take = ScriptedPeer;

/// All of it, whether it wraps or not.
std::string text_of(Received& received)
{
    std::string text;
    while (!received.empty()) {
        const Bytes piece = received.data();
        text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        received.consume(piece.size());
    }
    return text;
}

TEST_F(Take, block_changes_hands_and_goes_back_with_its_last_byte)
{
    accept();
    send({.seq = 1, .payload = "GET / HTTP/1.1"});
    const std::size_t in_use = host().stack.usage().buffer_bytes;
    Received taken;
    EXPECT_EQ(stream->take(taken), 14U);
    EXPECT_EQ(stream->available(), 0U);
    EXPECT_EQ(host().stack.usage().buffer_bytes, in_use); // The very block: nothing was allocated for it.
    taken.consume(4);
    EXPECT_EQ(text_of(taken), "/ HTTP/1.1");
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    EXPECT_EQ(stream->take(taken), 0U);
}

TEST_F(Take, what_waits_behind_a_gap_keeps_its_place)
{
    accept({.mss = 1460, .sack_permitted = true});
    send({.seq = 1, .payload = "abc"});
    send({.seq = 11, .payload = "klm"});
    Received taken;
    EXPECT_EQ(stream->take(taken), 3U);
    EXPECT_EQ(text_of(taken), "abc");
    send({.seq = 4, .payload = "defghij"});
    EXPECT_EQ(stream->take(taken), 10U);
    EXPECT_EQ(text_of(taken), "defghijklm");
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

TEST_F(Take, later_bytes_go_behind_those_at_hand_as_far_as_there_is_room)
{
    accept();
    send({.seq = 1, .payload = "PRI * "});
    Received taken;
    EXPECT_EQ(stream->take(taken), 6U);
    send({.seq = 7, .payload = "HTTP/2.0"});
    EXPECT_EQ(stream->take(taken), 8U);
    ASSERT_EQ(taken.data().size(), 14U); // In one piece
    EXPECT_EQ(text_of(taken), "PRI * HTTP/2.0");

    send({.seq = 15, .payload = std::string(1000, 'a')});
    EXPECT_EQ(stream->take(taken), 1000U);
    send({.seq = 1015, .payload = std::string(1400, 'b')});
    EXPECT_EQ(stream->take(taken), 1048U); // What is left of 2 KiB
    EXPECT_EQ(stream->take(taken), 0U);
    EXPECT_EQ(stream->available(), 352U);
    EXPECT_EQ(text_of(taken), std::string(1000, 'a') + std::string(1048, 'b'));
    EXPECT_EQ(stream->take(taken), 352U);
}

TEST_F(Take, reader_that_stalls_with_what_it_took_gets_no_second_window_full)
{
    ListenOptions options;
    options.connection.receive_initial = options.connection.receive_limit = 8192;
    accept({.mss = 1460}, options);
    Received taken;
    std::uint32_t sent = 0;
    const auto fill = [&] {
        std::uint32_t window = 8192 - sent;
        for (; window >= 1024; window -= 1024, sent += 1024) {
            send({.seq = 1 + sent, .payload = std::string(1024, 'a')});
        }
    };
    fill();
    EXPECT_EQ(stream->take(taken), 8192U);
    pass(1s);
    const auto last_window = [this] {
        std::optional<std::uint16_t> window;
        while (const auto out = next()) {
            window = out->segment.window;
        }
        return window;
    };
    EXPECT_EQ(last_window(), 0) << "what it took is not read yet";
    send({.seq = 8193, .payload = "x"});
    EXPECT_EQ(stream->take(taken), 0U) << "nothing came behind the window";
    static_cast<void>(last_window());
    EXPECT_EQ(text_of(taken).size(), 8192U);
    bool readable = false;
    stream->async_wait_readable([&](const ErrorCode&) { readable = true; });
    host().turn();
    EXPECT_GE(last_window().value_or(0), 4096) << "who waits for more is done with it: the window opens at once";
    EXPECT_FALSE(readable);
    send({.seq = 8193, .payload = "more"});
    EXPECT_TRUE(readable);
    EXPECT_EQ(stream->take(taken), 4U);
}

TEST_F(Take, connection_may_end_and_go_while_its_bytes_are_read)
{
    accept();
    send({.seq = 1, .payload = "last words"});
    Received taken;
    EXPECT_EQ(stream->take(taken), 10U);
    send({.flags = RST | ACK, .seq = 11});
    EXPECT_EQ(stream->receive_error(), boost::asio::error::connection_reset);
    stream->close();
    host().turn();
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(text_of(taken), "last words");
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
}

TEST_F(Take, counts_as_read_and_opens_the_window)
{
    stack_options.buffer_limit = 64U << 20U;
    accept({.mss = 1460});
    std::uint32_t sequence = 1;
    std::uint32_t right_edge = 0;
    Received taken;
    for (int round = 0; round < 200; ++round) {
        send({.seq = sequence, .payload = std::string(1460, 'x')});
        sequence += 1460;
        while (const auto out = next()) {
            right_edge = out->ack + out->segment.window;
        }
        EXPECT_EQ(stream->take(taken), 1460U);
        taken.reset();
    }
    EXPECT_GT(right_edge, sequence); // 292,000 bytes have passed through a window of 64 KiB.
    EXPECT_EQ(stream->available(), 0U);
}

TEST_F(Take, next_block_begins_as_large_as_the_last_one_was_full)
{
    accept({.mss = 1460});
    Received taken;
    for (std::uint32_t segment = 0; segment < 5; ++segment) {
        send({.seq = 1 + segment * 1460, .payload = std::string(1460, 'x')});
    }
    EXPECT_EQ(stream->take(taken), 7300U);
    taken.reset();
    send({.seq = 7301, .payload = "y"});
    EXPECT_EQ(host().stack.usage().buffer_bytes, 8192U);
    EXPECT_EQ(stream->take(taken), 1U);
    taken.reset();
    send({.seq = 7302, .payload = "z"});
    EXPECT_EQ(host().stack.usage().buffer_bytes, 2048U); // And forgets it again.
}

TEST_F(Take, wait_for_the_end_is_not_completed_by_data)
{
    accept();
    std::optional<ErrorCode> ended;
    stream->async_wait_end([&](ErrorCode code) { ended = code; });
    send({.seq = 1, .payload = "more"});
    EXPECT_FALSE(ended);
    EXPECT_FALSE(stream->receive_error());
    send({.flags = FIN | ACK, .seq = 5});
    ASSERT_TRUE(ended);
    EXPECT_FALSE(*ended);
    EXPECT_EQ(stream->receive_error(), boost::asio::error::eof);
    Received taken;
    EXPECT_EQ(stream->take(taken), 4U); // The end does not take what came before it.
}

TEST_F(Take, wait_for_the_end_can_be_made_one_for_data)
{
    accept();
    int completed = 0;
    stream->async_wait_end([&](ErrorCode) { ++completed; });
    stream->expect_data();
    host().turn();
    EXPECT_EQ(completed, 0);
    send({.seq = 1, .payload = "x"});
    EXPECT_EQ(completed, 1);
    stream->async_wait_end([&](ErrorCode) { ++completed; });
    host().turn();
    EXPECT_EQ(completed, 1);
    stream->expect_data(); // Of what is there already
    host().turn();
    EXPECT_EQ(completed, 2);
}

} // namespace
} // namespace sluice::tcp
