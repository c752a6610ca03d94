// Which connections `sluicectl connections` shows. Read and resolved on the control thread, then a plain value that a
// core asks about each of its flows and connections: what is not wanted never leaves the core.
#pragma once

#include <sluice/config/model.hpp>
#include <sluice/control/protocol.hpp>
#include <sluice/flow/flow_table.hpp>
#include <sluice/tcp/connection_info.hpp>

#include <optional>
#include <vector>

namespace sluice::control {

struct ConnectionFilter {
    /// Addresses, and a port or all of them.
    struct End {
        wire::Prefix addresses;
        std::optional<std::uint16_t> port;

        [[nodiscard]] bool matches(const wire::IpAddress& address, std::uint16_t at) const noexcept
        {
            return (!port || *port == at) && addresses.contains(address);
        }
    };

    std::optional<End> client; ///< Who opened a flow, or a connection to the proxy
    std::optional<End> server; ///< Where a flow goes, or whom the proxy connected to
    std::optional<End> either; ///< Any end of it
    std::optional<std::vector<config::Listen>> service;
    std::optional<std::uint32_t> tcp_states; ///< A bit for each tcp::State
    std::optional<std::uint32_t> flow_states;
    std::optional<std::size_t> worker; ///< Core; no flows then
    bool detail = false;

    /// From the arguments client, server, service, state, worker, endpoint and detail. Throws std::invalid_argument
    /// with a sentence.
    [[nodiscard]] static ConnectionFilter read(const Request& request, const config::Model& model);

    [[nodiscard]] bool takes(const flow::Flow& flow) const noexcept;
    [[nodiscard]] bool takes(const tcp::ConnectionEnds& connection) const noexcept;
};

} // namespace sluice::control
