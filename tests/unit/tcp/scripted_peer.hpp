// One stack against a peer written by hand: the test says each segment that arrives and each that must leave, with
// sequence numbers counted from the initial ones (the SYN is 0, the first byte 1).
#pragma once

#include "support/tcp_host.hpp"
#include "tcp/segment.hpp"

#include <sluice/wire/checksum.hpp>

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>

namespace sluice::tcp {

using namespace std::chrono_literals;
namespace flag = wire::tcp_flag;

constexpr std::uint8_t SYN = flag::syn;
constexpr std::uint8_t ACK = flag::ack;
constexpr std::uint8_t FIN = flag::fin;
constexpr std::uint8_t RST = flag::rst;
constexpr std::uint8_t PSH = flag::psh;

/// A segment of the peer.
struct In {
    std::uint8_t flags = ACK;
    std::uint32_t seq = 1;
    std::uint32_t ack = 1;
    std::string payload = {};
    std::uint16_t window = 65535;
    std::optional<std::uint16_t> mss = {};
    std::optional<std::uint8_t> scale = {};
    bool sack_permitted = false;
    std::optional<std::uint32_t> timestamp = {};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sacks = {};
    std::vector<std::byte> raw_options = {}; ///< Instead of all others; a multiple of four.
};

/// A segment of the stack.
struct Out {
    std::uint8_t flags = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::string payload;
    Segment segment;
};

struct ScriptedPeer : ::testing::Test {
    FakeClock clock;
    StackOptions stack_options;
    std::optional<testing::TcpHost> made;
    wire::Endpoint local{wire::IpAddress::v4(0x0a000001), 80};
    wire::Endpoint peer{wire::IpAddress::v4(0x0a000009), 5000};
    std::uint32_t peer_iss = 1000;
    std::uint32_t iss = 0;
    std::uint32_t echo = 0; ///< Timestamp that the peer returns
    std::optional<Stream> stream;
    std::optional<ErrorCode> connect_error;

    testing::TcpHost& host()
    {
        if (!made) {
            made.emplace(clock, local.address, 1, stack_options);
        }
        return *made;
    }

    void send(const In& in)
    {
        OptionWriter options;
        if (in.mss) {
            options.mss(*in.mss);
        }
        if (in.sack_permitted) {
            options.sack_permitted();
        }
        if (in.timestamp) {
            options.timestamps(*in.timestamp, echo);
        }
        if (in.scale) {
            options.window_scale(*in.scale);
        }
        std::vector<SequenceRange> blocks;
        for (const auto& [begin, end] : in.sacks) {
            blocks.push_back({Sequence{iss + begin}, Sequence{iss + end}});
        }
        options.sack(blocks);
        const Bytes option_bytes = in.raw_options.empty() ? options.bytes() : Bytes{in.raw_options};
        const bool v4 = local.address.is_v4();
        const std::size_t ip = v4 ? 20 : 40;
        const std::size_t tcp = 20 + option_bytes.size();
        std::vector<std::byte> bytes(ip + tcp + in.payload.size());
        if (v4) {
            store8(bytes.data(), 0x45);
            store16(bytes.data() + 2, static_cast<std::uint16_t>(bytes.size()));
            store8(bytes.data() + 8, 64);
            store8(bytes.data() + 9, 6);
            peer.address.store(bytes.data() + 12);
            local.address.store(bytes.data() + 16);
            store16(bytes.data() + 10, wire::checksum({bytes.data(), 20}));
        } else {
            store8(bytes.data(), 0x60);
            store16(bytes.data() + 4, static_cast<std::uint16_t>(bytes.size() - 40));
            store8(bytes.data() + 6, 6);
            store8(bytes.data() + 7, 64);
            peer.address.store(bytes.data() + 8);
            local.address.store(bytes.data() + 24);
        }
        const wire::MutableTcp header{bytes.data() + ip};
        header.set_source_port(peer.port);
        header.set_destination_port(local.port);
        header.set_sequence(Sequence{peer_iss + in.seq});
        header.set_acknowledgment((in.flags & ACK) != 0 ? Sequence{iss + in.ack} : Sequence{0});
        header.set_header_length(tcp);
        header.set_flags(in.flags);
        header.set_window(in.window);
        if (!option_bytes.empty()) {
            std::memcpy(header.data() + 20, option_bytes.data(), option_bytes.size());
        }
        if (!in.payload.empty()) {
            std::memcpy(header.data() + tcp, in.payload.data(), in.payload.size());
        }
        const Bytes all = Bytes{bytes}.subspan(ip);
        header.set_checksum(wire::checksum(all, peer.address, local.address, 6));
        host().loop.start_turn();
        wire::ParsedPacket parsed;
        known = !wire::parse_ip(bytes, parsed) && host().stack.knows(bytes, parsed);
        host().receive(bytes);
        if (!more_follow) {
            host().turn();
        }
    }
    bool known = false;       ///< Whether the stack knew what was sent last
    bool more_follow = false; ///< What is sent arrives in the same turn as what is sent next.

    /// Virtual time passes, timer by timer.
    void pass(Duration time)
    {
        const TimePoint end = clock.now() + time;
        for (;;) {
            const TimePoint next = std::min(host().loop.next_deadline(), end);
            clock.set(std::max(next, clock.now()));
            host().turn();
            if (next == end) {
                return;
            }
        }
    }

    [[nodiscard]] std::optional<Out> next()
    {
        if (host().sent.empty()) {
            return std::nullopt;
        }
        held_ = std::move(host().sent.front());
        host().sent.pop_front();
        wire::ParsedPacket parsed;
        EXPECT_FALSE(wire::parse_ip(held_, parsed));
        EXPECT_FALSE(wire::verify_transport(held_, parsed)) << "wrong checksum sent";
        Out out;
        out.segment = read_segment(held_, parsed);
        out.flags = out.segment.flags;
        if ((out.flags & SYN) != 0) {
            iss = out.segment.sequence.value();
        }
        out.seq = out.segment.sequence.value() - iss;
        out.ack = (out.flags & ACK) != 0 ? out.segment.acknowledgment.value() - peer_iss : 0;
        out.payload.assign(reinterpret_cast<const char*>(out.segment.payload.data()), out.segment.payload.size());
        return out;
    }

    /// The next segment must be this one; PSH does not count.
    Out expect(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::size_t size = 0)
    {
        const std::optional<Out> out = next();
        EXPECT_TRUE(out.has_value()) << "nothing was sent";
        if (!out) {
            return {};
        }
        EXPECT_EQ(out->flags & ~PSH, flags);
        EXPECT_EQ(out->seq, seq);
        EXPECT_EQ(out->ack, ack);
        EXPECT_EQ(out->payload.size(), size);
        return *out;
    }

    void expect_nothing()
    {
        const std::optional<Out> out = next();
        EXPECT_FALSE(out.has_value()) << "sent flags " << int{out->flags} << " seq " << out->seq << " ack " << out->ack
                                      << " size " << out->payload.size();
    }

    void listen(ListenOptions options = {})
    {
        ASSERT_TRUE(
            host().stack.listen(local, options, [this](Stream accepted) { stream.emplace(std::move(accepted)); }));
    }

    /// Passive open: `stream` is the accepted connection.
    void accept(In syn = {.mss = 1460}, ListenOptions options = {})
    {
        listen(options);
        syn.flags = SYN;
        syn.seq = 0;
        send(syn);
        expect(SYN | ACK, 0, 1);
        send({.flags = ACK, .seq = 1, .ack = 1, .window = syn.window, .timestamp = syn.timestamp});
        ASSERT_TRUE(stream.has_value());
        expect_nothing();
    }

    void start_connect(ConnectionOptions options = {})
    {
        local.port = 40000;
        host().loop.start_turn();
        host().stack.async_connect(local, peer, options, [this](ErrorCode error, Stream made_stream) {
            connect_error = error;
            stream.emplace(std::move(made_stream));
        });
        host().turn();
    }

    /// Active open.
    void connect(In answer = {.mss = 1460}, ConnectionOptions options = {})
    {
        start_connect(options);
        expect(SYN, 0, 0);
        answer.flags = SYN | ACK;
        answer.seq = 0;
        answer.ack = 1;
        send(answer);
        expect(ACK, 1, 1);
        ASSERT_TRUE(connect_error.has_value());
        ASSERT_FALSE(*connect_error);
        expect_nothing();
    }

    void write(std::size_t size)
    {
        outgoing_.emplace_back(size, 'w');
        host().loop.start_turn();
        stream->async_write_some(boost::asio::buffer(outgoing_.back()), [this](ErrorCode error, std::size_t count) {
            write_error = error;
            written += count;
        });
        host().turn();
    }

    /// What one read returns now; the read stays pending otherwise.
    void read(std::size_t size = 65536)
    {
        incoming_.assign(size, '\0');
        read_error.reset();
        host().loop.start_turn();
        stream->async_read_some(boost::asio::buffer(incoming_), [this](ErrorCode error, std::size_t count) {
            read_error = error;
            received.append(incoming_.data(), count);
        });
        host().turn();
    }

    void with_stream(void (Stream::*call)() noexcept)
    {
        host().loop.start_turn();
        (*stream.*call)();
        host().turn();
    }
    void close() { with_stream(&Stream::close); }
    void shutdown() { with_stream(&Stream::shutdown_send); }

    [[nodiscard]] std::optional<ConnectionInfo> info()
    {
        std::optional<ConnectionInfo> found;
        host().stack.visit(0, {10, ~std::size_t{0}, false, {}}, [&](const ConnectionInfo& one) { found = one; });
        return found;
    }
    [[nodiscard]] State state() { return info() ? info()->state : State::closed; }

    std::optional<ErrorCode> read_error;
    std::optional<ErrorCode> write_error;
    std::size_t written = 0;
    std::string received;

private:
    std::vector<std::byte> held_;
    std::deque<std::string> outgoing_;
    std::string incoming_;
};

} // namespace sluice::tcp
