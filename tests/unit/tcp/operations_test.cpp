// The stream's operations: completion rules, cancellation, the loop and its timers.
#include "scripted_peer.hpp"

#include <sluice/tcp/timer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

namespace sluice::tcp {
namespace {

namespace asio = boost::asio;
namespace error = boost::asio::error;
using Operations = ScriptedPeer;

TEST_F(Operations, nothing_completes_inside_the_call_that_starts_it)
{
    accept();
    send({.seq = 1, .payload = "ready"});
    int completed = 0;
    char buffer[10];
    stream->async_read_some(asio::buffer(buffer), [&](ErrorCode, std::size_t) { ++completed; });
    stream->async_write_some(asio::buffer(buffer), [&](ErrorCode, std::size_t) { ++completed; });
    stream->async_wait_readable([&](ErrorCode) { ++completed; });
    stream->async_read_some(asio::mutable_buffer{}, [&](ErrorCode, std::size_t) { ++completed; });
    EXPECT_EQ(completed, 0);
    EXPECT_EQ(host().loop.next_deadline(), host().loop.now());
    stream->close();
    stream->async_read_some(asio::buffer(buffer), [&](ErrorCode code, std::size_t) {
        EXPECT_EQ(code, error::bad_descriptor);
        ++completed;
    });
    EXPECT_EQ(completed, 0);
    host().turn();
    EXPECT_EQ(completed, 5);
}

TEST_F(Operations, handlers_do_not_run_inside_input)
{
    accept();
    bool called = false;
    char buffer[10];
    stream->async_read_some(asio::buffer(buffer), [&](ErrorCode, std::size_t) {
        called = true;
        stream->close(); // The classic way to break a stack that calls back from its input.
    });
    host().turn();
    send({.seq = 1, .payload = "x"});
    EXPECT_TRUE(called);
    EXPECT_FALSE(stream->is_open());
}

TEST_F(Operations, empty_buffers_complete_at_once_without_data)
{
    accept();
    std::optional<ErrorCode> code;
    stream->async_read_some(asio::mutable_buffer{}, [&](ErrorCode result, std::size_t count) {
        code = result;
        EXPECT_EQ(count, 0U);
    });
    host().turn();
    ASSERT_TRUE(code.has_value());
    EXPECT_FALSE(*code);
}

TEST_F(Operations, second_read_is_refused_while_one_is_pending)
{
    accept();
    char buffer[10];
    std::optional<ErrorCode> first;
    std::optional<ErrorCode> second;
    stream->async_read_some(asio::buffer(buffer), [&](ErrorCode code, std::size_t) { first = code; });
    stream->async_read_some(asio::buffer(buffer), [&](ErrorCode code, std::size_t) { second = code; });
    host().turn();
    EXPECT_FALSE(first.has_value());
    EXPECT_EQ(second, error::in_progress);
    stream->cancel();
    host().turn();
    EXPECT_EQ(first, error::operation_aborted);
    EXPECT_EQ(state(), State::established);
}

TEST_F(Operations, cancellation_slot_ends_one_operation_and_loses_no_byte)
{
    accept();
    char buffer[10];
    asio::cancellation_signal signal;
    std::optional<ErrorCode> code;
    stream->async_read_some(asio::buffer(buffer),
                            asio::bind_cancellation_slot(signal.slot(), [&](ErrorCode result, std::size_t count) {
                                code = result;
                                EXPECT_EQ(count, 0U);
                            }));
    host().turn();
    signal.emit(asio::cancellation_type::total);
    EXPECT_FALSE(code.has_value());
    host().turn();
    EXPECT_EQ(code, error::operation_aborted);
    signal.emit(asio::cancellation_type::total); // The slot was cleared.
    send({.seq = 1, .payload = "kept"});
    read();
    EXPECT_EQ(received, "kept");
}

TEST_F(Operations, cancelling_what_is_already_complete_changes_nothing)
{
    accept();
    char buffer[10];
    asio::cancellation_signal signal;
    std::optional<ErrorCode> code;
    std::size_t bytes = 0;
    stream->async_read_some(asio::buffer(buffer),
                            asio::bind_cancellation_slot(signal.slot(), [&](ErrorCode result, std::size_t count) {
                                code = result;
                                bytes = count;
                            }));
    stream->async_wait_readable([](ErrorCode) {});
    host().turn();
    send({.seq = 1, .payload = "x"});
    signal.emit(asio::cancellation_type::terminal);
    EXPECT_EQ(bytes, 1U);
    EXPECT_FALSE(*code);
}

TEST_F(Operations, connect_is_cancelled_by_its_slot_and_leaves_nothing)
{
    local.port = 40000;
    asio::cancellation_signal signal;
    std::optional<ErrorCode> code;
    host().stack.async_connect(local, peer, {},
                               asio::bind_cancellation_slot(signal.slot(), [&](ErrorCode result, Stream made_stream) {
                                   code = result;
                                   EXPECT_FALSE(made_stream.is_open());
                               }));
    host().turn();
    expect(SYN, 0, 0);
    signal.emit(asio::cancellation_type::terminal);
    host().turn();
    EXPECT_EQ(code, error::operation_aborted);
    EXPECT_EQ(host().stack.usage().connections, 0U);
    pass(100s);
    expect_nothing();
}

TEST_F(Operations, waiting_until_readable_takes_no_byte_and_sees_the_end)
{
    accept();
    int woken = 0;
    const auto wait = [&] {
        stream->async_wait_readable([&](ErrorCode code) {
            EXPECT_FALSE(code);
            ++woken;
        });
        host().turn();
    };
    wait();
    EXPECT_EQ(woken, 0);
    send({.seq = 1, .payload = "abc"});
    EXPECT_EQ(woken, 1);
    wait();
    EXPECT_EQ(woken, 2);
    read();
    EXPECT_EQ(received, "abc");
    wait();
    send({.flags = ACK | FIN, .seq = 4});
    EXPECT_EQ(woken, 3);
}

TEST_F(Operations, scattered_buffers_are_filled_and_gathered_in_order)
{
    accept();
    char one[2];
    char two[3];
    std::size_t count = 0;
    send({.seq = 1, .payload = "abcdefg"});
    stream->async_read_some(std::array{asio::buffer(one), asio::buffer(two)},
                            [&](ErrorCode, std::size_t size) { count = size; });
    host().turn();
    EXPECT_EQ(count, 5U);
    EXPECT_EQ(std::string(one, 2) + std::string(two, 3), "abcde");
    stream->async_write_some(
        std::array{asio::const_buffer("xy", 2), asio::const_buffer("", 0), asio::const_buffer("z", 1)},
        [](ErrorCode, std::size_t) {});
    host().turn();
    EXPECT_EQ(next()->payload, "xyz");
}

TEST(LoopTest, handlers_run_in_order_and_within_the_budget)
{
    FakeClock clock;
    Loop loop{clock};
    std::vector<int> order;
    asio::post(loop.get_executor(), [&] {
        order.push_back(1);
        asio::post(loop.get_executor(), [&] { order.push_back(3); });
    });
    asio::any_io_executor erased = loop.get_executor();
    asio::post(erased, [&] {
        order.push_back(2);
        clock.advance(1ms);
    });
    EXPECT_EQ(loop.run_ready(100us), 2U);
    EXPECT_TRUE(loop.has_ready());
    EXPECT_EQ(loop.run_ready(100us), 1U);
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
    EXPECT_EQ(loop.next_deadline(), never);
}

// The symptom: after a hundred thousand connections had closed, two blocks of each stayed in the loop for good.
TEST(LoopTest, memory_of_a_crowd_of_handlers_is_not_kept)
{
    const FakeClock clock;
    Loop loop{clock};
    for (int handler = 0; handler < 100'000; ++handler) {
        asio::post(loop.get_executor(), [] {});
    }
    while (loop.run_ready(1s) != 0) {
    }
    EXPECT_LE(loop.cached_bytes(), Loop::cached_limit);
}

TEST(LoopTest, queued_handlers_are_freed_with_the_loop)
{
    auto guarded = std::make_shared<int>(0);
    {
        FakeClock clock;
        Loop loop{clock};
        asio::post(loop.get_executor(), [guarded] { *guarded = 1; });
    }
    EXPECT_EQ(*guarded, 0);
    EXPECT_EQ(guarded.use_count(), 1);
}

TEST(TimerTest, expires_when_due_and_tells_all_who_wait)
{
    FakeClock clock;
    Loop loop{clock};
    Timer timer{loop.get_executor()};
    int fired = 0;
    timer.expires_after(10ms);
    timer.async_wait([&](ErrorCode code) { fired += code ? 100 : 1; });
    timer.async_wait([&](ErrorCode code) { fired += code ? 100 : 1; });
    const auto step = [&](Duration by) {
        clock.advance(by);
        loop.start_turn();
        loop.run_timers();
        loop.run_ready(1s);
    };
    step(9ms);
    EXPECT_EQ(fired, 0);
    EXPECT_LE(loop.next_deadline(), clock.now() + 1ms + TimerWheel::tick);
    step(1ms + TimerWheel::tick);
    EXPECT_EQ(fired, 2);
}

TEST(TimerTest, cancel_new_expiry_and_destruction_abort)
{
    FakeClock clock;
    Loop loop{clock};
    int aborted = 0;
    const auto count = [&](ErrorCode code) { aborted += code == error::operation_aborted ? 1 : 0; };
    asio::cancellation_signal signal;
    {
        Timer timer{loop.get_executor()};
        timer.expires_after(10ms);
        timer.async_wait(count);
        EXPECT_EQ(timer.expires_after(20ms), 1U);
        timer.async_wait(count);
        EXPECT_EQ(timer.cancel(), 1U);
        timer.async_wait(asio::bind_cancellation_slot(signal.slot(), count));
        timer.async_wait(count);
        signal.emit(asio::cancellation_type::terminal);
    }
    loop.run_ready(1s);
    EXPECT_EQ(aborted, 4);
    clock.advance(1s);
    loop.start_turn();
    EXPECT_EQ(loop.run_timers(), 0U);
}

} // namespace
} // namespace sluice::tcp
