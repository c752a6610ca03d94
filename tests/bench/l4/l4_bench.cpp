// Nanoseconds per 64-byte packet, by stage. Every row makes its packets the same way (one template, the client's
// address and port written in), so the difference to `macswap` is what the stage adds. Run with
// --benchmark_repetitions=10 and compare medians of one run.
#include <packet/l4/world.hpp>

#include <benchmark/benchmark.h>

#include <array>

namespace {

using namespace sluice;

constexpr std::size_t burst_size = 32;

/// Bursts of established flows in an order that no prefetcher guesses.
class Traffic {
public:
    Traffic(std::uint32_t flows, l4::Method method)
    {
        world_.method = method;
        world_.options.flows = flows + flows / 8;
        // Every (source, server, port) triple has 28,672 flows for full NAT.
        for (std::uint32_t server = 0; server < 64; ++server) {
            world_.add_server(wire::IpAddress::v4(0x0a000100U + server).to_string() + ":53");
        }
        world_.scheduler.balance = l4::Balance::rr;
        world_.start();
        template_ = test::on_wire(test::udp_packet(test::endpoint("11.0.0.0:1"), test::endpoint("192.0.2.100:53"),
                                                   test::bytes_of("0123456789abcdef")));
        store16(template_.data() + 40, 0); // Without a UDP checksum, so that the address needs no second update
        flows_ = flows;
        for (packet::Packet& packet : packets_) {
            packet = test::packet_of(world_.buffers, template_);
        }
        for (std::uint32_t flow = 0; flow < flows; ++flow) {
            if (flow % 1024 == 0) {
                world_.advance(Duration{1000});
            }
            write(packets_[0], flow);
            static_cast<void>(wire::parse_frame(packets_[0].bytes(), parsed_[0]));
            if (world_.forwarder->process(packets_[0], parsed_[0], world_.now).action != l4::Action::transmit) {
                ++failed_;
            }
            packets_[0].trim_front(packets_[0].size() - template_.size());
        }
    }

    /// The next burst, untranslated.
    void refill() noexcept
    {
        for (packet::Packet& packet : packets_) {
            packet.trim_front(packet.size() - template_.size()); // What a tunnel has put in front
            next_ = next_ * 1664525U + 1013904223U;
            write(packet, static_cast<std::uint32_t>((std::uint64_t{next_} * flows_) >> 32U));
        }
    }
    void parse() noexcept
    {
        for (std::size_t index = 0; index < burst_size; ++index) {
            benchmark::DoNotOptimize(wire::parse_frame(std::as_const(packets_[index]).bytes(), parsed_[index]));
        }
    }
    void prepare() noexcept
    {
        for (std::size_t index = 0; index < burst_size; ++index) {
            world_.forwarder->prepare(std::as_const(packets_[index]).bytes(), parsed_[index], prepared_[index]);
        }
    }
    void prefetch() noexcept
    {
        for (const l4::Prepared& prepared : prepared_) {
            world_.forwarder->prefetch_record(prepared);
        }
    }
    void process() noexcept
    {
        for (std::size_t index = 0; index < burst_size; ++index) {
            benchmark::DoNotOptimize(
                world_.forwarder->process(packets_[index], parsed_[index], prepared_[index], world_.now));
        }
    }
    void swap_macs() noexcept
    {
        for (packet::Packet& packet : packets_) {
            const wire::MutableEthernet header{packet.data()};
            header.set(header.source(), header.destination(), header.type());
        }
    }
    void look_up() noexcept
    {
        for (const l4::Prepared& prepared : prepared_) {
            benchmark::DoNotOptimize(
                world_.forwarder->flows().find(prepared.placement.tuple, prepared.hash, world_.now));
        }
    }
    [[nodiscard]] bool complete() const noexcept { return failed_ == 0; }

private:
    void write(packet::Packet& packet, std::uint32_t flow) noexcept
    {
        std::byte* const frame = packet.data();
        std::memcpy(frame, template_.data(), template_.size());
        const std::uint32_t client = 0x0b000000U + (flow >> 8U);
        wire::ChecksumDelta delta;
        delta.replace32(0x0b000000U, client);
        store32(frame + 26, client);
        store16(frame + 24, delta.apply(load16(frame + 24)));
        store16(frame + 34, static_cast<std::uint16_t>(1024 + (flow & 0xffU)));
    }

    test::World world_;
    test::Frame template_;
    std::uint32_t flows_ = 1;
    std::uint32_t next_ = 1;
    std::size_t failed_ = 0;
    std::array<packet::Packet, burst_size> packets_;
    std::array<wire::ParsedPacket, burst_size> parsed_;
    std::array<l4::Prepared, burst_size> prepared_;
};

Traffic& traffic(std::uint32_t flows, l4::Method method)
{
    static std::map<std::pair<std::uint32_t, l4::Method>, std::unique_ptr<Traffic>> made;
    auto& entry = made[{flows, method}];
    if (!entry) {
        entry = std::make_unique<Traffic>(flows, method);
    }
    return *entry;
}

/// Runs `stage` over bursts; `items` are packets.
template <class Stage>
void measure(benchmark::State& state, l4::Method method, Stage&& stage)
{
    Traffic& bursts = traffic(static_cast<std::uint32_t>(state.range(0)), method);
    if (!bursts.complete()) {
        state.SkipWithError("not every flow could be opened");
        return;
    }
    std::int64_t packets = 0;
    for (auto unused : state) {
        static_cast<void>(unused);
        bursts.refill();
        stage(bursts);
        packets += burst_size;
    }
    state.SetItemsProcessed(packets);
    state.counters["ns_per_packet"] = benchmark::Counter(static_cast<double>(packets) / 1e9,
                                                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void making_packets(benchmark::State& state)
{
    measure(state, l4::Method::nat, [](Traffic&) {});
}
void macswap(benchmark::State& state)
{
    measure(state, l4::Method::nat, [](Traffic& bursts) { bursts.swap_macs(); });
}
void parse(benchmark::State& state)
{
    measure(state, l4::Method::nat, [](Traffic& bursts) { bursts.parse(); });
}
void classify_and_hash(benchmark::State& state)
{
    measure(state, l4::Method::nat, [](Traffic& bursts) {
        bursts.parse();
        bursts.prepare();
    });
}
void flow_lookup(benchmark::State& state)
{
    measure(state, l4::Method::nat, [](Traffic& bursts) {
        bursts.parse();
        bursts.prepare();
        bursts.prefetch();
        bursts.look_up();
    });
}
void whole(Traffic& bursts) noexcept
{
    bursts.parse();
    bursts.prepare();
    bursts.prefetch();
    bursts.process();
}
void nat(benchmark::State& state) { measure(state, l4::Method::nat, whole); }
void fullnat(benchmark::State& state) { measure(state, l4::Method::fullnat, whole); }
void dr(benchmark::State& state) { measure(state, l4::Method::dr, whole); }
void ipip(benchmark::State& state) { measure(state, l4::Method::ipip, whole); }
void gue(benchmark::State& state) { measure(state, l4::Method::gue, whole); }

/// Flows that nobody has seen before: schedule, choose a source port, insert, and expire again.
void new_flows(benchmark::State& state, l4::Method method, l4::Balance balance = l4::Balance::rr,
               std::uint32_t servers = 64, bool persistent = false)
{
    test::World world;
    world.method = method;
    world.scheduler.balance = balance;
    world.options.flows = 1U << 18U;
    world.forwarding.timeouts.udp = std::chrono::milliseconds{100};
    if (persistent) {
        world.forwarding.persistence = l4::Persistence{};
    }
    for (std::uint32_t server = 0; server < servers; ++server) {
        world.add_server(wire::IpAddress::v4(0x0a000100U + server).to_string() + ":53");
    }
    world.start();
    const test::Frame frame = test::on_wire(
        test::udp_packet(test::endpoint("11.0.0.0:1"), test::endpoint("192.0.2.100:53"), test::bytes_of("0123456789")));
    packet::Packet packet = test::packet_of(world.buffers, frame);
    std::uint32_t client = 0;
    std::int64_t opened = 0;
    for (auto unused : state) {
        static_cast<void>(unused);
        if (client % 32 == 0) {
            world.advance(std::chrono::microseconds{64});
        }
        std::memcpy(packet.data(), frame.data(), frame.size());
        wire::ParsedPacket parsed;
        static_cast<void>(wire::parse_frame(frame, parsed));
        // A persistent service has 1000 clients with many ports each; without it every flow is another client's.
        ++client;
        parsed.source = wire::IpAddress::v4(0x0b000000U + (persistent ? client % 1000 : client));
        parsed.source_port = persistent ? static_cast<std::uint16_t>(client / 1000) : std::uint16_t{1};
        opened += world.forwarder->process(packet, parsed, world.now).action == l4::Action::transmit ? 1 : 0;
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["opened"] = static_cast<double>(opened) / static_cast<double>(state.iterations());
}

BENCHMARK(making_packets)->Arg(1000);
BENCHMARK(macswap)->Arg(1000);
BENCHMARK(parse)->Arg(1000);
BENCHMARK(classify_and_hash)->Arg(1000)->Arg(1'000'000);
BENCHMARK(flow_lookup)->Arg(1000)->Arg(1'000'000);
BENCHMARK(nat)->Arg(1000)->Arg(1'000'000);
BENCHMARK(fullnat)->Arg(1000)->Arg(1'000'000);
BENCHMARK(dr)->Arg(1000)->Arg(1'000'000);
BENCHMARK(ipip)->Arg(1000)->Arg(1'000'000);
BENCHMARK(gue)->Arg(1000)->Arg(1'000'000);
BENCHMARK_CAPTURE(new_flows, nat, l4::Method::nat);
BENCHMARK_CAPTURE(new_flows, fullnat, l4::Method::fullnat);
BENCHMARK_CAPTURE(new_flows, dr, l4::Method::dr);
BENCHMARK_CAPTURE(new_flows, nat_mh, l4::Method::nat, l4::Balance::mh);
BENCHMARK_CAPTURE(new_flows, nat_wlc_8_servers, l4::Method::nat, l4::Balance::wlc, 8U);
BENCHMARK_CAPTURE(new_flows, nat_wlc_64_servers, l4::Method::nat, l4::Balance::wlc, 64U);
BENCHMARK_CAPTURE(new_flows, nat_persistent, l4::Method::nat, l4::Balance::rr, 64U, true);

} // namespace
