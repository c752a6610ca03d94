// What a forwarder would do with the next packet of a flow, decision by decision: for `sluicectl explain-flow`. Made by
// Forwarder::explain() out of the functions that forward, and without leaving a trace. Plain values: any thread.
#pragma once

#include <sluice/flow/flow.hpp>
#include <sluice/flow/flow_table.hpp>
#include <sluice/l4/ids.hpp>
#include <sluice/l4/next_hops.hpp>
#include <sluice/l4/owner.hpp>
#include <sluice/l4/verdict.hpp>

#include <optional>
#include <string_view>

namespace sluice::l4 {

struct Explanation {
    Role role = Role::foreign; ///< What the destination is
    bool is_address = false;   ///< Of ours
    bool held = false;         ///< And this node answers for it now
    flow::Shard shard = 0;     ///< Whose owner decided
    std::optional<ServiceId> service;
    std::optional<flow::Flow> known; ///< A flow that is in the table
    bool known_is_over = false;      ///< But the packet would begin another one
    PoolId pool;                     ///< Meaningful when something was scheduled
    std::string_view scheduler;      ///< The same; static
    bool by_persistence = false;     ///< The client was sent to its server of before
    std::optional<flow::Flow> flow;  ///< The known one, or the one that would be opened
    std::optional<NextHop> next_hop; ///< Of the packet as it would leave
    Action action = Action::drop;    ///< The end of it
    telemetry::DropReason reason{};  ///< Of drop, reset and icmp_error
};

} // namespace sluice::l4
