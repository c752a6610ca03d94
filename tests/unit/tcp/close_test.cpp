// Closing: half-close, both orders of FIN, TIME_WAIT, resets at close, limits after it (RFC 9293 §3.6, RFC 1337, RFC
// 6191).
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

using Close = ScriptedPeer;

TEST_F(Close, we_close_first_and_end_in_time_wait)
{
    accept();
    close();
    expect(ACK | FIN, 1, 1);
    EXPECT_EQ(state(), State::fin_wait_1);
    send({.ack = 2});
    EXPECT_EQ(state(), State::fin_wait_2);
    send({.flags = ACK | FIN, .seq = 1, .ack = 2});
    expect(ACK, 2, 2);
    EXPECT_EQ(state(), State::time_wait);
    EXPECT_EQ(host().stack.usage().connections, 0U);
    pass(31s);
    EXPECT_EQ(host().stack.usage().time_wait, 0U);
    expect_nothing();
}

TEST_F(Close, peer_closes_first_and_we_leave_nothing)
{
    accept();
    send({.flags = ACK | FIN, .seq = 1});
    expect(ACK, 1, 2);
    write(5);
    expect(ACK, 1, 2, 5);
    close();
    expect(ACK | FIN, 6, 2);
    EXPECT_EQ(state(), State::last_ack);
    send({.seq = 2, .ack = 6});
    EXPECT_EQ(state(), State::last_ack); // That acknowledged the data, not the FIN.
    send({.seq = 2, .ack = 7});
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(host().stack.usage().time_wait, 0U);
    expect_nothing();
}

TEST_F(Close, fin_repeated_in_last_ack_is_acknowledged)
{
    accept();
    send({.flags = ACK | FIN, .seq = 1});
    expect(ACK, 1, 2);
    close();
    expect(ACK | FIN, 1, 2);
    send({.flags = ACK | FIN, .seq = 1});
    expect(ACK, 2, 2);
    expect_nothing();
}

TEST_F(Close, simultaneous_close_goes_through_closing)
{
    accept();
    close();
    expect(ACK | FIN, 1, 1);
    send({.flags = ACK | FIN, .seq = 1, .ack = 1});
    expect(ACK, 2, 2);
    EXPECT_EQ(state(), State::closing);
    pass(250ms);
    expect(ACK | FIN, 1, 2); // The FIN is retransmitted in CLOSING too.
    send({.seq = 2, .ack = 2});
    EXPECT_EQ(state(), State::time_wait);
    expect_nothing();
}

TEST_F(Close, half_close_sends_fin_after_the_data_and_goes_on_reading)
{
    accept();
    write(3000);
    shutdown();
    expect(ACK, 1, 1, 1460);
    expect(ACK, 1461, 1, 1460);
    expect(ACK, 2921, 1, 80);
    expect(ACK | FIN, 3001, 1);
    send({.ack = 3002});
    EXPECT_EQ(state(), State::fin_wait_2);
    send({.seq = 1, .ack = 3002, .payload = "still"});
    read();
    EXPECT_EQ(received, "still");
    pass(50ms);
    expect(ACK, 3002, 6);
    write(1);
    EXPECT_EQ(write_error, boost::asio::error::broken_pipe);
    send({.flags = ACK | FIN, .seq = 6, .ack = 3002});
    expect(ACK, 3002, 7);
    read();
    EXPECT_EQ(read_error, boost::asio::error::eof);
}

TEST_F(Close, unread_data_in_time_wait_is_still_readable)
{
    accept();
    shutdown();
    expect(ACK | FIN, 1, 1);
    send({.flags = ACK | FIN, .seq = 1, .ack = 2, .payload = "tail"});
    expect(ACK, 2, 6);
    read();
    EXPECT_EQ(received, "tail");
    read();
    EXPECT_EQ(read_error, boost::asio::error::eof);
    close();
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(host().stack.usage().time_wait, 1U);
    expect_nothing();
}

TEST_F(Close, fin_is_not_sent_nor_taken_as_acknowledged_before_the_data)
{
    accept({.window = 1000, .mss = 1460});
    write(2500);
    shutdown();
    expect(ACK, 1, 1, 1000);
    expect_nothing();
    send({.ack = 1001, .window = 1000});
    expect(ACK, 1001, 1, 1000);
    EXPECT_EQ(state(), State::fin_wait_1);
    send({.ack = 2001, .window = 1000});
    expect(ACK | FIN, 2001, 1, 500);
    send({.ack = 2501, .window = 1000});
    EXPECT_EQ(state(), State::fin_wait_1);
    send({.ack = 2502, .window = 1000});
    EXPECT_EQ(state(), State::fin_wait_2);
}

TEST_F(Close, close_with_unread_data_resets)
{
    accept();
    send({.seq = 1, .payload = "unread"});
    close();
    expect(RST | ACK, 1, 7);
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    send({.seq = 7});
    expect(RST, 1, 0);
    expect_nothing();
}

TEST_F(Close, data_after_close_resets)
{
    accept();
    close();
    expect(ACK | FIN, 1, 1);
    send({.seq = 1, .ack = 2, .payload = "late"});
    expect(RST | ACK, 2, 1);
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

TEST_F(Close, abort_resets_at_once)
{
    accept();
    write(10);
    expect(ACK, 1, 1, 10);
    with_stream(&Stream::abort);
    expect(RST | ACK, 11, 1);
    EXPECT_EQ(host().stack.usage().connections, 0U);
    EXPECT_EQ(host().stack.usage().buffer_bytes, 0U);
    pass(10s);
    expect_nothing();
}

TEST_F(Close, peer_that_never_sends_its_fin_is_reset_after_the_linger_time)
{
    accept();
    close();
    expect(ACK | FIN, 1, 1);
    send({.ack = 2});
    pass(59s);
    expect_nothing();
    pass(2s);
    expect(RST | ACK, 2, 1);
    EXPECT_EQ(host().stack.usage().connections, 0U);
}

struct InTimeWait : ScriptedPeer {
    void enter(In syn = {.mss = 1460})
    {
        accept(syn);
        close();
        expect(ACK | FIN, 1, 1);
        send({.flags = ACK | FIN, .seq = 1, .ack = 2, .timestamp = syn.timestamp});
        expect(ACK, 2, 2);
        ASSERT_EQ(state(), State::time_wait);
    }
};

TEST_F(InTimeWait, reset_is_ignored)
{
    enter();
    send({.flags = RST, .seq = 2});
    EXPECT_EQ(state(), State::time_wait);
    expect_nothing();
}

TEST_F(InTimeWait, repeated_fin_is_acknowledged_and_restarts_the_time)
{
    enter();
    pass(20s);
    send({.flags = ACK | FIN, .seq = 1, .ack = 2});
    expect(ACK, 2, 2);
    pass(20s);
    EXPECT_EQ(state(), State::time_wait);
    pass(11s);
    EXPECT_EQ(state(), State::closed);
}

TEST_F(InTimeWait, plain_acknowledgment_gets_no_answer)
{
    enter();
    send({.seq = 2, .ack = 2});
    expect_nothing();
}

TEST_F(InTimeWait, syn_with_a_higher_sequence_number_opens_a_new_connection_beyond_the_old_one)
{
    enter();
    const std::uint32_t old = iss;
    peer_iss += 100'000;
    send({.flags = SYN, .seq = 0, .mss = 1460});
    expect(SYN | ACK, 0, 1);
    EXPECT_GT(static_cast<std::int32_t>(iss - old), 2);
    send({});
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(host().stack.usage().time_wait, 0U);
}

TEST_F(InTimeWait, syn_with_a_newer_timestamp_opens_whatever_its_sequence_number)
{
    enter({.mss = 1460, .timestamp = 100});
    peer_iss -= 100'000;
    send({.flags = SYN, .seq = 0, .mss = 1460, .timestamp = 200});
    expect(SYN | ACK, 0, 1);
}

TEST_F(InTimeWait, old_syn_is_acknowledged_and_opens_nothing)
{
    enter();
    peer_iss -= 100'000;
    send({.flags = SYN, .seq = 0, .mss = 1460});
    const auto answer = next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->flags, ACK);
    EXPECT_EQ(host().stack.usage().time_wait, 1U);
    expect_nothing();
}

TEST_F(Close, address_given_away_resets_its_connections_before_returning)
{
    accept();
    EXPECT_EQ(host().stack.abort_address(wire::IpAddress::v4(0x0a0000fe)), 0U);
    expect_nothing();
    EXPECT_EQ(host().stack.abort_address(local.address), 1U);
    expect(RST | ACK, 1, 1); // No turn was needed.
    host().turn();
    read();
    EXPECT_EQ(read_error, boost::asio::error::operation_aborted);
}

TEST_F(Close, stream_may_outlive_its_stack)
{
    accept();
    send({.seq = 1, .payload = "lost"});
    std::optional<ErrorCode> write_result;
    const std::string data(1'000'000, 'w');
    stream->async_write_some(boost::asio::buffer(data), [](ErrorCode, std::size_t) {});
    stream->async_write_some(boost::asio::buffer(data), [&](ErrorCode error, std::size_t) { write_result = error; });
    host().own_stack.reset();
    host().loop.run_ready(1s);
    EXPECT_EQ(write_result, boost::asio::error::operation_aborted);
    EXPECT_EQ(stream->remote_endpoint(), peer);
    std::optional<ErrorCode> read_result;
    char one = 0;
    stream->async_read_some(boost::asio::buffer(&one, 1), [&](ErrorCode error, std::size_t) { read_result = error; });
    stream->shutdown_send();
    host().loop.run_ready(1s);
    EXPECT_EQ(read_result, boost::asio::error::operation_aborted);
    stream->close();
}

} // namespace
} // namespace sluice::tcp
