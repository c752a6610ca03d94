// Any frame into the neighbour module, in sequences: every answer must be a frame that its receiver would accept, every
// buffer must come home, and no timer may be due for ever.
#include <sluice/neigh/neighbours.hpp>
#include <sluice/packet/heap_pool.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

using namespace sluice;

class Receiver final : public neigh::Output {
public:
    void send(std::uint8_t, packet::Packet&& frame) noexcept override
    {
        const packet::Packet sent = std::move(frame);
        wire::ParsedPacket parsed;
        // Echo replies carry the request's checksum forward, and requests are not verified here.
        if (wire::parse_frame(sent.bytes(), parsed)) {
            std::abort();
        }
    }
    void report(const neigh::Event&) noexcept override {}
};

wire::IpAddress ip(const char* text) { return *wire::IpAddress::parse(text); }
wire::Prefix prefix(const char* text) { return *wire::Prefix::parse(text); }

} // namespace

// Input: repeated [length: 1 byte, advance in 100 ms: 1 byte, frame].
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    packet::HeapPool pool{64};
    telemetry::CoreCounters counters;
    neigh::AddressStates states;
    neigh::Adjacencies adjacencies{8};
    Receiver receiver;
    {
        neigh::Limits limits;
        limits.neighbours_per_port = 8;
        neigh::Neighbours neighbours{limits, adjacencies, states, pool, receiver, counters};
        const auto mac = wire::MacAddress::from(2, 0, 0, 0, 0, 0x11);
        neigh::Interface interface {
            0, mac, 1500, {prefix("192.0.2.11/24"), prefix("2001:db8::11/64")},
            {
                {prefix("0.0.0.0/0"), ip("192.0.2.1")}, { prefix("::/0"), ip("fe80::1") }
            }
        };
        TimePoint now{std::chrono::seconds{1000}};
        neighbours.replace(std::make_shared<const neigh::Table>(
                               std::vector{interface},
                               std::vector<neigh::VirtualAddress>{
                                   {0, ip("192.0.2.100"), wire::MacAddress::from(0, 0, 0x5e, 0, 1, 51)}},
                               nullptr, states),
                           now);
        while (size >= 2) {
            const std::size_t length = std::min<std::size_t>(data[0], size - 2);
            now += std::chrono::milliseconds{100} * data[1];
            packet::Packet frame = pool.allocate();
            if (frame) {
                std::memcpy(frame.append(length), data + 2, length);
                wire::ParsedPacket parsed;
                if (!wire::parse_frame(frame.bytes(), parsed)) {
                    neighbours.report_error(parsed, frame.bytes(), 0, wire::IcmpErrorKind::port_unreachable, 0, now);
                    neighbours.input(parsed, std::move(frame), now);
                }
            }
            data += 2 + length;
            size -= 2 + length;
            neighbours.advance(now);
            if (neighbours.next_deadline() <= now) {
                std::abort();
            }
        }
    }
    if (pool.available() != pool.capacity()) {
        std::abort();
    }
    return 0;
}
