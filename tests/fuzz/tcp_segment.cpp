// One stack against a peer that may send anything with a valid checksum, at any time, to listening, connecting and
// established connections, while an application reads, writes and closes as it likes.
//
// Payload bytes are functions of their place in the stream, both ways. So whatever arrives, an application never reads
// a byte from the wrong place, and no segment carries a byte under a sequence number that was another one's.
#include "support/tcp_host.hpp"
#include "tcp/segment.hpp"

#include <sluice/wire/checksum.hpp>

#include <cstdlib>
#include <memory>

using namespace sluice;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t tuples = 4; ///< Three clients of our listener, and a server that we connect to.
constexpr std::size_t steps_limit = 200;
constexpr std::uint32_t send_limit = 8192;
constexpr std::size_t segments_per_turn = tuples * (send_limit / 32 + 16);
constexpr std::uint16_t listen_port = 80;
constexpr std::uint16_t connect_port = 40000;

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_{data}, left_{size} {}
    [[nodiscard]] bool empty() const { return left_ == 0; }
    std::uint8_t byte()
    {
        if (left_ == 0) {
            return 0;
        }
        --left_;
        return *data_++;
    }
    std::uint16_t word()
    {
        const unsigned high = byte();
        return static_cast<std::uint16_t>(high << 8U | byte());
    }

private:
    const std::uint8_t* data_;
    std::size_t left_;
};

/// The application's end of one connection.
struct Application {
    explicit Application(tcp::Stream opened) : stream{std::move(opened)} {}

    void read(std::size_t size)
    {
        if (reading) {
            return;
        }
        reading = true;
        incoming.assign(size, std::byte{0});
        stream.async_read_some(boost::asio::buffer(incoming), [this](tcp::ErrorCode error, std::size_t count) {
            reading = false;
            require(count <= incoming.size() && (!error || count == 0));
            for (std::size_t index = 0; index < count; ++index) {
                require(!expected || *expected == incoming[index]);
                expected = std::byte(std::to_integer<unsigned>(incoming[index]) + 1U);
            }
        });
    }

    void write(std::size_t size)
    {
        if (writing) {
            return;
        }
        writing = true;
        outgoing.resize(size);
        for (std::size_t index = 0; index < size; ++index) {
            outgoing[index] = std::byte(written + index);
        }
        stream.async_write_some(boost::asio::buffer(outgoing), [this](tcp::ErrorCode error, std::size_t count) {
            writing = false;
            require(count <= outgoing.size() && (!error || count == 0));
            written += count;
        });
    }

    void wait()
    {
        if (!reading) {
            reading = true;
            stream.async_wait_readable([this](tcp::ErrorCode) { reading = false; });
        }
    }

    tcp::Stream stream;
    std::vector<std::byte> incoming;
    std::vector<std::byte> outgoing;
    std::optional<std::byte> expected; ///< Low byte of the next sequence number
    std::size_t written = 0;
    bool reading = false;
    bool writing = false;
};

/// What the peer knows of one connection.
struct Tuple {
    wire::Endpoint local;
    wire::Endpoint remote;
    std::uint32_t next = 0xffff'ff00U; ///< What the stack acknowledged last: near the wrap of sequence numbers.
    std::uint32_t iss = 0;             ///< The stack's, from its SYN
    std::uint32_t seen = 0;            ///< End of what the stack sent
    std::uint32_t timestamp = 0;       ///< The stack's last
    bool opened = false;
};

class World {
public:
    explicit World(Input& input) : input_{input}, setup_{input.byte()}, host_{clock_, address(1), 1, options(), 64}
    {
        for (std::size_t index = 0; index < tuples; ++index) {
            const bool connects = index == tuples - 1;
            tuples_[index].local = {address(1), connects ? connect_port : listen_port};
            tuples_[index].remote = {address(9), static_cast<std::uint16_t>(connects ? 7 : 5000 + index)};
        }
        tcp::ListenOptions listen;
        listen.connection = connection_options();
        listen.half_open_limit = 2;
        listen.accept_limit = 2;
        require(host_.stack.listen({address(1), listen_port}, listen, [this](tcp::Stream stream) {
            applications_.push_back(std::make_unique<Application>(std::move(stream)));
        }));
    }

    void run()
    {
        for (std::size_t step = 0; step < steps_limit && !input_.empty(); ++step) {
            act(input_.byte());
            settle();
        }
        end();
    }

private:
    [[nodiscard]] bool v4() const { return (setup_ & 1U) == 0; }
    [[nodiscard]] wire::IpAddress address(std::uint8_t last) const
    {
        if (v4()) {
            return wire::IpAddress::v4(0x0a000000U + last);
        }
        std::array<std::byte, 16> bytes{std::byte{0xfd}};
        bytes[15] = std::byte{last};
        return wire::IpAddress::load_v6(bytes.data());
    }

    [[nodiscard]] tcp::StackOptions options() const
    {
        tcp::StackOptions options;
        options.connection_limit = 6;
        options.half_open_limit = 4;
        options.time_wait_limit = 2;
        options.buffer_limit = (setup_ & 2U) != 0 ? 32U * 1024U : 1024U * 1024U;
        options.timestamps = (setup_ & 4U) == 0;
        options.sack = (setup_ & 8U) == 0;
        return options;
    }

    [[nodiscard]] tcp::ConnectionOptions connection_options() const
    {
        tcp::ConnectionOptions options;
        options.receive_initial = (setup_ & 16U) != 0 ? 600 : 8192;
        options.receive_limit = 16384;
        options.send_limit = send_limit;
        options.keepalive_idle = (setup_ & 32U) != 0 ? Duration{5s} : Duration{};
        options.user_timeout = (setup_ & 64U) != 0 ? Duration{10s} : Duration{};
        options.retransmissions = 6;
        return options;
    }

    void act(std::uint8_t action)
    {
        host_.loop.start_turn();
        switch (action % 16) {
        case 0:
            connect();
            break;
        case 1:
            clock_.advance(std::chrono::milliseconds{input_.byte()});
            break;
        case 2:
            clock_.advance(std::chrono::milliseconds{100} * input_.byte());
            break;
        case 3:
            walk_timers(input_.byte() % 8U);
            break;
        case 4:
            surroundings(input_.byte());
            break;
        case 5:
            icmp(input_.byte());
            break;
        case 6:
        case 7:
        case 8:
            if (!applications_.empty()) {
                use(*applications_[input_.byte() % applications_.size()]);
            }
            break;
        default:
            segment();
            break;
        }
    }

    void connect()
    {
        const Tuple& tuple = tuples_[tuples - 1];
        host_.stack.async_connect(tuple.local, tuple.remote, connection_options(),
                                  [this](tcp::ErrorCode error, tcp::Stream stream) {
                                      require(!error == stream.is_open());
                                      if (!error) {
                                          applications_.push_back(std::make_unique<Application>(std::move(stream)));
                                      }
                                  });
    }

    void walk_timers(unsigned count)
    {
        for (; count != 0; --count) {
            const TimePoint next = host_.loop.next_deadline();
            if (next == never) {
                return;
            }
            clock_.set(std::max(next, clock_.now()));
            settle();
        }
    }

    void surroundings(std::uint8_t choice)
    {
        host_.starve = (choice & 3U) == 1;
        host_.starve_data = (choice & 3U) == 2;
        host_.routed = (choice & 0x1cU) != 4;
        silent_once_ = silent_once_ || host_.starve || !host_.routed;
        host_.mtu = (choice & 0x20U) != 0 ? (v4() ? 576 : 1280) : 1500;
        if ((choice & 0xc0U) == 0xc0U) {
            host_.stack.abort_address(address(1));
        }
    }

    void icmp(std::uint8_t choice)
    {
        const Tuple& tuple = tuples_[choice % tuples];
        wire::IcmpError error{};
        error.kind = static_cast<wire::IcmpErrorKind>(choice / 16U % 8U);
        error.mtu = input_.word();
        error.quoted.source = tuple.local.address;
        error.quoted.destination = tuple.remote.address;
        error.quoted.source_port = tuple.local.port;
        error.quoted.destination_port = tuple.remote.port;
        error.quoted.protocol = wire::protocol::tcp;
        error.quoted.sequence = tcp::Sequence{tuple.seen - input_.byte()};
        host_.stack.icmp_error(error);
    }

    void use(Application& application)
    {
        const std::uint8_t how = input_.byte();
        const std::size_t size = std::size_t{input_.byte()} * 16U;
        switch (how % 8) {
        case 0:
        case 1:
            application.read(size);
            break;
        case 2:
        case 3:
            application.write(size);
            break;
        case 4:
            application.stream.shutdown_send();
            break;
        case 5:
            application.wait();
            break;
        case 6:
            application.stream.cancel();
            break;
        default:
            (how & 8U) != 0 ? application.stream.abort() : application.stream.close();
            break;
        }
    }

    tcp::OptionWriter segment_options(std::uint8_t choice, const Tuple& tuple)
    {
        tcp::OptionWriter options;
        if ((choice & 1U) != 0) {
            options.mss(input_.word());
        }
        if ((choice & 2U) != 0) {
            options.sack_permitted();
        }
        if ((choice & 4U) != 0) {
            const auto value = static_cast<std::uint32_t>(clock_.now().time_since_epoch() / 1ms);
            options.timestamps(value - ((choice & 0x40U) != 0 ? input_.word() : 0), tuple.timestamp);
        }
        if ((choice & 8U) != 0) {
            options.window_scale(input_.byte());
        }
        std::array<tcp::SequenceRange, 3> blocks;
        const std::size_t count = choice >> 4U & 3U;
        for (std::size_t index = 0; index < count; ++index) {
            const std::uint32_t begin = tuple.seen - std::uint32_t{input_.byte()} * 32U;
            blocks[index] = {tcp::Sequence{begin}, tcp::Sequence{begin + std::uint32_t{input_.byte()} * 32U}};
        }
        options.sack(std::span{blocks}.first(count));
        return options;
    }

    /// Distances from what would be right, mostly small.
    std::uint32_t distance(unsigned choice)
    {
        switch (choice % 4) {
        case 0:
            return 0;
        case 1:
            return static_cast<std::uint32_t>(static_cast<std::int8_t>(input_.byte()));
        case 2:
            return static_cast<std::uint32_t>(static_cast<std::int16_t>(input_.word()));
        default:
            return std::uint32_t{input_.word()} << 16U;
        }
    }

    void segment()
    {
        const std::uint8_t choice = input_.byte();
        Tuple& tuple = tuples_[choice % tuples];
        const std::uint8_t flags = input_.byte();
        const std::uint32_t sequence = tuple.next + distance(choice >> 2U);
        const std::uint32_t acknowledgment = tuple.seen + distance(choice >> 4U);
        const std::uint16_t window = input_.word();
        const tcp::OptionWriter options = segment_options((choice & 0xc0U) != 0 ? input_.byte() : 0, tuple);
        const std::size_t payload = (flags & 0x20U) != 0 ? input_.word() % 1400U : 0;
        std::vector<std::byte> packet(headers() + 20 + options.size() + payload);
        const wire::MutableTcp header{packet.data() + headers()};
        header.set_source_port(tuple.remote.port);
        header.set_destination_port(tuple.local.port);
        header.set_sequence(tcp::Sequence{sequence});
        header.set_acknowledgment(tcp::Sequence{acknowledgment});
        header.set_header_length(20 + options.size());
        header.set_flags(flags & 0xdfU);
        header.set_window(window);
        std::copy(options.bytes().begin(), options.bytes().end(), header.data() + 20);
        if ((choice & 0xc0U) == 0xc0U && options.size() != 0) { // Malformed options
            header.data()[20 + input_.byte() % options.size()] = std::byte{input_.byte()};
        }
        for (std::size_t index = 0; index < payload; ++index) {
            header.data()[20 + options.size() + index] = std::byte(sequence + index);
        }
        finish(packet, tuple);
        const std::size_t before = host_.sent.size();
        host_.receive(packet);
        require(host_.sent.size() <= before + 2);
    }

    [[nodiscard]] std::size_t headers() const { return v4() ? wire::ipv4_minimum_size : wire::ipv6_size; }

    void finish(std::vector<std::byte>& packet, const Tuple& tuple) const
    {
        std::byte* const bytes = packet.data();
        if (v4()) {
            store8(bytes, 0x45);
            store16(bytes + 2, static_cast<std::uint16_t>(packet.size()));
            store8(bytes + 8, 64);
            store8(bytes + 9, wire::protocol::tcp);
            const wire::MutableIpv4 header{bytes};
            header.set_source(tuple.remote.address);
            header.set_destination(tuple.local.address);
            header.set_header_checksum(wire::checksum({bytes, wire::ipv4_minimum_size}));
        } else {
            store8(bytes, 0x60);
            store8(bytes + 6, wire::protocol::tcp);
            const wire::MutableIpv6 header{bytes};
            header.set_payload_length(static_cast<std::uint16_t>(packet.size() - wire::ipv6_size));
            header.set_hop_limit(64);
            header.set_source(tuple.remote.address);
            header.set_destination(tuple.local.address);
        }
        const wire::MutableTcp header{bytes + headers()};
        header.set_checksum(wire::checksum(Bytes{packet}.subspan(headers()), tuple.remote.address, tuple.local.address,
                                           wire::protocol::tcp));
    }

    /// One turn; what it sent is judged, and so is what the stack says of itself.
    void settle()
    {
        host_.turn();
        require(host_.sent.size() <= segments_per_turn);
        for (const std::vector<std::byte>& packet : host_.sent) {
            judge(packet);
        }
        host_.sent.clear();
        require(host_.pool.available() == host_.pool.capacity());
        host_.stack.visit(0, {64, ~std::size_t{0}, true, {}}, [](const tcp::ConnectionInfo& info) {
            require(info.in_flight <= info.send_queue + 1); // SND.UNA <= SND.NXT <= end of data, and SYN or FIN
            require(info.send_queue <= send_limit && info.receive_queue <= 2 * 16384);
            require(info.receive_window <= 2 * 16384 && info.out_of_order <= 2 * 16384);
        });
        const tcp::StackUsage usage = host_.stack.usage();
        require(usage.half_open <= 4 && usage.time_wait <= 2);
        require(usage.buffer_bytes <= options().buffer_limit);
    }

    void judge(const std::vector<std::byte>& packet)
    {
        wire::ParsedPacket parsed;
        require(!wire::parse_ip(packet, parsed) && !wire::verify_transport(packet, parsed));
        const tcp::Segment sent = tcp::read_segment(packet, parsed);
        for (Tuple& tuple : tuples_) {
            if (parsed.source_port != tuple.local.port || parsed.destination_port != tuple.remote.port) {
                continue;
            }
            if (sent.has(wire::tcp_flag::syn)) {
                tuple.iss = sent.sequence.value();
                tuple.seen = tuple.iss + 1;
                tuple.opened = true;
            } else if (silent_once_ && sent.payload.empty() && !sent.has(wire::tcp_flag::rst) &&
                       (!tuple.opened || tcp::Sequence{tuple.seen} < sent.sequence)) {
                // No packet was left for the SYN of this incarnation, but one for the answer to what came next.
                tuple.iss = sent.sequence.value() - 1;
                tuple.seen = tuple.iss + 1;
                tuple.opened = true;
            }
            for (std::size_t index = 0; index < sent.payload.size(); ++index) {
                require(tuple.opened);
                require(sent.payload[index] == std::byte(sent.sequence.value() - tuple.iss - 1 + index));
            }
            if (!sent.has(wire::tcp_flag::rst)) {
                if (tcp::Sequence{tuple.seen} < sent.end()) {
                    tuple.seen = sent.end().value();
                }
                if (sent.has(wire::tcp_flag::ack)) {
                    tuple.next = sent.acknowledgment.value();
                }
            }
            if (sent.has_timestamps) {
                tuple.timestamp = sent.timestamp_value;
            }
        }
    }

    void end()
    {
        host_.starve = host_.starve_data = false;
        host_.loop.start_turn();
        if ((setup_ & 128U) != 0) { // Streams that outlive their stack
            host_.own_stack.reset();
            for (const auto& application : applications_) {
                application->stream.close();
            }
            host_.loop.run_ready(100ms);
            require(host_.pool.available() == host_.pool.capacity());
            return;
        }
        host_.stack.unlisten({address(1), listen_port});
        host_.stack.abort_all();
        settle();
        for (const auto& application : applications_) {
            application->stream.close();
        }
        settle();
        const tcp::StackUsage usage = host_.stack.usage();
        require(usage.connections == 0 && usage.half_open == 0 && usage.time_wait == 0 && usage.buffer_bytes == 0);
    }

    Input& input_;
    std::uint8_t setup_;
    FakeClock clock_;
    std::vector<std::unique_ptr<Application>> applications_;
    std::array<Tuple, tuples> tuples_;
    bool silent_once_ = false; ///< For a while nothing could leave: the stack's numbers may be unknown
    testing::TcpHost host_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input input{data, size};
    World world{input};
    world.run();
    return 0;
}
