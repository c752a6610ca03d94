// TIME_WAIT as a small record: it answers a retransmitted FIN, ignores RST (RFC 1337), and gives way to a new
// connection that is provably newer (RFC 6191, RFC 9293 §3.10.7.4).
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

void acknowledge(TimeWait& record) noexcept
{
    Core& core = *record.core;
    const std::optional<Path> path = core.output.find_path(record.local, record.remote);
    if (!path) {
        return;
    }
    OptionWriter options;
    if ((record.flags & TimeWait::has_timestamps) != 0) {
        options.timestamps(core.timestamp_clock() + record.timestamp_offset, record.ts_recent);
    }
    transmit(core, {record, *path, record.snd_nxt, record.rcv_nxt, wire::tcp_flag::ack, 0}, options, {});
}

bool newer(const TimeWait& record, const Segment& segment) noexcept
{
    if ((record.flags & TimeWait::has_timestamps) != 0 && segment.has_timestamps) {
        const auto ahead = static_cast<std::int32_t>(segment.timestamp_value - record.ts_recent);
        return ahead > 0 || (ahead == 0 && segment.sequence > record.rcv_nxt);
    }
    return segment.sequence > record.rcv_nxt;
}

} // namespace

void time_wait_segment_arrives(TimeWait& record, const Segment& segment) noexcept
{
    Core& core = *record.core;
    if (segment.has(wire::tcp_flag::rst)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    if (segment.has(wire::tcp_flag::syn) && !segment.has(wire::tcp_flag::ack) && newer(record, segment)) {
        if (Listener* listener = core.find_listener(record.local_endpoint())) {
            TableEntry ends{EntryKind::time_wait, &core};
            ends.local = record.local;
            ends.remote = record.remote;
            ends.local_port = record.local_port;
            ends.remote_port = record.remote_port;
            const Sequence minimum = record.snd_nxt;
            drop_time_wait(record);
            core.count(Counter::tcp_time_wait_reused);
            listener_segment_arrives(core, *listener, ends, segment, &minimum);
            return;
        }
    }
    if (segment.has(wire::tcp_flag::fin) && segment.end() == record.rcv_nxt) {
        acknowledge(record); // The peer did not hear our last ACK: the two maximum segment lifetimes start again.
        core.loop.timers().arm(record, core.now() + std::chrono::seconds{record.count});
        return;
    }
    core.counters.drop(DropReason::tcp_unacceptable);
    const bool in_order = segment.length() == 0 && segment.sequence == record.rcv_nxt;
    if (!in_order && core.challenges.allow(core.now())) {
        acknowledge(record);
    }
}

void drop_time_wait(TimeWait& record) noexcept
{
    Core& core = *record.core;
    core.table.erase(record);
    --core.time_wait;
    delete &record;
}

} // namespace sluice::tcp
