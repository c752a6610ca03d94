#include <sluice/control/compile.hpp>

#include <fmt/format.h>

namespace sluice::control {
namespace {

void refuse(Diagnostics& diagnostics, const SourceLocation& where, std::string_view what)
{
    diagnostics.push_back({Severity::error,
                           where,
                           fmt::format("{} cannot change while the node runs", what),
                           "put it back, or restart sluice (a restart hands over to the peer first)",
                           {}});
}

} // namespace

Diagnostics needs_restart(const config::Model& running, const config::Model& wanted)
{
    Diagnostics diagnostics;
    if (running.node != wanted.node) {
        refuse(diagnostics, wanted.where, "`node`");
    }
    if (!(running.cpu == wanted.cpu)) {
        refuse(diagnostics, wanted.cpu.where, "`cpu`");
    }
    if (!(running.memory == wanted.memory)) {
        refuse(diagnostics, wanted.memory.where, "`memory`");
    }
    if (!(running.control == wanted.control)) {
        refuse(diagnostics, wanted.control.where, "`control`");
    }
    for (const config::Port& port : wanted.ports) {
        const config::Port* known = config::find_port(running, *port.name);
        if (known == nullptr) {
            refuse(diagnostics, port.where, fmt::format("the list of ports (`{}` is new)", *port.name));
        } else if (!(known->device == port.device)) {
            refuse(diagnostics, port.device.where, fmt::format("`device` of port `{}`", *port.name));
        } else if (!(known->mtu == port.mtu)) {
            refuse(diagnostics, port.mtu.where, fmt::format("`mtu` of port `{}`", *port.name));
        }
    }
    for (const config::Port& port : running.ports) {
        if (config::find_port(wanted, *port.name) == nullptr) {
            refuse(diagnostics, wanted.where, fmt::format("the list of ports (`{}` is gone)", *port.name));
        }
    }
    for (std::size_t index = 0; diagnostics.empty() && index < running.ports.size(); ++index) {
        if (*running.ports[index].name != *wanted.ports[index].name) {
            refuse(diagnostics, wanted.ports[index].where, "the order of ports");
        }
    }
    return diagnostics;
}

} // namespace sluice::control
