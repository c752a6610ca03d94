// The walk over all connections: a slice of one core at a time, filtered on the core.
#include "ask.hpp"
#include "operations.hpp"
#include "supervisor.hpp"

namespace sluice::app {
namespace {

/// Records of one slice: some ten microseconds of the core.
constexpr std::uint32_t flow_slice = 2048;
constexpr std::size_t connection_slice = 256;
/// A core that has not answered so often in a row is left out.
constexpr unsigned patience_in_questions = 20;

using Filter = std::shared_ptr<const control::ConnectionFilter>;

struct FlowSlice {
    std::vector<flow::Flow> flows;
    std::uint32_t next = 0;
    TimePoint now{};
};

struct ConnectionSlice {
    std::vector<tcp::ConnectionInfo> connections;
    std::size_t next = 0;
};

control::ConnectionView view_of(const flow::Flow& flow, std::size_t core, TimePoint now)
{
    control::ConnectionView view;
    view.core = core;
    view.layer4 = true;
    view.protocol = flow.protocol;
    view.client = {flow.client, flow.client_port};
    view.service = {flow.service, flow.service_port};
    view.server = {flow.server, flow.server_port};
    view.local = {flow.local, flow.local_port};
    view.state = l4::name(static_cast<l4::TcpState>(flow.state));
    view.method = l4::name(static_cast<l4::Method>(flow.method));
    view.remaining = flow::FlowTable::remaining(flow, now);
    return view;
}

control::ConnectionView view_of(const tcp::ConnectionInfo& connection, std::size_t core)
{
    control::ConnectionView view;
    view.core = core;
    view.protocol = wire::protocol::tcp;
    view.client = connection.remote;
    view.service = connection.local;
    view.state = tcp::to_string(connection.state);
    view.tcp = connection;
    return view;
}

/// Where to go on in the core's table, 0 at its end; nothing when the core did not answer in time.
std::optional<std::uint64_t> flows_of(Node& node, std::size_t core, const Filter& filter, std::uint64_t position,
                                      std::vector<control::ConnectionView>& out)
{
    // Made here, so that the core allocates nothing.
    auto slice = std::make_shared<FlowSlice>();
    slice->flows.reserve(flow_slice);
    const auto from = static_cast<std::uint32_t>(position);
    const bool answered = node.call(
        core,
        [slice, filter, from](Core& on) {
            slice->now = on.context().now;
            slice->next =
                on.forwarder()->layer4().flows().visit(from, flow_slice, slice->now, [&](const flow::Flow& flow) {
                    if (filter->takes(flow)) {
                        slice->flows.push_back(flow);
                    }
                });
        },
        ask_patience);
    if (!answered) {
        return {};
    }
    for (const flow::Flow& flow : slice->flows) {
        out.push_back(view_of(flow, core, slice->now));
    }
    return slice->next;
}

std::optional<std::uint64_t> connections_of(Node& node, std::size_t core, const Filter& filter, std::uint64_t position,
                                            std::vector<control::ConnectionView>& out)
{
    auto slice = std::make_shared<ConnectionSlice>();
    slice->connections.reserve(connection_slice);
    const bool answered = node.call(
        core,
        [slice, filter, position](Core& on) {
            tcp::Stack::Slice bounds;
            bounds.limit = connection_slice;
            bounds.detail = filter->detail;
            bounds.wanted = [&](const tcp::ConnectionEnds& ends) { return filter->takes(ends); };
            slice->next = on.worker()->stack().visit(position, bounds, [&](const tcp::ConnectionInfo& connection) {
                slice->connections.push_back(connection);
            });
        },
        ask_patience);
    if (!answered) {
        return {};
    }
    for (const tcp::ConnectionInfo& connection : slice->connections) {
        out.push_back(view_of(connection, core));
    }
    return slice->next;
}

} // namespace

void NodeOperations::connections(const Filter& filter, control::ConnectionCursor& cursor,
                                 std::vector<control::ConnectionView>& out)
{
    Node& node = *supervisor_.node_;
    const Layout& layout = node.shared().layout;
    const std::vector<std::size_t>& cores = cursor.workers ? layout.worker_core : layout.forwarder_core;
    if (cursor.core >= cores.size()) {
        cursor.end = cursor.workers;
        cursor.workers = true;
        cursor.core = 0;
        return;
    }
    const std::size_t core = cores[cursor.core];
    std::optional<std::uint64_t> next = 0; // Of a core that is not asked for
    if (cursor.workers ? filter->worker.value_or(core) == core : !filter->worker) {
        next = (cursor.workers ? connections_of : flows_of)(node, core, filter, cursor.position, out);
    }
    if (!next && ++cursor.silent < patience_in_questions) {
        return;
    }
    cursor.left_out += next ? 0 : 1;
    cursor.silent = 0;
    cursor.position = next.value_or(0);
    cursor.core += cursor.position == 0 ? 1 : 0;
}

std::optional<control::FlowExplanation> NodeOperations::explain(const flow::FiveTuple& tuple)
{
    Node& node = *supervisor_.node_;
    const Layout& layout = node.shared().layout;
    std::size_t core = layout.forwarder_core.front();
    // Any forwarder knows who owns the flow; the owner knows the rest.
    for (int question = 0; question < 2; ++question) {
        const auto decisions = ask(node, core, [tuple](Core& on) {
            const CoreContext& context = on.context();
            l4::Forwarder& forwarder = on.forwarder()->layer4();
            forwarder.begin_turn(*context.snapshot->services, context.now);
            return forwarder.explain(tuple, context.now);
        });
        if (!decisions) {
            return {};
        }
        const l4::Owner::Kind owner = l4::kind_of_owner(decisions->role);
        const bool is_worker = owner == l4::Owner::Kind::worker;
        const std::size_t owns = is_worker ? layout.worker_core[layout.workers.owner(decisions->shard)]
                                           : layout.forwarder_core[layout.forwarders.owner(decisions->shard)];
        if (owner != l4::Owner::Kind::forwarder || owns == core) {
            return control::FlowExplanation{*decisions, is_worker ? owns : core};
        }
        core = owns;
    }
    return {};
}

} // namespace sluice::app
