#include "worker_unit.hpp"

namespace sluice::app {
namespace {

using telemetry::DropReason;

/// Handlers run this long before the core looks at its ports again.
constexpr Duration handler_budget = std::chrono::microseconds{250};

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

tcp::StackOptions stack_options(const CoreContext& context, const WorkerBudget& budget) noexcept
{
    tcp::StackOptions options;
    // Each worker has a key of its own: nothing needs two stacks to agree.
    options.secret = random_hash_key();
    options.random_seed = random_secret();
    options.connection_limit = budget.connections;
    options.buffer_limit = budget.tcp_buffer_bytes;
    static_cast<void>(context);
    return options;
}

proxy::WorkerOptions proxy_options(const CoreContext& context, const WorkerBudget& budget) noexcept
{
    proxy::WorkerOptions options;
    options.core = context.core;
    options.connection_limit = budget.connections;
    options.block_limit = budget.proxy_blocks;
    options.random_seed = random_secret();
    return options;
}

} // namespace

WorkerUnit::WorkerUnit(CoreContext& context, IpOutput& output, EventSender& events, telemetry::RecordRing& access_records, const WorkerBudget& budget)
    : context_{context}, output_{output}, events_{events}, access_records_{access_records}, loop_{context.shared.clock},
      ports_{context.shared.secret, flow::local_ports::workers, shards_of(context.shared.layout, *context.role().worker)},
      stack_{loop_, *this, ports_, context.counters, stack_options(context, budget)}, tls_buffers_{budget.tls_blocks},
      proxy_{{loop_, stack_, tls_buffers_, gate_, context.counters, *this}, proxy_options(context, budget)}
{
}

void WorkerUnit::apply(const control::Snapshot& snapshot) noexcept
{
    if (plan_ == snapshot.proxy) {
        return;
    }
    plan_ = snapshot.proxy;
    static_cast<void>(proxy_.apply(*plan_));
}

void WorkerUnit::receive(packet::Packet&& frame, const wire::ParsedPacket& parsed) noexcept
{
    if (!frame.checksum_verified()) {
        if (const auto problem = wire::verify_transport(std::as_const(frame).bytes(), parsed)) {
            context_.counters.drop(*problem);
            frame.reset();
            return;
        }
    }
    if (parsed.protocol == wire::protocol::tcp) {
        stack_.input(std::move(frame), parsed);
        return;
    }
    const auto error = wire::parse_icmp_error(std::as_const(frame).bytes(), parsed);
    if (!error || !stack_.icmp_error(*error)) {
        context_.counters.drop(DropReason::icmp_unmatched);
    }
    frame.reset();
}

bool WorkerUnit::run() noexcept
{
    loop_.run_timers();
    static_cast<void>(gate_.admit_one());
    loop_.run_ready(handler_budget);
    stack_.flush();
    return loop_.has_ready() || gate_.waiting() != 0 || stack_.has_pending_output();
}

TimePoint WorkerUnit::next_deadline() const noexcept { return loop_.next_deadline(); }

std::optional<tcp::Path> WorkerUnit::find_path(const wire::IpAddress& source, const wire::IpAddress& destination) noexcept
{
    const auto route = output_.find(source, destination);
    if (!route) {
        return {};
    }
    return tcp::Path{route->adjacency.value, route->next_hop.mtu};
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

void WorkerUnit::transmit(packet::Packet&& packet, const wire::IpAddress& source, const wire::IpAddress& destination, tcp::Path path) noexcept
{
    output_.send(std::move(packet), neigh::AdjacencyIndex{path.id}, source, destination);
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

} // namespace sluice::app
