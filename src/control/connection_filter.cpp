#include <sluice/control/connection_filter.hpp>

#include <sluice/l4/tcp_state.hpp>
#include <sluice/wire/headers.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace sluice::control {
namespace {

constexpr std::uint32_t flow_state_count = static_cast<std::uint32_t>(l4::TcpState::reset_by_server) + 1;

std::optional<std::uint16_t> port_in(std::string_view text)
{
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port != 0 ? std::optional{port} : std::nullopt;
}

wire::Prefix only(const wire::IpAddress& address) noexcept
{
    return {address, static_cast<std::uint8_t>(address.is_v4() ? 32 : 128)};
}

/// ADDR, ADDR:PORT, PREFIX or PREFIX:PORT; IPv6 with a port in brackets.
std::optional<ConnectionFilter::End> parse_end(const std::string& text)
{
    if (const auto address = wire::IpAddress::parse(text)) {
        return ConnectionFilter::End{only(*address), {}};
    }
    if (const auto endpoint = wire::Endpoint::parse(text); endpoint && endpoint->port != 0) {
        return ConnectionFilter::End{only(endpoint->address), endpoint->port};
    }
    if (const auto prefix = wire::Prefix::parse(text)) {
        return ConnectionFilter::End{*prefix, {}};
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) {
        return {};
    }
    std::string_view network = std::string_view{text}.substr(0, colon);
    if (network.size() > 2 && network.front() == '[' && network.back() == ']') {
        network = network.substr(1, network.size() - 2);
    }
    const auto prefix = wire::Prefix::parse(network);
    const auto port = port_in(std::string_view{text}.substr(colon + 1));
    return prefix && port ? std::optional{ConnectionFilter::End{*prefix, port}} : std::nullopt;
}

std::optional<ConnectionFilter::End> read_end(const Request& request, std::string_view key)
{
    const auto text = request.text(key);
    if (!text) {
        return {};
    }
    const auto end = parse_end(*text);
    if (!end) {
        throw std::invalid_argument{
            fmt::format("`{}` is no address: 192.0.2.1, 192.0.2.0/24, 192.0.2.1:80, [2001:db8::1]:80", *text)};
    }
    return end;
}

std::string lower(std::string_view text)
{
    std::string result{text};
    std::transform(result.begin(), result.end(), result.begin(), [](char letter) {
        return letter == '-' ? '_' : letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    return result;
}

void read_state(const std::string& wanted, ConnectionFilter& filter)
{
    std::string known;
    const auto add = [&](std::string_view name) {
        const std::string word = lower(name);
        known += known.find(word) == std::string::npos ? (known.empty() ? "" : ", ") + word : std::string{};
        return word == lower(wanted);
    };
    std::uint32_t tcp_states = 0;
    for (std::uint32_t state = 0; state < tcp::state_count; ++state) {
        tcp_states |= add(tcp::to_string(static_cast<tcp::State>(state))) ? 1U << state : 0U;
    }
    std::uint32_t flow_states = 0;
    for (std::uint32_t state = 0; state < flow_state_count; ++state) {
        flow_states |= add(l4::name(static_cast<l4::TcpState>(state))) ? 1U << state : 0U;
    }
    if (tcp_states == 0 && flow_states == 0) {
        throw std::invalid_argument{fmt::format("`{}` is no state: {}", wanted, known)};
    }
    filter.tcp_states = tcp_states;
    filter.flow_states = flow_states;
}

std::vector<config::Listen> listens_of(const config::Model& model, const std::string& name)
{
    std::vector<config::Listen> listens;
    for (const config::Service& service : model.services) {
        if (*service.name == name) {
            for (const auto& one : service.listen) {
                listens.push_back(*one);
            }
            return listens;
        }
    }
    throw std::invalid_argument{fmt::format("there is no service `{}`; `sluicectl services` lists them", name)};
}

bool listens(const std::vector<config::Listen>& at, config::Transport transport, const wire::IpAddress& address,
             std::uint16_t port) noexcept
{
    return std::any_of(at.begin(), at.end(), [&](const config::Listen& one) {
        return one.transport == transport && port >= one.first_port && port <= one.last_port && one.address == address;
    });
}

bool is_one(const std::optional<ConnectionFilter::End>& end) noexcept
{
    return end && end->port && end->addresses.length == (end->addresses.address.is_v4() ? 32 : 128);
}

} // namespace

ConnectionFilter ConnectionFilter::read(const Request& request, const config::Model& model)
{
    ConnectionFilter filter;
    filter.client = read_end(request, "client");
    filter.server = read_end(request, "server");
    filter.either = read_end(request, "endpoint");
    if (const auto name = request.text("service")) {
        filter.service = listens_of(model, *name);
    }
    if (const auto state = request.text("state")) {
        read_state(*state, filter);
    }
    if (const auto worker = request.number("worker")) {
        filter.worker = static_cast<std::size_t>(*worker);
    }
    filter.detail = request.flag("detail") || is_one(filter.client) || is_one(filter.either);
    return filter;
}

bool ConnectionFilter::takes(const flow::Flow& flow) const noexcept
{
    if (worker || (flow_states && (*flow_states >> flow.state & 1U) == 0)) {
        return false;
    }
    if (client && !client->matches(flow.client, flow.client_port)) {
        return false;
    }
    if (server && !server->matches(flow.server, flow.server_port)) {
        return false;
    }
    if (either && !either->matches(flow.client, flow.client_port) &&
        !either->matches(flow.service, flow.service_port) && !either->matches(flow.server, flow.server_port) &&
        !either->matches(flow.local, flow.local_port)) {
        return false;
    }
    const auto transport = flow.protocol == wire::protocol::udp ? config::Transport::udp : config::Transport::tcp;
    return !service || listens(*service, transport, flow.service, flow.service_port);
}

bool ConnectionFilter::takes(const tcp::ConnectionEnds& connection) const noexcept
{
    if (tcp_states && (*tcp_states >> static_cast<unsigned>(connection.state) & 1U) == 0) {
        return false;
    }
    // What the proxy opened has a server at its other end, what it accepted a client.
    const wire::Endpoint& remote = connection.remote;
    const wire::Endpoint& local = connection.local;
    if (client && (connection.active_open || !client->matches(remote.address, remote.port))) {
        return false;
    }
    if (server && (!connection.active_open || !server->matches(remote.address, remote.port))) {
        return false;
    }
    if (either && !either->matches(remote.address, remote.port) && !either->matches(local.address, local.port)) {
        return false;
    }
    return !service ||
           (!connection.active_open && listens(*service, config::Transport::tcp, local.address, local.port));
}

} // namespace sluice::control
