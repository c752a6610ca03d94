#include "events.hpp"

#include <fmt/format.h>

namespace sluice::app {
namespace {

/// Formats into a text of its own; longer output is cut.
template <class... Arguments>
telemetry::EventText<119> formatted(fmt::format_string<Arguments...> format, Arguments&&... arguments) noexcept
{
    char buffer[119];
    const auto result = fmt::format_to_n(buffer, sizeof buffer, format, std::forward<Arguments>(arguments)...);
    return std::string_view{buffer, std::min<std::size_t>(result.size, sizeof buffer)};
}

} // namespace

void EventSender::send(const telemetry::Event& event) noexcept
{
    ring_.push(event);
    control_.wake();
}

void EventSender::send(const neigh::Event& event) noexcept
{
    telemetry::Event out;
    out.time = event.time;
    out.kind = telemetry::EventKind::port;
    out.subject = std::string_view{event.address.to_string()};
    out.to = neigh::name(event.kind);
    out.reason = formatted("port {}, MAC {}", event.port, event.mac.to_string());
    send(out);
}

void EventSender::send(const vrrp::Event& event) noexcept
{
    telemetry::Event out;
    out.time = event.time;
    out.kind = event.instance.empty() ? telemetry::EventKind::handover : telemetry::EventKind::vrrp;
    out.subject = event.instance.empty() ? std::string_view{"node"} : event.instance;
    if (event.kind == vrrp::Event::Kind::transition) {
        out.from = vrrp::name(event.from);
        out.to = vrrp::name(event.to);
        out.reason = event.peer.is_unspecified() ? formatted("{}", vrrp::name(event.reason))
                                                 : formatted("{}, peer {}, own priority {}", vrrp::name(event.reason),
                                                             event.peer.to_string(), event.priority);
    } else {
        out.to = vrrp::name(event.kind);
        out.reason = event.peer.is_unspecified()
                         ? formatted("priority {}", event.priority)
                         : formatted("peer {} priority {}", event.peer.to_string(), event.priority);
    }
    send(out);
}

} // namespace sluice::app
