// The admin page: /metrics, /livez and /readyz over HTTP on a socket of the kernel, read only. Connections, requests
// and their time are bounded. Control thread.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/control/operations.hpp>

#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>

namespace sluice::control {

/// Loopback may always look, others need a place in `allow`.
[[nodiscard]] bool may_look(const wire::IpAddress& client, const config::Admin& admin);

class AdminPage {
public:
    AdminPage(boost::asio::io_context& io, Operations& node);
    ~AdminPage();
    AdminPage(const AdminPage&) = delete;
    AdminPage& operator=(const AdminPage&) = delete;

    /// Listens as configured, or not at all. When that is impossible everything stays as it was.
    [[nodiscard]] std::optional<MachineError> apply(const std::optional<config::Admin>& admin);

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace sluice::control
