// Active open, simultaneous open included (RFC 9293 §3.10.1, §3.10.7.3).
#include "tcp/core.hpp"

#include <boost/asio/error.hpp>

namespace sluice::tcp {
namespace {

namespace error = boost::asio::error;

class FreePort final : public PortQuestion {
public:
    FreePort(const Core& core, const wire::IpAddress& local, const wire::Endpoint& remote) noexcept
        : core_{core}, local_{local}, remote_{remote}
    {
    }
    [[nodiscard]] bool is_free(std::uint16_t port) const noexcept override
    {
        return core_.table.find(local_, port, remote_.address, remote_.port) == nullptr &&
               core_.listeners.find({local_, port}) == core_.listeners.end() && !core_.output.reserved({local_, port});
    }

private:
    const Core& core_;
    const wire::IpAddress& local_;
    const wire::Endpoint& remote_;
};

std::shared_ptr<const ConnectionOptions> shared_options(Core& core, const ConnectionOptions& options)
{
    if (core.connect_options == nullptr || *core.connect_options != options) {
        core.connect_options = std::make_shared<const ConnectionOptions>(options);
    }
    return core.connect_options;
}

void cancel_connect(void* owner, Operation&) noexcept
{
    auto& connection = *static_cast<Connection*>(owner);
    connection.core->count(Counter::tcp_attempt_fails);
    abort_connection(connection, Failure::aborted); // Completes the operation with operation_aborted.
}

/// Options of the peer's SYN or SYN-ACK.
void note_peer(Connection& connection, const Segment& segment) noexcept
{
    const Core& core = *connection.core;
    connection.rcv_nxt = connection.acknowledged = segment.sequence + 1;
    connection.rcv_edge = connection.rcv_nxt + std::min(connection.rcv_limit, 65535U);
    connection.peer_mss =
        segment.mss != 0 ? segment.mss : static_cast<std::uint16_t>(connection.local.is_v4() ? 536 : 1220);
    connection.sack_allowed = segment.sack_permitted && core.options.sack;
    connection.timestamps = connection.timestamps && segment.has_timestamps;
    connection.ts_recent = segment.timestamp_value;
    connection.ts_recent_at = core.now();
    connection.snd_scale = segment.window_scale;
    connection.scaling = segment.has_window_scale;
    if (!segment.has_window_scale) {
        connection.rcv_scale = 0;
    }
    connection.snd_wnd = connection.snd_wnd_maximum = segment.window; // Never scaled in a SYN.
    connection.snd_wl1 = segment.sequence;
}

} // namespace

void start_connect(Core& core, const wire::Endpoint& local, const wire::Endpoint& remote,
                   const ConnectionOptions& options, Operation& operation, Connection*& result) noexcept
{
    const std::optional<Path> path = core.output.find_path(local.address, remote.address);
    if (!path) {
        operation.complete(error::network_unreachable);
        return;
    }
    const FreePort question{core, local.address, remote};
    const std::uint16_t port = local.port != 0 ? (question.is_free(local.port) ? local.port : std::uint16_t{0})
                                               : core.ports.choose(local.address, remote, question);
    if (port == 0) {
        core.counters.drop(DropReason::ports_exhausted);
        operation.complete(error::address_in_use);
        return;
    }
    Connection* made = create_connection(core, shared_options(core, options));
    if (made == nullptr) {
        operation.complete(error::no_buffer_space);
        return;
    }
    Connection& connection = *made;
    connection.local = local.address;
    connection.remote = remote.address;
    connection.local_port = port;
    connection.remote_port = remote.port;
    if (!core.table.insert(connection)) {
        operation.complete(error::no_buffer_space);
        terminate(connection, Failure::no_buffer_space);
        return;
    }
    connection.in_table = true;
    connection.active_open = true;
    connection.path = *path;
    connection.timestamps = core.options.timestamps;
    connection.timestamp_offset = timestamp_offset(core, connection);
    connection.iss = connection.snd_una = initial_sequence(core, connection);
    connection.snd_nxt = connection.iss + 1;
    connection.state = State::syn_sent;
    operation.attach(&connection, &cancel_connect);
    connection.connecting = &operation;
    connection.connect_result = &result;
    connection.timing = true;
    connection.sent_at = core.now();
    core.count(Counter::tcp_active_opens);
    send_syn(connection);
    restart_retransmission_timer(connection);
}

void established(Connection& connection) noexcept
{
    if (connection.timing) {
        connection.timing = false;
        note_handshake(connection, connection.core->now() - connection.sent_at);
    }
    connection.rto_at = never;
    connection.progress_at = connection.core->now();
    begin_established(connection);
    if (Operation* operation = std::exchange(connection.connecting, nullptr)) {
        connection.has_handle = true;
        *connection.connect_result = &connection;
        operation->complete({});
    }
}

void syn_sent_segment_arrives(Connection& connection, const Segment& segment) noexcept
{
    Core& core = *connection.core;
    const bool acknowledges = segment.has(wire::tcp_flag::ack);
    if (acknowledges && segment.acknowledgment != connection.snd_nxt) {
        core.counters.drop(DropReason::tcp_unacceptable);
        answer_with_reset(core, connection, segment);
        // RFC 9293 figure 9: the peer still had a connection of an earlier life of ours (or it in TIME_WAIT); our RST
        // has ended it. Asking again now instead of after the timeout, once, so that forged segments cannot make a
        // storm.
        if (connection.attempts == 0 && !segment.has(wire::tcp_flag::rst)) {
            ++connection.attempts;
            core.count(Counter::tcp_segments_retransmitted);
            send_syn(connection);
            restart_retransmission_timer(connection);
        }
        return;
    }
    if (segment.has(wire::tcp_flag::rst)) {
        if (acknowledges) { // Only who has seen our SYN can refuse it.
            core.count(Counter::tcp_attempt_fails);
            terminate(connection, Failure::refused);
        } else {
            core.counters.drop(DropReason::tcp_unacceptable);
        }
        return;
    }
    if (!segment.has(wire::tcp_flag::syn)) {
        core.counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    note_peer(connection, segment);
    connection.heard_at = core.now();
    if (!acknowledges) {
        connection.state = State::syn_received;
        connection.timing = false;
        connection.backoff = 0;
        send_syn(connection);
        restart_retransmission_timer(connection);
        return;
    }
    connection.snd_una = connection.snd_nxt;
    established(connection);
    send_ack(connection);
}

bool icmp_error_arrives(Core& core, const wire::IcmpError& icmp) noexcept
{
    const wire::QuotedPacket& quoted = icmp.quoted;
    TableEntry* entry =
        quoted.protocol == wire::protocol::tcp && quoted.sequence
            ? core.table.find(quoted.source, quoted.source_port, quoted.destination, quoted.destination_port)
            : nullptr;
    if (entry == nullptr || entry->kind != EntryKind::connection) {
        return false;
    }
    auto& connection = static_cast<Connection&>(*entry);
    // RFC 5927 §4.1: only about something that is in flight.
    if (*quoted.sequence < connection.snd_una || *quoted.sequence >= connection.snd_nxt) {
        core.count(Counter::tcp_icmp_out_of_window);
        return false;
    }
    if (icmp.kind == wire::IcmpErrorKind::too_big) {
        reduce_path_mtu(connection, icmp.mtu);
        return true;
    }
    // RFC 5927 §6.1: no ICMP message ends an established connection; the retransmission timer judges. An attempt is
    // given up, so that a proxy tries the next server at once.
    const bool attempt = connection.state == State::syn_sent;
    if (attempt && icmp.kind != wire::IcmpErrorKind::time_exceeded &&
        icmp.kind != wire::IcmpErrorKind::parameter_problem) {
        core.count(Counter::tcp_attempt_fails);
        const bool refused = icmp.kind == wire::IcmpErrorKind::port_unreachable ||
                             icmp.kind == wire::IcmpErrorKind::protocol_unreachable;
        const bool network = icmp.kind == wire::IcmpErrorKind::network_unreachable;
        terminate(connection, refused   ? Failure::refused
                              : network ? Failure::network_unreachable
                                        : Failure::host_unreachable);
    }
    return true;
}

} // namespace sluice::tcp
