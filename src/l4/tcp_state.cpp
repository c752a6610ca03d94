#include <sluice/l4/tcp_state.hpp>

#include <sluice/wire/headers.hpp>

#include <algorithm>

namespace sluice::l4 {

std::string_view name(TcpState state) noexcept
{
    switch (state) {
    case TcpState::none:
        return "none";
    case TcpState::syn_sent:
        return "syn_sent";
    case TcpState::syn_received:
        return "syn_received";
    case TcpState::established:
        return "established";
    case TcpState::fin_from_client:
        return "fin_from_client";
    case TcpState::fin_from_server:
        return "fin_from_server";
    case TcpState::closing:
        return "closing";
    case TcpState::reset_by_client:
        return "reset_by_client";
    case TcpState::reset_by_server:
        return "reset_by_server";
    }
    return "unknown";
}

namespace {

TcpState after_fin(TcpState state, bool from_server) noexcept
{
    switch (state) {
    case TcpState::fin_from_client:
        return from_server ? TcpState::closing : state;
    case TcpState::fin_from_server:
        return from_server ? state : TcpState::closing;
    case TcpState::syn_sent:
    case TcpState::syn_received:
    case TcpState::established:
        return from_server ? TcpState::fin_from_server : TcpState::fin_from_client;
    default:
        return state;
    }
}

} // namespace

TcpState next_state(TcpState state, bool from_server, std::uint8_t flags) noexcept
{
    namespace flag = wire::tcp_flag;
    if ((flags & flag::rst) != 0) {
        return from_server ? TcpState::reset_by_server : TcpState::reset_by_client;
    }
    // A forged RST costs a flow nothing but its long timeout until the next segment of the side it was forged for.
    if (state == (from_server ? TcpState::reset_by_server : TcpState::reset_by_client) && (flags & flag::syn) == 0) {
        state = TcpState::established;
    }
    if ((flags & flag::fin) != 0) {
        return after_fin(state, from_server);
    }
    if ((flags & flag::syn) != 0) {
        return state == TcpState::syn_sent && from_server && (flags & flag::ack) != 0 ? TcpState::syn_received : state;
    }
    return state == TcpState::syn_received && !from_server && (flags & flag::ack) != 0 ? TcpState::established : state;
}

TcpState next_state_by_client(TcpState state, std::uint8_t flags) noexcept
{
    namespace flag = wire::tcp_flag;
    const TcpState next = next_state(state, false, flags);
    const bool acknowledges = (flags & (flag::ack | flag::syn)) == flag::ack;
    return next == TcpState::syn_sent && acknowledges ? TcpState::established : next;
}

Duration lifetime(TcpState state, const FlowTimeouts& timeouts) noexcept
{
    switch (state) {
    case TcpState::none:
        return timeouts.udp;
    case TcpState::syn_sent:
    case TcpState::syn_received:
        return std::min(opening_timeout, timeouts.tcp);
    case TcpState::established:
        return timeouts.tcp;
    case TcpState::fin_from_client:
    case TcpState::fin_from_server:
    case TcpState::closing:
        return timeouts.tcp_fin;
    case TcpState::reset_by_client:
    case TcpState::reset_by_server:
        break;
    }
    return std::min(reset_timeout, timeouts.tcp_fin);
}

} // namespace sluice::l4
