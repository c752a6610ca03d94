// The answers that only show: one function per verb, from facts to JSON. Keys are contract; they only gain.
#pragma once

#include <sluice/control/operations.hpp>
#include <sluice/control/pools.hpp>
#include <sluice/control/protocol.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

/// A core that has finished no turn for longer is stalled.
inline constexpr Duration stalled_after = std::chrono::seconds{1};

/// schema, node, time and, for answers, the exit code.
[[nodiscard]] boost::json::object envelope(const Operations& node, WallTime time);
[[nodiscard]] boost::json::object answer(const Operations& node, Exit exit = Exit::success);

[[nodiscard]] boost::json::object status_view(Operations& node);
[[nodiscard]] boost::json::object services_view(Operations& node);
[[nodiscard]] boost::json::object pools_view(Operations& node);
[[nodiscard]] boost::json::object servers_view(Operations& node);
[[nodiscard]] boost::json::object vrrp_view(Operations& node);
[[nodiscard]] boost::json::object ports_view(Operations& node);
[[nodiscard]] boost::json::object cores_view(Operations& node);
[[nodiscard]] boost::json::object drops_view(Operations& node);
[[nodiscard]] boost::json::object neighbours_view(Operations& node);
[[nodiscard]] boost::json::object certificates_view(Operations& node);
[[nodiscard]] boost::json::object version_view(Operations& node);
[[nodiscard]] boost::json::object connection_line(const Operations& node, const ConnectionView& connection);
/// One `steps` item for each decision, in their order.
[[nodiscard]] boost::json::object explanation_view(Operations& node, const flow::FiveTuple& tuple,
                                                   const FlowExplanation& explanation);
[[nodiscard]] boost::json::object event_line(const Operations& node, const RecordedEvent& event);
[[nodiscard]] boost::json::object reload_object(const ReloadReport& report);

// Words and small judgements that several views and the metrics share.

[[nodiscard]] std::string_view word(NodePhase phase) noexcept;
[[nodiscard]] std::string_view word(config::Balance balance) noexcept;
[[nodiscard]] std::string listen_text(const config::Listen& listen);
/// Which services use the pool.
[[nodiscard]] std::vector<std::string> users_of(const config::Model& model, std::string_view pool);

struct CertificateUse {
    std::string service;
    tls::CertificateInfo certificate;
};
[[nodiscard]] std::vector<CertificateUse> certificates_in_use(const Snapshot& snapshot);

/// What is not as it should be, in the order of its weight.
struct Degradation {
    std::string_view kind; ///< A word for programs
    std::string subject;
    std::string what; ///< A sentence
    std::string hint; ///< What an operator does about it; may be empty
    std::optional<WallTime> since;
};
[[nodiscard]] std::vector<Degradation> degradations(Operations& node);

} // namespace sluice::control
