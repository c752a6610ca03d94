// A segment for a connection that exists (RFC 9293 §3.10.7.3 and §3.10.7.4, in the order of the text), with the checks
// of RFC 5961 and RFC 7323.
#include "tcp/core.hpp"

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;

constexpr Duration challenge_interval = 500ms;
/// RFC 7323 §5.5: a timestamp that old says nothing.
constexpr Duration timestamp_lifetime = std::chrono::hours{24 * 24};

bool acceptable(const Connection& connection, const Segment& segment) noexcept
{
    const std::uint32_t window = connection.receive_window();
    const Sequence first = connection.rcv_nxt;
    if (segment.length() == 0) {
        // At the right edge too: so a peer that filled the window acknowledges, while something in it is missing here.
        return segment.sequence >= first && segment.sequence <= first + window;
    }
    if (window == 0) {
        return segment.sequence == first; // Its acknowledgment counts; its data is refused later.
    }
    return segment.sequence < first + window && segment.end() > first;
}

bool too_old(const Connection& connection, const Segment& segment) noexcept
{
    return connection.timestamps && segment.has_timestamps && !segment.has(wire::tcp_flag::rst) &&
           static_cast<std::int32_t>(segment.timestamp_value - connection.ts_recent) < 0 &&
           connection.core->now() - connection.ts_recent_at < timestamp_lifetime;
}

/// An acknowledgment that repeats what the peer should know, at most two per second: two ends that disagree must not
/// exchange them for ever.
void repeat_acknowledgment(Connection& connection) noexcept
{
    const TimePoint now = connection.core->now();
    if (now - connection.challenged_at < challenge_interval) {
        connection.core->count(Counter::tcp_challenge_acks_skipped);
        return;
    }
    connection.challenged_at = now;
    send_ack(connection);
}

void refuse(Connection& connection, const Segment& segment) noexcept
{
    connection.core->counters.drop(DropReason::tcp_unacceptable);
    if (segment.has(wire::tcp_flag::rst)) {
        return;
    }
    if (segment.payload.empty() && !segment.has(wire::tcp_flag::fin)) {
        repeat_acknowledgment(connection);
        return;
    }
    // Old data means that our acknowledgment was lost: that answer must never be withheld.
    if (connection.sack_allowed && segment.sequence < connection.rcv_nxt) {
        connection.duplicate = {segment.sequence, earlier(segment.end(), connection.rcv_nxt)};
    }
    send_ack(connection);
}

void reset_arrives(Connection& connection, const Segment& segment) noexcept
{
    if (segment.sequence != connection.rcv_nxt) {
        challenge(connection);
        return;
    }
    if (connection.state == State::syn_received) {
        connection.core->count(Counter::tcp_attempt_fails);
        terminate(connection, Failure::refused);
        return;
    }
    connection.core->count(Counter::tcp_established_resets);
    terminate(connection, Failure::reset);
}

} // namespace

void challenge(Connection& connection) noexcept
{
    Core& core = *connection.core;
    if (core.now() - connection.challenged_at < challenge_interval || !core.challenges.allow(core.now())) {
        core.count(Counter::tcp_challenge_acks_skipped);
        return;
    }
    connection.challenged_at = core.now();
    core.count(Counter::tcp_challenge_acks);
    send_ack(connection);
}

void segment_arrives(Connection& connection, const Segment& arrived) noexcept
{
    if (connection.state == State::syn_sent) {
        syn_sent_segment_arrives(connection, arrived);
        return;
    }
    Segment segment = arrived;
    if (connection.state == State::syn_received && segment.has(wire::tcp_flag::syn) &&
        segment.has(wire::tcp_flag::ack) && segment.end() == connection.rcv_nxt) {
        // Simultaneous open: the peer's SYN-ACK repeats the SYN that we have; what is new is its acknowledgment.
        segment.flags &= static_cast<std::uint8_t>(~wire::tcp_flag::syn);
        segment.sequence += 1;
    }
    if (too_old(connection, segment)) {
        connection.core->count(Counter::tcp_paws_rejected);
        refuse(connection, segment);
        return;
    }
    if (!acceptable(connection, segment)) {
        refuse(connection, segment);
        return;
    }
    if (segment.has(wire::tcp_flag::rst)) {
        reset_arrives(connection, segment);
        return;
    }
    if (segment.has(wire::tcp_flag::syn)) {
        connection.core->count(Counter::tcp_syn_challenges);
        challenge(connection);
        return;
    }
    if (!segment.has(wire::tcp_flag::ack)) {
        connection.core->counters.drop(DropReason::tcp_unacceptable);
        return;
    }
    process_acceptable(connection, segment);
}

void process_acceptable(Connection& connection, const Segment& segment) noexcept
{
    Core& core = *connection.core;
    connection.heard_at = core.now();
    connection.keepalive_sent = 0;
    if (connection.probing) {
        connection.attempts = 0; // A peer that answers with a closed window is alive.
    }
    if (connection.state == State::syn_received) {
        if (segment.acknowledgment <= connection.snd_una || segment.acknowledgment > connection.snd_nxt) {
            answer_with_reset(core, connection, segment);
            return;
        }
        connection.snd_una = connection.snd_nxt; // The SYN occupies no byte of the send buffer.
        connection.snd_wnd = std::uint32_t{segment.window} << connection.snd_scale;
        connection.snd_wl1 = segment.sequence;
        established(connection);
    }
    if (!process_acknowledgment(connection, segment)) {
        return;
    }
    if (connection.timestamps && segment.has_timestamps && segment.sequence <= connection.acknowledged &&
        static_cast<std::int32_t>(segment.timestamp_value - connection.ts_recent) >= 0) {
        connection.ts_recent = segment.timestamp_value;
        connection.ts_recent_at = core.now();
    }
    process_payload(connection, segment);
    if (connection.state != State::closed) {
        schedule(connection);
    }
}

} // namespace sluice::tcp
