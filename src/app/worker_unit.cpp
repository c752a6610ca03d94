#include "worker_unit.hpp"

#include "datagrams.hpp"
#include "memory_plan.hpp"

#include <algorithm>

namespace sluice::app {
namespace {

using telemetry::DropReason;

/// Handlers run this long before the core looks at its ports again.
constexpr Duration handler_budget = std::chrono::microseconds{250};
/// What a buffer of ours holds behind the headroom that Ethernet's header goes to. On a port with a larger MTU larger
/// packets are only forwarded.
constexpr std::uint16_t largest_own_packet = packet::default_data_room;

std::uint64_t shards_of(const Layout& layout, std::size_t worker) noexcept
{
    std::uint64_t mask = 0;
    for (std::size_t shard = 0; shard < flow::shard_count; ++shard) {
        if (layout.workers.owner(static_cast<flow::Shard>(shard)) == worker) {
            mask |= std::uint64_t{1} << shard;
        }
    }
    return mask;
}

tcp::StackOptions stack_options(const WorkerBudget& budget) noexcept
{
    tcp::StackOptions options;
    // Each worker has a key of its own: nothing needs two stacks to agree.
    options.secret = random_hash_key();
    options.random_seed = random_secret();
    // The memory of connections is judged by their weight in the proxy; here it is a quarter more of them, since those
    // to servers and those that only linger are blocks and little else.
    options.connection_limit = budget.connections + budget.connections / 4;
    options.half_open_limit = budget.half_open;
    options.time_wait_limit = budget.time_wait;
    options.buffer_limit = budget.tcp_buffer_bytes;
    return options;
}

proxy::WorkerOptions proxy_options(const CoreContext& context, const WorkerBudget& budget) noexcept
{
    proxy::WorkerOptions options;
    options.core = context.core;
    options.connection_bytes = budget.connections * cost::connection;
    options.block_limit = budget.proxy_blocks;
    options.random_seed = random_secret();
    return options;
}

} // namespace

WorkerUnit::WorkerUnit(CoreContext& context, IpOutput& output, EventSender& events,
                       telemetry::RecordRing& access_records, const WorkerBudget& budget)
    : context_{context}, output_{output}, events_{events}, access_records_{access_records}, loop_{context.shared.clock},
      ports_{context.shared.secret, flow::local_ports::workers,
             shards_of(context.shared.layout, *context.role().worker)},
      stack_{loop_, *this, ports_, context.counters, stack_options(budget)}, tls_buffers_{budget.tls_blocks},
      proxy_{{loop_, stack_, tls_buffers_, gate_, context.counters, *this}, proxy_options(context, budget)},
      probes_{{loop_, stack_, tls_buffers_, *this},
              {flow::local_ports::probes, shards_of(context.shared.layout, *context.role().worker), random_secret()}},
      arrived_(packet::Burst::capacity)
{
}

WorkerUnit::~WorkerUnit()
{
    // A coroutine ends by running to its end: what waits for a signal inside itself has no other owner to free it.
    do {
        proxy_.abort_all();
    } while (loop_.run_ready(handler_budget) != 0);
}

void WorkerUnit::apply(const control::Snapshot& snapshot) noexcept
{
    if (plan_ != snapshot.proxy) {
        plan_ = snapshot.proxy;
        if (!proxy_.apply(*plan_)) {
            context_.counters.count(telemetry::Counter::listen_failures);
        }
    }
    const auto& probes = snapshot.probes[*context_.role().worker];
    if (probe_plan_ != probes) {
        probe_plan_ = probes;
        probes_.apply(*probe_plan_);
    }
}

void WorkerUnit::receive(packet::Packet&& frame, const wire::ParsedPacket& parsed) noexcept
{
    Arrived& place = arrived_[arrived_count_++];
    place.frame = std::move(frame);
    place.parsed = parsed;
    if (parsed.protocol == wire::protocol::tcp) {
        place.prepared = stack_.prepare(parsed);
    }
    // Who watches drops looks at the counters after each packet.
    if (arrived_count_ == arrived_.size() || (context_.tap != nullptr && context_.tap->watches_drops())) {
        take_arrived();
    }
}

void WorkerUnit::take_arrived() noexcept
{
    for (std::size_t index = 0; index < arrived_count_; ++index) {
        if (arrived_[index].parsed.protocol == wire::protocol::tcp) {
            stack_.prefetch(arrived_[index].prepared);
        }
    }
    for (std::size_t index = 0; index < arrived_count_; ++index) {
        take(std::move(arrived_[index].frame), arrived_[index].parsed, arrived_[index].prepared);
    }
    arrived_count_ = 0;
}

void WorkerUnit::take(packet::Packet&& frame, const wire::ParsedPacket& parsed, std::uint32_t prepared) noexcept
{
    if (!frame.checksum_verified()) {
        if (const auto problem = wire::verify_transport(std::as_const(frame).bytes(), parsed)) {
            context_.counters.drop(*problem);
            frame.reset();
            return;
        }
    }
    if (parsed.protocol == wire::protocol::tcp) {
        if (!context_.shared.succession.open(context_.now) || !pass_back(frame, parsed)) {
            stack_.input(std::move(frame), parsed, prepared);
        }
        return;
    }
    const Bytes bytes = std::as_const(frame).bytes();
    if (parsed.protocol == wire::protocol::udp) {
        const bool taken = flow::local_ports::probes.contains(parsed.destination_port) &&
                           probes_.udp_received(parsed.destination_port, {parsed.source, parsed.source_port},
                                                bytes.subspan(parsed.payload_offset, parsed.payload_size()));
        if (!taken) {
            refuse_datagram(frame.port(), bytes, parsed);
        }
    } else {
        receive_icmp(bytes, parsed);
    }
    frame.reset();
}

/// A segment of a connection that the address's former owner still has goes there. True when it was taken.
bool WorkerUnit::pass_back(packet::Packet& frame, const wire::ParsedPacket& parsed) noexcept
{
    if ((parsed.tcp_flags & wire::tcp_flag::syn) != 0 || stack_.knows(std::as_const(frame).bytes(), parsed)) {
        return false;
    }
    const neigh::Table& table = *context_.snapshot->neighbours;
    const neigh::LocalAddress* address = table.addresses.find(frame.port(), parsed.destination);
    if (address == nullptr || !address->is_virtual) {
        return false;
    }
    const neigh::AdjacencyIndex predecessor = context_.shared.succession.predecessor(address->place, context_.now);
    const neigh::Adjacency node = context_.shared.adjacencies.use(predecessor);
    const wire::MutableEthernet ethernet{frame.bytes().data()};
    // What comes from there is nobody's: the reset is ours to send.
    if (!predecessor || ethernet.source() == node.mac) {
        return false;
    }
    if (!node.usable()) {
        context_.counters.drop(DropReason::neighbour_failed);
        frame.reset();
        return true;
    }
    ethernet.set(node.mac, table.interface(frame.port())->mac, ethernet.type());
    context_.counters.count(telemetry::Counter::segments_passed_back);
    context_.egress.send(frame.port(), std::move(frame));
    return true;
}

/// UDP to a port of ours that nobody has (RFC 1122 §4.1.3.1).
void WorkerUnit::refuse_datagram(std::uint8_t port, Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    context_.counters.drop(DropReason::no_service);
    if (!neigh::may_report_error(frame, parsed)) {
        return;
    }
    if (!errors_.allow(context_.now)) {
        context_.counters.count(telemetry::Counter::answers_suppressed);
        return;
    }
    const neigh::Interface& interface = *context_.snapshot->neighbours->interface(port);
    packet::Packet answer = neigh::make_icmp_error(
        context_.reserve, frame, parsed, wire::IcmpErrorKind::port_unreachable, 0, parsed.destination, interface.mac);
    if (answer) {
        context_.egress.send(port, std::move(answer));
    } else {
        context_.counters.count(telemetry::Counter::pool_exhausted);
    }
}

void WorkerUnit::receive_icmp(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    const auto error = wire::parse_icmp_error(frame, parsed);
    if (!error) {
        const std::byte* message = frame.data() + parsed.transport_offset;
        probes_.echo_received(wire::Icmp{message}.identifier(), parsed.source, load16(message + 6));
        return;
    }
    if (error->quoted.protocol != wire::protocol::tcp) {
        probes_.unreachable(error->quoted.source_port, error->quoted.destination);
    } else if (!stack_.icmp_error(*error)) {
        context_.counters.drop(DropReason::icmp_unmatched);
    }
}

bool WorkerUnit::run() noexcept
{
    take_arrived();
    loop_.run_timers();
    static_cast<void>(gate_.admit_one());
    loop_.run_ready(handler_budget);
    stack_.flush();
    return loop_.has_ready() || gate_.waiting() != 0 || stack_.has_pending_output();
}

TimePoint WorkerUnit::next_deadline() const noexcept { return loop_.next_deadline(); }

std::optional<tcp::Path> WorkerUnit::find_path(const wire::IpAddress& source,
                                               const wire::IpAddress& destination) noexcept
{
    const auto route = output_.find(source, destination);
    if (!route) {
        return {};
    }
    return tcp::Path{route->adjacency.value, std::min(route->next_hop.mtu, largest_own_packet)};
}

packet::Packet WorkerUnit::allocate(Purpose purpose) noexcept
{
    packet::Packet packet = context_.pool.allocate();
    if (!packet && purpose == Purpose::control) {
        packet = context_.reserve.allocate();
    }
    if (!packet) {
        context_.counters.count(telemetry::Counter::pool_exhausted);
    }
    return packet;
}

void WorkerUnit::transmit(packet::Packet&& packet, const wire::IpAddress& source, const wire::IpAddress& destination,
                          tcp::Path path) noexcept
{
    output_.send(std::move(packet), neigh::AdjacencyIndex{path.id}, source, destination);
}

bool WorkerUnit::reserved(const wire::Endpoint& local) noexcept
{
    const auto found = context_.snapshot->services->classify(local.address, wire::protocol::tcp, local.port);
    return found.service != nullptr;
}

bool WorkerUnit::udp_reserved(const wire::Endpoint& local) noexcept
{
    const auto found = context_.snapshot->services->classify(local.address, wire::protocol::udp, local.port);
    return found.service != nullptr;
}

std::optional<wire::IpAddress> WorkerUnit::source_for(const wire::IpAddress& server) noexcept
{
    const auto route = output_.find({}, server);
    if (!route || route->next_hop.source.is_unspecified()) {
        return {};
    }
    return route->next_hop.source;
}

void WorkerUnit::record_access(const proxy::AccessRecord& record) noexcept
{
    if (!access_records_.push(proxy::as_bytes(record))) {
        context_.counters.count(telemetry::Counter::access_records_discarded);
    }
}

std::uint64_t WorkerUnit::own_drops() noexcept
{
    std::uint64_t total = context_.counters.get(telemetry::Counter::pool_exhausted) +
                          context_.counters.get(telemetry::Counter::turns_late);
    for (const DropReason reason : {DropReason::transmit_full, DropReason::handoff_full, DropReason::pool_empty}) {
        total += context_.counters.get(reason);
    }
    for (const port::Port* port : context_.shared.ports) {
        const port::Statistics statistics = port->statistics();
        total += statistics.receive_dropped + statistics.transmit_dropped;
    }
    return total;
}

bool WorkerUnit::port_up(const wire::IpAddress& server) noexcept
{
    const auto route = output_.find({}, server);
    return route && context_.shared.ports[route->next_hop.port]->link_up();
}

bool WorkerUnit::send_udp(const wire::Endpoint& local, const wire::Endpoint& server, Bytes payload) noexcept
{
    packet::Packet packet = make_udp(context_.reserve, local, server, payload);
    if (!packet) {
        return false;
    }
    output_.send(std::move(packet), {}, local.address, server.address);
    return true;
}

bool WorkerUnit::send_echo(const wire::IpAddress& local, const wire::IpAddress& server, std::uint16_t identifier,
                           std::uint16_t sequence) noexcept
{
    packet::Packet packet = make_echo_request(context_.reserve, local, server, identifier, sequence);
    if (!packet) {
        return false;
    }
    output_.send(std::move(packet), {}, local, server);
    return true;
}

void WorkerUnit::decided(const probe::ServerCheck& check, const health::Decision& decision) noexcept
{
    telemetry::Event event;
    event.time = context_.now;
    event.kind = telemetry::EventKind::health;
    event.subject = std::string_view{check.server->pool() + '/' + check.server->name()};
    event.from = health::text(decision.from);
    event.to = health::text(decision.to);
    event.reason = std::string_view{health::words(decision.cause)};
    events_.send(event);
}

} // namespace sluice::app
