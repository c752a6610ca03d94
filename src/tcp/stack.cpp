// The stack's public face: demultiplexing, listeners, flush, inspection.
#include "tcp/core.hpp"

#include <boost/asio/error.hpp>

namespace sluice::tcp {
namespace {

HashKey derive(const HashKey& secret, std::uint64_t purpose) noexcept
{
    return {siphash13_words(secret, purpose, 0), siphash13_words(secret, purpose, 1)};
}

bool answerable(const wire::ParsedPacket& packet) noexcept
{
    const auto unicast = [](const wire::IpAddress& address) {
        return !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    };
    return unicast(packet.source) && unicast(packet.destination) && packet.source_port != 0 &&
           packet.destination_port != 0;
}

TableEntry ends_of(Core& core, const wire::ParsedPacket& parsed) noexcept
{
    TableEntry ends{EntryKind::connection, &core};
    ends.local = parsed.destination;
    ends.remote = parsed.source;
    ends.local_port = parsed.destination_port;
    ends.remote_port = parsed.source_port;
    return ends;
}

/// Ends what `matches` says, from its place in the table. Returns how many ended.
template <class Predicate>
std::size_t abort_where(Core& core, Predicate matches) noexcept
{
    std::size_t count = 0;
    for (std::size_t slot = 0; slot < core.table.slots();) {
        TableEntry* const entry = core.table.at(slot);
        if (entry == nullptr || !matches(*entry)) {
            ++slot;
            continue;
        }
        ++count; // Erasing may shift another entry into this slot: look at it again.
        switch (entry->kind) {
        case EntryKind::connection:
            abort_connection(static_cast<Connection&>(*entry), Failure::aborted);
            break;
        case EntryKind::half_open:
            drop_half_open(static_cast<HalfOpen&>(*entry));
            break;
        case EntryKind::time_wait:
            drop_time_wait(static_cast<TimeWait&>(*entry));
            break;
        }
    }
    return count;
}

} // namespace

bool RateLimit::allow(TimePoint now) noexcept
{
    if (now - since >= std::chrono::seconds{1}) {
        since = now;
        left = per_second;
    }
    if (left == 0) {
        return false;
    }
    --left;
    return true;
}

Core::Core(Loop& on, Output& way_out, PortAllocator& allocator, telemetry::CoreCounters& numbers,
           const StackOptions& chosen)
    : loop{on}, output{way_out}, ports{allocator}, counters{numbers}, options{chosen}, random{chosen.random_seed},
      sequence_key{derive(chosen.secret, 1)}, timestamp_key{derive(chosen.secret, 2)}, cookies{derive(chosen.secret,
                                                                                                      4)},
      table{derive(chosen.secret, 3), chosen.connection_limit + chosen.half_open_limit + chosen.time_wait_limit},
      buffers{chosen.buffer_limit}, challenges{chosen.challenge_acks_per_second}, resets{chosen.resets_per_second}
{
}

Core::~Core()
{
    for (std::size_t slot = 0; slot < table.slots();) {
        TableEntry* const entry = table.at(slot);
        if (entry == nullptr) {
            ++slot;
        } else if (entry->kind == EntryKind::connection) {
            terminate(static_cast<Connection&>(*entry), Failure::aborted);
        } else if (entry->kind == EntryKind::half_open) {
            drop_half_open(static_cast<HalfOpen&>(*entry));
        } else {
            drop_time_wait(static_cast<TimeWait&>(*entry));
        }
    }
    // Streams may outlive the stack: theirs are left to them.
    while (Connection* connection = all) {
        all = connection->all_next;
        complete_pending(*connection, boost::asio::error::operation_aborted);
        connection->receive.release(buffers);
        connection->unread = 0;
        Listener* const from = std::exchange(connection->from, nullptr);
        if (from != nullptr && --from->connections == 0 && from->closed && !from->posted) {
            delete from;
        }
        connection->core = nullptr;
        if (!connection->has_handle) {
            delete connection;
        }
    }
    for (const auto& [endpoint, listener] : listeners) {
        if (listener->posted) {
            listener->core = nullptr;
        } else {
            delete listener;
        }
    }
}

Listener* Core::find_listener(const wire::Endpoint& local) noexcept
{
    const auto found = listeners.find(local);
    return found != listeners.end() ? found->second : nullptr;
}

Stack::Stack(Loop& loop, Output& output, PortAllocator& ports, telemetry::CoreCounters& counters,
             const StackOptions& options)
    : loop_{loop}, core_{std::make_unique<Core>(loop, output, ports, counters, options)}
{
}

Stack::~Stack() = default;

std::uint32_t Stack::prepare(const wire::ParsedPacket& parsed) const noexcept
{
    const ConnectionTable& table = core_->table;
    const std::uint32_t hash =
        table.hash_of(parsed.destination, parsed.destination_port, parsed.source, parsed.source_port);
    table.prefetch_slot(hash);
    return hash;
}

void Stack::prefetch(std::uint32_t prepared) const noexcept { core_->table.prefetch_entry(prepared); }

void Stack::input(packet::Packet&& packet, const wire::ParsedPacket& parsed, std::uint32_t prepared) noexcept
{
    const packet::Packet owned = std::move(packet);
    Core& core = *core_;
    core.count(Counter::tcp_segments_received);
    if (!answerable(parsed)) {
        core.counters.drop(DropReason::source_address_invalid);
        return;
    }
    const Segment segment = read_segment(owned.bytes(), parsed);
    TableEntry* entry =
        core.table.find(prepared, parsed.destination, parsed.destination_port, parsed.source, parsed.source_port);
    if (entry == nullptr) {
        const TableEntry ends = ends_of(core, parsed);
        if (Listener* listener = core.find_listener(ends.local_endpoint())) {
            listener_segment_arrives(core, *listener, ends, segment, nullptr);
        } else {
            core.counters.drop(DropReason::tcp_no_connection);
            answer_with_reset(core, ends, segment);
        }
        return;
    }
    switch (entry->kind) {
    case EntryKind::connection:
        segment_arrives(static_cast<Connection&>(*entry), segment);
        break;
    case EntryKind::half_open:
        half_open_segment_arrives(static_cast<HalfOpen&>(*entry), segment);
        break;
    case EntryKind::time_wait:
        time_wait_segment_arrives(static_cast<TimeWait&>(*entry), segment);
        break;
    }
}

bool Stack::knows(Bytes packet, const wire::ParsedPacket& parsed) const noexcept
{
    if (core_->table.find(parsed.destination, parsed.destination_port, parsed.source, parsed.source_port) != nullptr) {
        return true;
    }
    const TableEntry ends = ends_of(*core_, parsed);
    const Segment segment = read_segment(packet, parsed);
    return segment.has(wire::tcp_flag::ack) && core_->find_listener(ends.local_endpoint()) != nullptr &&
           core_->cookies.check(ends, segment.sequence - 1, segment.acknowledgment - 1, core_->now()).has_value();
}

bool Stack::icmp_error(const wire::IcmpError& error) noexcept { return icmp_error_arrives(*core_, error); }

void Stack::flush() noexcept
{
    Core& core = *core_;
    Connection* connection = std::exchange(core.dirty_first, nullptr);
    core.dirty_last = nullptr;
    while (connection != nullptr) {
        Connection& one = *connection;
        connection = one.next_dirty;
        one.dirty = false;
        if (one.state == State::closed) {
            retire(one);
        } else if (!output(one)) {
            mark_dirty(one);
        }
    }
    if (core.buffers.scarce()) [[unlikely]] {
        relieve_buffers(core);
    }
    free_dead(core);
}

bool Stack::has_pending_output() const noexcept { return core_->dirty_first != nullptr; }

bool Stack::listen(const wire::Endpoint& local, const ListenOptions& options, AcceptHandler handler)
{
    if (core_->find_listener(local) != nullptr) {
        return false;
    }
    core_->listeners.emplace(local, new Listener{*core_, local, options, std::move(handler)});
    return true;
}

void Stack::unlisten(const wire::Endpoint& local) noexcept
{
    Core& core = *core_;
    Listener* const listener = core.find_listener(local);
    if (listener == nullptr) {
        return;
    }
    // A look at the whole table is worth it only when there is something to find: a reload may close a range of ports.
    if (listener->half_open != 0 || listener->waiting != 0) {
        abort_where(core, [&](const TableEntry& entry) {
            return entry.local_port == local.port && entry.local == local.address &&
                   (entry.kind == EntryKind::half_open ||
                    (entry.kind == EntryKind::connection && static_cast<const Connection&>(entry).queued_to_accept));
        });
    }
    core.listeners.erase(local);
    listener->closed = true;
    ++core.closed_listeners;
    if (!listener->posted) { // Else it may be the handler that called us.
        listener->handler = nullptr;
    }
    free_if_unused(*listener);
}

void Stack::start_connect(const wire::Endpoint& local, const wire::Endpoint& remote, const ConnectionOptions& options,
                          ConnectOperation& operation) noexcept
{
    tcp::start_connect(*core_, local, remote, options, operation, operation.connection);
}

std::tuple<ErrorCode, Stream> Stack::ConnectOperation::result() noexcept
{
    if (connection == nullptr) {
        return {error_, Stream{loop_.get_executor()}};
    }
    return {error_, StreamAccess::make(loop_, *connection)};
}

std::size_t Stack::abort_address(const wire::IpAddress& local) noexcept
{
    return abort_where(*core_, [&](const TableEntry& entry) { return entry.local == local; });
}

std::size_t Stack::abort_all() noexcept
{
    return abort_where(*core_, [](const TableEntry&) { return true; });
}

StackUsage Stack::usage() const noexcept
{
    const StackOptions& limits = core_->options;
    return {core_->connections,     core_->accepted,         core_->half_open,        core_->time_wait,
            core_->buffers.used(),  core_->buffers.cached(), limits.connection_limit, limits.half_open_limit,
            limits.time_wait_limit, limits.buffer_limit};
}

bool Stack::buffers_scarce() const noexcept { return core_->buffers.under_pressure(); }

bool Stack::buffers_nearly_gone() const noexcept { return core_->buffers.scarce(); }

} // namespace sluice::tcp
