#include "attack.hpp"

#include <sluice/tls/engine.hpp>

#include <algorithm>
#include <array>

namespace sluice::bench {
namespace {

namespace flag = wire::tcp_flag;
constexpr std::uint32_t nowhere_addresses = 0x0b000000; ///< 11.0.0.0/8: sources that answer nothing
constexpr std::uint32_t first_attacker = 0x0c000001;    ///< 12.0.0.1
constexpr std::uint32_t attackers_per_address = 50'000;
constexpr std::uint16_t first_attacker_port = 10'000;
constexpr std::uint32_t most_in_flight = 16'384; ///< Bytes of a body, so that what is lost is noticed and sent again
constexpr int stuck_segments = 40;               ///< Of a body, so that 40 KB of it stay in the node
constexpr std::uint32_t gap_span = 60'000;       ///< How far behind the gap bytes are sent
constexpr std::chrono::milliseconds syn_patience{500}; ///< Until a SYN is sent again
constexpr std::uint64_t most_at_once = 256; ///< Steps a turn: what came too late is not made up for in one burst

constexpr std::array<std::string_view, 12> attack_words{
    "none",        "syn",         "ack",          "forged",    "tiny",           "out-of-order",
    "zero-window", "slow-server", "stuck-upload", "half-head", "half-handshake", "idle"};

std::string client_hello()
{
    tls::ClientOptions options;
    options.verify = false;
    tls::BufferPool buffers{4};
    tls::Engine engine{*tls::ClientContext::create(options), "bench.example.org", buffers};
    static_cast<void>(engine.handshake());
    const Bytes output = engine.output();
    return {reinterpret_cast<const char*>(output.data()), output.size()};
}

std::string first_words(AttackKind kind)
{
    switch (kind) {
    case AttackKind::tiny:
    case AttackKind::out_of_order:
        return "POST / HTTP/1.1\r\nHost: bench.example.org\r\nContent-Length: 1000000000\r\n\r\n";
    case AttackKind::zero_window:
        return "GET /1000000 HTTP/1.1\r\nHost: bench.example.org\r\n\r\n";
    case AttackKind::slow_server:
        return "GET /never HTTP/1.1\r\nHost: bench.example.org\r\n\r\n";
    case AttackKind::stuck_upload:
        return "POST /stuck HTTP/1.1\r\nHost: bench.example.org\r\nContent-Length: 1000000\r\n\r\n";
    case AttackKind::half_head:
        return "GET / HTTP/1.1\r\nHost: bench.example.org\r\nX-Padding: " + std::string(1000, 'x');
    case AttackKind::half_handshake:
        return client_hello();
    default:
        return {};
    }
}

} // namespace

std::optional<AttackKind> attack_of(std::string_view word) noexcept
{
    const auto* const found = std::find(attack_words.begin(), attack_words.end(), word);
    return found != attack_words.end() ? std::optional{static_cast<AttackKind>(found - attack_words.begin())}
                                       : std::nullopt;
}

Attack::Attack(Wire& wire, const wire::IpAddress& node, Plan plan)
    : wire_{wire}, node_{node}, plan_{std::move(plan)}, random_{random_secret()}, first_{first_words(plan_.kind)},
      attackers_(plan_.kind >= AttackKind::tiny ? plan_.attackers : 0)
{
}

void Attack::start() noexcept
{
    running_ = true;
    begun_ = SteadyClock::now();
}

void Attack::send(std::uint32_t index, std::uint32_t sequence, std::uint8_t flags, std::string_view payload) noexcept
{
    const Attacker& attacker = attackers_[index];
    RawSegment segment;
    segment.source = wire::IpAddress::v4(first_attacker + index / attackers_per_address);
    segment.source_port = static_cast<std::uint16_t>(first_attacker_port + index % attackers_per_address);
    segment.destination_port = port();
    segment.sequence = sequence;
    segment.acknowledgment = (flags & flag::ack) != 0 ? attacker.next_in : 0;
    segment.flags = flags;
    segment.payload = payload;
    segment.window = plan_.kind == AttackKind::zero_window && (flags & flag::syn) == 0 ? 0 : 0xffff;
    send_segment(wire_, node_, segment);
    ++sent_;
}

void Attack::open(std::uint32_t index) noexcept
{
    Attacker& attacker = attackers_[index];
    const auto now = SteadyClock::now();
    if (attacker.state == State::opening && now - attacker.since < syn_patience) {
        return;
    }
    attacker.state = State::opening;
    attacker.since = now;
    attacker.next_out = static_cast<std::uint32_t>(random_.next());
    send(index, attacker.next_out, flag::syn);
}

void Attack::established(std::uint32_t index) noexcept
{
    Attacker& attacker = attackers_[index];
    attacker.state = State::open;
    ++attacker.next_out;
    ++opened_;
    send(index, attacker.next_out, flag::ack | (first_.empty() ? std::uint8_t{0} : flag::psh), first_);
    attacker.next_out += static_cast<std::uint32_t>(first_.size());
    for (int segments = 0; plan_.kind == AttackKind::stuck_upload && segments < stuck_segments; ++segments) {
        send(index, attacker.next_out, flag::ack | flag::psh, body_);
        attacker.next_out += static_cast<std::uint32_t>(body_.size());
    }
    attacker.acknowledged = attacker.next_out;
}

bool Attack::take(Bytes packet, const wire::ParsedPacket& parsed) noexcept
{
    const std::uint32_t address = parsed.destination.v4_value();
    if (address < nowhere_addresses) {
        return false;
    }
    const std::uint64_t index = std::uint64_t{address - first_attacker} * attackers_per_address +
                                (parsed.destination_port - std::uint32_t{first_attacker_port});
    if (!running_ || address < first_attacker || index >= attackers_.size()) {
        return true;
    }
    Attacker& attacker = attackers_[index];
    const wire::Tcp tcp{packet.data() + parsed.transport_offset};
    const auto number = static_cast<std::uint32_t>(index);
    if ((tcp.flags() & flag::rst) != 0) {
        resets_ += attacker.state != State::closed ? 1 : 0;
        attacker.state = State::closed;
        return true;
    }
    if ((tcp.flags() & flag::syn) != 0) {
        if (attacker.state == State::opening && tcp.acknowledgment().value() == attacker.next_out + 1) {
            attacker.next_in = tcp.sequence().value() + 1;
            established(number);
        }
        return true;
    }
    if (attacker.state != State::open) {
        return true;
    }
    if (static_cast<std::int32_t>(tcp.acknowledgment().value() - attacker.acknowledged) > 0) {
        attacker.acknowledged = tcp.acknowledgment().value();
    }
    const auto length = static_cast<std::uint32_t>(parsed.payload_size()) + ((tcp.flags() & flag::fin) != 0 ? 1U : 0U);
    if (length != 0) {
        // Who does not take anything acknowledges what he has, and a window of 0.
        if (plan_.kind != AttackKind::zero_window && tcp.sequence().value() == attacker.next_in) {
            attacker.next_in += length;
        }
        send(number, attacker.next_out, flag::ack);
    }
    return true;
}

void Attack::send_from_nowhere() noexcept
{
    const std::uint64_t number = random_.next();
    RawSegment segment;
    segment.source = wire::IpAddress::v4(nowhere_addresses + static_cast<std::uint32_t>(number & 0xffffffU));
    segment.source_port = static_cast<std::uint16_t>(1024 + (number >> 24U & 0x7fffU));
    segment.destination_port = 80;
    segment.sequence = static_cast<std::uint32_t>(random_.next());
    segment.acknowledgment = plan_.kind == AttackKind::ack ? static_cast<std::uint32_t>(number >> 32U) : 0;
    segment.flags = plan_.kind == AttackKind::ack ? flag::ack : flag::syn;
    send_segment(wire_, node_, segment);
    ++sent_;
}

void Attack::send_forged() noexcept
{
    constexpr std::array<std::uint8_t, 4> flags{flag::rst, flag::syn, flag::ack, flag::ack | flag::psh};
    const wire::Endpoint& victim = plan_.victims[random_.below(plan_.victims.size())];
    RawSegment segment;
    segment.source = victim.address;
    segment.source_port = victim.port;
    segment.destination_port = 80;
    segment.sequence = static_cast<std::uint32_t>(random_.next());
    segment.acknowledgment = static_cast<std::uint32_t>(random_.next());
    segment.flags = flags[random_.below(flags.size())];
    segment.payload = (segment.flags & flag::psh) != 0 ? std::string_view{"forged"} : std::string_view{};
    send_segment(wire_, node_, segment);
    ++sent_;
}

/// The next byte of somebody's body, or one behind a gap in it.
void Attack::send_byte() noexcept
{
    next_ = (next_ + 1) % static_cast<std::uint32_t>(attackers_.size());
    Attacker& attacker = attackers_[next_];
    if (attacker.state != State::open) {
        open(next_);
        return;
    }
    if (plan_.kind == AttackKind::out_of_order) {
        const auto offset = static_cast<std::uint32_t>(1 + 2 * random_.below(gap_span / 2));
        send(next_, attacker.next_out + offset, flag::ack | flag::psh, "x");
        return;
    }
    if (attacker.next_out - attacker.acknowledged >= most_in_flight) {
        attacker.next_out = attacker.acknowledged;
    }
    send(next_, attacker.next_out, flag::ack | flag::psh, "x");
    ++attacker.next_out;
}

void Attack::open_next() noexcept
{
    next_ = (next_ + 1) % static_cast<std::uint32_t>(attackers_.size());
    if (attackers_[next_].state != State::open) {
        open(next_);
    }
}

void Attack::turn() noexcept
{
    if (!running_ || plan_.kind == AttackKind::none) {
        return;
    }
    const std::chrono::duration<double> since = SteadyClock::now() - begun_;
    const auto due = static_cast<std::uint64_t>(since.count() * plan_.rate);
    for (std::uint64_t count = 0; due_ < due && count < most_at_once; ++count, ++due_) {
        if (holds()) {
            open_next();
        } else if (plan_.kind == AttackKind::forged) {
            send_forged();
        } else if (plan_.kind >= AttackKind::tiny) {
            send_byte();
        } else {
            send_from_nowhere();
        }
    }
}

} // namespace sluice::bench
