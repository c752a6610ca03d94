#include "first_forwarder.hpp"

#include <cstring>

namespace sluice::app {

using telemetry::DropReason;

FirstForwarder::FirstForwarder(CoreContext& context, EventSender& events, const neigh::Limits& limits)
    : context_{context}, events_{events},
      neighbours_{limits,          context.shared.adjacencies, context.shared.address_states, context.reserve, *this,
                  context.counters},
      vrrp_{*this, context.counters}
{
}

void FirstForwarder::apply(const control::Snapshot& snapshot) noexcept
{
    if (snapshot.generation == generation_) {
        return;
    }
    generation_ = snapshot.generation;
    // What replace() returns may be the last reference; freeing it here costs one turn some microseconds per reload.
    static_cast<void>(neighbours_.replace(snapshot.neighbours, context_.now));
    if (vrrp_table_ != snapshot.vrrp) {
        vrrp_table_ = snapshot.vrrp;
        static_cast<void>(vrrp_.replace(snapshot.vrrp, context_.now));
    }
}

void FirstForwarder::input(packet::Packet&& frame, const wire::ParsedPacket& parsed) noexcept
{
    if (parsed.is_ip() && parsed.protocol == wire::protocol::vrrp) {
        vrrp::Received received;
        received.port = frame.port();
        received.hop_limit = parsed.hop_limit;
        received.source = parsed.source;
        received.destination = parsed.destination;
        received.message = std::as_const(frame).bytes().subspan(parsed.transport_offset, parsed.transport_size());
        // Known before it is needed: whoever takes over from this node passes segments back at once.
        if (vrrp_.input(received, context_.now)) {
            static_cast<void>(neighbours_.resolve(frame.port(), parsed.source, context_.now));
        }
        frame.reset();
        return;
    }
    neighbours_.input(parsed, std::move(frame), context_.now);
}

void FirstForwarder::send_unresolved(packet::Packet&& ip, const wire::IpAddress& next_hop) noexcept
{
    const neigh::AdjacencyIndex neighbour = neighbours_.resolve(ip.port(), next_hop, context_.now);
    neighbours_.transmit(neighbour, std::move(ip), context_.now);
}

void FirstForwarder::advance(bool mail_read) noexcept
{
    if (mail_read) {
        vrrp_.mail_read(context_.now);
    }
    vrrp_.advance(context_.now);
    if (context_.now >= farewell_until_) {
        end_farewell();
    }
    neighbours_.advance(context_.now);
}

TimePoint FirstForwarder::next_deadline() const noexcept
{
    return std::min({vrrp_.next_deadline(), neighbours_.next_deadline(), farewell_until_});
}

void FirstForwarder::send(std::uint8_t port, packet::Packet&& frame) noexcept
{
    context_.egress.send(port, std::move(frame));
}

void FirstForwarder::send(std::uint8_t port, Bytes frame) noexcept
{
    packet::Packet packet = context_.reserve.allocate();
    std::byte* room = packet ? packet.append(frame.size()) : nullptr;
    if (room == nullptr) {
        context_.counters.drop(DropReason::pool_empty);
        return;
    }
    std::memcpy(room, frame.data(), frame.size());
    context_.egress.send(port, std::move(packet));
}

void FirstForwarder::set_address(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress&,
                                 vrrp::Ownership ownership) noexcept
{
    auto as = static_cast<neigh::Ownership>(ownership);
    const neigh::LocalAddress* entry = context_.snapshot->neighbours->addresses.find(port, address);
    if (as == neigh::Ownership::backup && entry != nullptr && entry->is_virtual &&
        context_.shared.address_states.get(entry->place) >= neigh::Ownership::active) {
        as = neigh::Ownership::leaving;
        farewell_until_ = context_.now + succession_time;
    }
    neighbours_.set_ownership(port, address, as);
}

void FirstForwarder::end_farewell() noexcept
{
    farewell_until_ = never;
    neigh::AddressStates& states = context_.shared.address_states;
    for (const neigh::LocalAddress& entry : context_.snapshot->neighbours->addresses.entries()) {
        if (entry.is_virtual && states.get(entry.place) == neigh::Ownership::leaving) {
            states.set(entry.place, neigh::Ownership::backup);
        }
    }
}

/// From now on `predecessor`, which is alive, gets what belongs to its connections.
void FirstForwarder::follow(std::string_view instance, const wire::IpAddress& predecessor) noexcept
{
    const vrrp::Member* member = vrrp_.table().find(instance);
    if (member == nullptr || predecessor.is_unspecified()) {
        return;
    }
    const std::uint8_t port = member->parameters.port;
    const neigh::AdjacencyIndex node = neighbours_.resolve(port, predecessor, context_.now);
    for (const wire::IpAddress& address : member->parameters.addresses) {
        const neigh::LocalAddress* entry = context_.snapshot->neighbours->addresses.find(port, address);
        if (entry != nullptr && entry->is_virtual) {
            context_.shared.succession.follow(entry->place, node, context_.now);
        }
    }
}

void FirstForwarder::announce(std::uint8_t port, const wire::IpAddress& address,
                              const wire::MacAddress& virtual_mac) noexcept
{
    neighbours_.announce(port, address, virtual_mac);
}

void FirstForwarder::report(const neigh::Event& event) noexcept { events_.send(event); }

void FirstForwarder::report(const vrrp::Event& event) noexcept
{
    using vrrp::Reason;
    const bool from_a_live_peer = event.reason == Reason::preempted || event.reason == Reason::peer_stopped;
    // A peer that was thought dead and is heard again had its connections all the time.
    if (event.kind == vrrp::Event::Kind::other_active ||
        (event.kind == vrrp::Event::Kind::transition && event.to == vrrp::State::active && from_a_live_peer)) {
        follow(event.instance, event.peer);
    }
    events_.send(event);
}

} // namespace sluice::app
