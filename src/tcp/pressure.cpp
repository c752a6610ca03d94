// When buffers run short. From three quarters on windows and shares shrink (buffers.hpp); from seven eighths on, those
// that hold some and have not moved for a while are reset; beyond fifteen sixteenths nobody new is let in (half_open).
#include "tcp/core.hpp"

#include <algorithm>

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;

/// A peer may take nothing for so long, or our reader leave what has arrived.
constexpr Duration longest_standstill = 2s;
constexpr Duration short_standstill = 100ms; ///< When hardly anything is left; two round trips, where that is longer.
constexpr Duration look_interval = 1ms;
constexpr unsigned connections_a_look = 256; ///< So a million are looked at within four seconds.

bool takes_nothing(const Connection& connection, bool hardly_any_left) noexcept
{
    const Duration two_round_trips = 2 * std::chrono::microseconds{connection.rtt.smoothed_us};
    const Duration longest =
        hardly_any_left ? std::clamp(two_round_trips, short_standstill, longest_standstill) : longest_standstill;
    return connection.unacknowledged != 0 && connection.core->now() - connection.progress_at > longest;
}

/// Bytes lie there that nobody has read since the mark was set.
bool left_lying(Connection& connection, bool judge_readers) noexcept
{
    if (!judge_readers || connection.receive.capacity() == 0) {
        return false;
    }
    const bool marked = connection.not_read;
    connection.not_read = true;
    return marked;
}

} // namespace

void relieve_buffers(Core& core) noexcept
{
    BufferRelief& relief = core.relief;
    if (core.now() - relief.looked_at < look_interval) {
        return;
    }
    relief.looked_at = core.now();
    if (relief.hand == nullptr) {
        relief.hand = core.all;
        relief.judge_readers = core.now() - relief.judged_at >= longest_standstill;
        if (relief.judge_readers) {
            relief.judged_at = core.now();
        }
    }
    const bool hardly_any_left = core.buffers.nearly_full();
    for (unsigned count = 0; count < connections_a_look && relief.hand != nullptr && core.buffers.scarce(); ++count) {
        Connection& connection = *relief.hand;
        relief.hand = connection.all_next;
        const bool unread = left_lying(connection, relief.judge_readers);
        if (connection.state != State::closed && (unread || takes_nothing(connection, hardly_any_left))) {
            core.count(Counter::tcp_aborts_on_memory);
            abort_connection(connection, Failure::no_buffer_space);
        }
    }
}

} // namespace sluice::tcp
