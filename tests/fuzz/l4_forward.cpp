// Any frames through a forwarder: what is passed on or refused is untouched, what is transmitted is a valid packet
// whose checksums are right if they were, answers answer, and the flow table stays within its bounds.
#include <sluice/l4/answers.hpp>

#include <packet/l4/world.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>

namespace {

using namespace sluice;

void check(bool holds)
{
    if (!holds) {
        std::abort();
    }
}

/// Makes the IPv4 header checksum right, which no mutation finds by itself.
void mend(test::Frame& frame)
{
    if (frame.size() >= 34 && load16(frame.data() + 12) == wire::ether_type::ipv4) {
        const std::size_t size = wire::Ipv4{frame.data() + 14}.header_length();
        if (size >= 20 && 14 + size <= frame.size()) {
            store16(frame.data() + 24, 0);
            store16(frame.data() + 24, wire::checksum({frame.data() + 14, size}));
        }
    }
}

void check_sent(const test::Frame& sent, const wire::ParsedPacket& described, bool checksum_was_right)
{
    wire::ParsedPacket parsed;
    check(!wire::parse_frame(sent, parsed));
    check(parsed.source == described.source && parsed.destination == described.destination);
    check(!parsed.has_transport() ||
          (parsed.source_port == described.source_port && parsed.destination_port == described.destination_port) ||
          parsed.protocol == wire::protocol::icmp || parsed.protocol == wire::protocol::icmpv6);
    check(parsed.hop_limit > 0 && parsed.hop_limit == described.hop_limit);
    check(!checksum_was_right || !wire::verify_transport(sent, parsed));
}

void run(test::World& world, test::Frame in)
{
    wire::ParsedPacket before;
    if (wire::parse_frame(in, before)) {
        return;
    }
    const bool right = !wire::verify_transport(in, before);
    const l4::Owner owner = l4::owner_of(in, before, *world.table);
    const test::Outcome out = world.send(in);
    switch (out.verdict.action) {
    case l4::Action::transmit:
        check(owner.kind == l4::Owner::Kind::forwarder);
        check_sent(out.frame, out.parsed, right);
        check(out.parsed.hop_limit + 1 == before.hop_limit);
        check(out.frame.size() <= in.size());
        break;
    case l4::Action::split: {
        packet::Burst parts;
        check(l4::split_ipv4(out.frame, out.parsed, out.verdict.mtu, world.buffers, parts));
        check(parts.size() > 1);
        parts.clear();
        break;
    }
    case l4::Action::reset:
        check_sent(out.frame, out.parsed, true);
        check(out.parsed.source == before.destination && out.parsed.destination == before.source);
        check((out.parsed.tcp_flags & wire::tcp_flag::rst) != 0 && (before.tcp_flags & wire::tcp_flag::rst) == 0);
        break;
    case l4::Action::to_worker:
        check(owner.kind == l4::Owner::Kind::worker && owner.shard == out.verdict.shard);
        check(out.frame == in);
        break;
    case l4::Action::to_forwarder:
        check(false); // There is but one.
        break;
    case l4::Action::icmp_error:
        check(!before.is_fragment || out.verdict.icmp != wire::IcmpErrorKind::port_unreachable);
        check(before.is_fragment || out.frame == in);
        break;
    case l4::Action::local:
        check(out.frame == in);
        break;
    case l4::Action::drop:
        break;
    }
    check(world.forwarder->flows().size() <= world.forwarder->flows().capacity());
    check(world.buffers.available() == world.buffers.capacity());
}

} // namespace

// Input: one byte of choices (bit 0: nat, bit 1: mh, bit 2: a narrow way to the first server, bit 3: reset when down),
// then frames, each with its length in two bytes. A length with its high bit set lets that many milliseconds pass.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) {
        return 0;
    }
    test::World world;
    world.options.flows = 16;
    world.method = (data[0] & 1U) != 0 ? l4::Method::nat : l4::Method::fullnat;
    world.scheduler.balance = (data[0] & 2U) != 0 ? l4::Balance::mh : l4::Balance::wrr;
    if ((data[0] & 4U) != 0) {
        world.next_hops.narrow_way = test::ip("10.0.0.53");
        world.next_hops.narrow_mtu = 576;
    }
    if ((data[0] & 8U) != 0) {
        world.forwarding.on_server_down = l4::OnServerDown::reset;
    }
    world.add_server("10.0.0.53:53");
    world.add_server("[2001:db8:a::53]:53");
    world.start();

    const auto* const bytes = reinterpret_cast<const std::byte*>(data);
    for (std::size_t at = 1; at + 2 <= size;) {
        const std::uint16_t length = load16(bytes + at);
        at += 2;
        if ((length & 0x8000U) != 0) {
            world.advance(std::chrono::milliseconds{length & 0x7fffU});
            world.servers[0].record->set_status((length & 1U) != 0 ? health::Status::down : health::Status::up);
            continue;
        }
        const std::size_t taken = std::min<std::size_t>({length, size - at, packet::default_data_room});
        test::Frame frame{bytes + at, bytes + at + taken};
        at += taken;
        mend(frame);
        run(world, std::move(frame));
    }
    return 0;
}
