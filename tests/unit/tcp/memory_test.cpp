// The stack's memory is short: whoever took much of it must not keep the others from moving.
#include "scripted_peer.hpp"

namespace sluice::tcp {
namespace {

class Memory : public ScriptedPeer {
protected:
    Memory() { stack_options.buffer_limit = 1024 * 1024; }

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

} // namespace
} // namespace sluice::tcp
