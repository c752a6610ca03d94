// The state of a forwarded TCP flow as an observer sees it: it decides how long a silent flow is remembered and whether
// a SYN may take its place. Never a reason to drop a segment. Any core.
#pragma once

#include <sluice/l4/service.hpp>

#include <cstdint>
#include <string_view>

namespace sluice::l4 {

enum class TcpState : std::uint8_t {
    none,            ///< Not TCP
    syn_sent,        ///< SYN from the client
    syn_received,    ///< SYN+ACK from the server
    established,     ///<
    fin_from_client, ///< One direction is closed
    fin_from_server, ///<
    closing,         ///< Both are
    reset_by_client, ///< RST seen; taken back when its alleged sender goes on (RFC 5961 in mind)
    reset_by_server, ///<
};

[[nodiscard]] std::string_view name(TcpState state) noexcept;

/// A segment with these flags passed.
[[nodiscard]] TcpState next_state(TcpState state, bool from_server, std::uint8_t flags) noexcept;

/// The same where only the client's segments pass: its acknowledgment shows that the server has answered.
[[nodiscard]] TcpState next_state_by_client(TcpState state, std::uint8_t flags) noexcept;

/// Nothing but retransmissions is to be expected: a SYN on this tuple is another connection.
[[nodiscard]] constexpr bool is_over(TcpState state) noexcept { return state >= TcpState::closing; }

/// The same where only the client's segments pass: a client that has closed opens nothing on a tuple that the server
/// still uses.
[[nodiscard]] constexpr bool is_over_by_client(TcpState state) noexcept
{
    return is_over(state) || state == TcpState::fin_from_client;
}

/// Does LVS count a flow in this state among the active ones? Others have nothing to carry yet, or not any more.
[[nodiscard]] constexpr bool is_active(TcpState state) noexcept
{
    return state == TcpState::none || state == TcpState::established;
}

/// How long a flow in this state is kept without a packet. `none` is UDP.
[[nodiscard]] Duration lifetime(TcpState state, const FlowTimeouts& timeouts) noexcept;

inline constexpr Duration opening_timeout = std::chrono::seconds{60}; ///< Outlives the SYN retries of common stacks
inline constexpr Duration reset_timeout = std::chrono::seconds{10};   ///< As LVS's CLOSE

} // namespace sluice::l4
