// A connection as one object of JSON; with everything that TCP knows of it when that was asked for.
#include "json.hpp"
#include "views.hpp"

#include <sluice/wire/headers.hpp>

#include <algorithm>

namespace sluice::control {
namespace {

namespace json = boost::json;

/// Seconds with every digit: a round trip in a data centre is some ten microseconds.
double precise(Duration duration) noexcept { return static_cast<double>(duration.count()) / 1e9; }

std::string_view protocol_name(std::uint8_t protocol) noexcept
{
    return protocol == wire::protocol::udp ? "udp" : "tcp";
}

void add_round_trip(json::object& object, const tcp::ConnectionDetail& detail)
{
    object["rtt_variation_seconds"] = precise(detail.rtt_variation);
    object["minimum_rtt_seconds"] =
        detail.minimum_rtt == Duration::zero() ? json::value{} : json::value(precise(detail.minimum_rtt));
    object["backoff_doublings"] = detail.backoff;
    object["unanswered_attempts"] = detail.attempts;
    object["unanswered_keepalives"] = detail.keepalives_waiting;
}

void add_windows(json::object& object, const tcp::ConnectionDetail& detail)
{
    object["send_window_maximum_bytes"] = detail.send_window_maximum;
    object["send_window_scale_bits"] = detail.send_scale;
    object["receive_window_scale_bits"] = detail.receive_scale;
    object["receive_limit_bytes"] = detail.receive_limit;
    object["out_of_order_ranges"] = detail.out_of_order_ranges;
    object["peer_segment_size_bytes"] = detail.peer_segment_size;
    object["largest_segment_received_bytes"] = detail.largest_segment_seen;
    object["path_mtu_bytes"] = detail.path_mtu;
    object["sack"] = detail.sack;
    object["timestamps"] = detail.timestamps;
    object["window_scaling"] = detail.window_scaling;
    object["reader_waits"] = detail.reader_waits;
    object["writer_waits"] = detail.writer_waits;
    object["fin_sent"] = detail.fin_sent;
    object["fin_received"] = detail.fin_received;
}

void add_recovery(json::object& object, const tcp::ConnectionDetail& detail)
{
    object["recovery"] = tcp::to_string(detail.recovery);
    object["recovery_left_bytes"] = detail.recovery_left;
    object["pipe_bytes"] = detail.in_pipe;
    object["in_flight_segments"] = detail.segments_in_flight;
    object["sacked_bytes"] = detail.sacked;
    object["sacked_segments"] = detail.sacked_segments;
    object["lost_bytes"] = detail.lost;
    object["duplicate_acks"] = detail.duplicate_acks;
    object["prr_delivered_bytes"] = detail.prr_delivered;
    object["prr_out_bytes"] = detail.prr_out;
    object["prr_recover_flight_bytes"] = detail.prr_recover_flight;
    object["undo_possible"] = detail.undo_possible;
    object["reordering_seen"] = detail.reordering_seen;
    object["reordering_window_seconds"] = precise(detail.reordering_window);
    object["tail_loss_probe_out"] = detail.tail_probe_out;
    object["last_retransmission_reason"] = tcp::to_string(detail.last_retransmission);
    object["since_retransmission_seconds"] =
        detail.since_retransmission ? json::value(seconds(*detail.since_retransmission)) : json::value{};
}

void add_congestion(json::object& object, const tcp::ConnectionDetail& detail)
{
    const bool cubic = detail.congestion_control == tcp::CongestionControl::cubic;
    object["congestion_control"] = cubic ? "cubic" : "newreno";
    object["slow_start"] = detail.slow_start;
    if (cubic) {
        object["cubic_maximum_bytes"] = detail.cubic_maximum;
        object["cubic_k_seconds"] = precise(detail.cubic_k);
        object["cubic_epoch_seconds"] = precise(detail.cubic_epoch);
        object["cubic_estimate_segments"] = detail.cubic_estimate;
    }
}

/// Timers that are armed, by their names, with the time until they fire.
void add_times(json::object& object, const tcp::ConnectionDetail& detail)
{
    json::object timers;
    const auto add = [&](std::string_view name, const std::optional<Duration>& left) {
        if (left) {
            timers[name] = precise(std::max(*left, Duration::zero()));
        }
    };
    add("retransmission_seconds", detail.timers.retransmission);
    add("window_probe_seconds", detail.timers.window_probe);
    add("reordering_seconds", detail.timers.reordering);
    add("tail_loss_probe_seconds", detail.timers.tail_loss_probe);
    add("delayed_ack_seconds", detail.timers.delayed_ack);
    add("keepalive_seconds", detail.timers.keepalive);
    add("linger_seconds", detail.timers.linger);
    object["timers"] = std::move(timers);
    object["idle_seconds"] = seconds(std::min(detail.since_received, detail.since_sent));
    object["since_received_seconds"] = seconds(detail.since_received);
    object["since_sent_seconds"] = seconds(detail.since_sent);
    object["since_progress_seconds"] = seconds(detail.since_progress);
}

} // namespace

json::object connection_line(const Operations& node, const ConnectionView& connection)
{
    json::object object = envelope(node, std::chrono::system_clock::now());
    object["core"] = connection.core;
    object["layer"] = connection.layer4 ? 4 : 7;
    object["protocol"] = protocol_name(connection.protocol);
    object["state"] = connection.state;
    if (connection.layer4) {
        object["client"] = connection.client.to_string();
        object["service"] = connection.service.to_string();
        object["server"] = connection.server.to_string();
        object["local"] = connection.local.to_string();
        object["method"] = connection.method;
        object["remaining_seconds"] = seconds(connection.remaining);
        return object;
    }
    const tcp::ConnectionInfo& tcp = connection.tcp;
    object["local"] = tcp.local.to_string();
    object["remote"] = tcp.remote.to_string();
    object["side"] = tcp.active_open ? "server" : "client";
    object["age_seconds"] = seconds(tcp.age);
    object["smoothed_rtt_seconds"] = precise(tcp.smoothed_rtt);
    object["retransmission_timeout_seconds"] = seconds(tcp.retransmission_timeout);
    object["congestion_window_bytes"] = tcp.congestion_window;
    object["in_flight_bytes"] = tcp.in_flight;
    object["send_queue_bytes"] = tcp.send_queue;
    object["receive_queue_bytes"] = tcp.receive_queue;
    object["send_window_bytes"] = tcp.send_window;
    object["receive_window_bytes"] = tcp.receive_window;
    object["segment_size_bytes"] = tcp.segment_size;
    object["retransmissions_total"] = tcp.retransmissions;
    object["bytes_sent_total"] = tcp.bytes_sent;
    object["bytes_received_total"] = tcp.bytes_received;
    if (tcp.detail) {
        object["slow_start_threshold_bytes"] = tcp.slow_start_threshold;
        object["out_of_order_bytes"] = tcp.out_of_order;
        add_round_trip(object, *tcp.detail);
        add_windows(object, *tcp.detail);
        add_recovery(object, *tcp.detail);
        add_congestion(object, *tcp.detail);
        add_times(object, *tcp.detail);
    }
    return object;
}

} // namespace sluice::control
