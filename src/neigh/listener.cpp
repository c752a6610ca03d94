#include <neigh/listener.hpp>

#include <neigh/cache.hpp>

#include <algorithm>

namespace sluice::neigh {
namespace {

constexpr std::uint8_t robustness = 2; ///< RFC 9777 §9.1
constexpr Duration unsolicited_report_interval = std::chrono::seconds{1};

std::span<const wire::IpAddress> groups_of(const Table* table, std::uint8_t port) noexcept
{
    for (std::size_t index = 0; table != nullptr && index < table->interfaces.size(); ++index) {
        if (table->interfaces[index].port == port) {
            return table->groups[index];
        }
    }
    return {};
}

bool contains(std::span<const wire::IpAddress> groups, const wire::IpAddress& group) noexcept
{
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}

} // namespace

void Listener::change(const Table* previous, const Table& next, TimePoint now) noexcept
{
    for (std::uint8_t port = 0; port < reports_.size(); ++port) {
        if (next.interface(port) == nullptr) {
            reports_[port] = {};
        }
    }
    for (const Interface& interface : next.interfaces) {
        const std::span<const wire::IpAddress> before = groups_of(previous, interface.port);
        const std::span<const wire::IpAddress> after = groups_of(&next, interface.port);
        for (const wire::IpAddress& group : before) {
            if (!contains(after, group)) {
                frames_.report_groups(interface, link_local_source(interface), wire::MldRecord::change_to_include,
                                      {&group, 1});
            }
        }
        const bool joins =
            std::any_of(after.begin(), after.end(), [&](const auto& group) { return !contains(before, group); });
        if (joins) {
            link_up(interface.port, now);
        }
    }
    arm();
}

void Listener::link_up(std::uint8_t port, TimePoint now) noexcept
{
    reports_[port].join = now;
    reports_[port].joins_left = robustness;
    arm();
}

void Listener::query(std::uint8_t port, Duration maximum_delay, TimePoint now) noexcept
{
    // Half of what is allowed: other listeners answer at random, so a fixed share serves as well, and tests can tell.
    reports_[port].answer = std::min(reports_[port].answer, now + maximum_delay / 2);
    arm();
}

void Listener::advance(const Table& table, TimePoint now) noexcept
{
    for (std::size_t index = 0; index < table.interfaces.size(); ++index) {
        const Interface& interface = table.interfaces[index];
        Reports& due = reports_[interface.port];
        if (due.join <= now) {
            due.joins_left--;
            due.join = due.joins_left == 0 ? never : now + unsolicited_report_interval;
            frames_.report_groups(interface, link_local_source(interface), wire::MldRecord::change_to_exclude,
                                  table.groups[index]);
        }
        if (due.answer <= now) {
            due.answer = never;
            frames_.report_groups(interface, link_local_source(interface), wire::MldRecord::mode_is_exclude,
                                  table.groups[index]);
        }
    }
    arm();
}

void Listener::arm() noexcept
{
    next_ = never;
    for (const Reports& each : reports_) {
        next_ = std::min({next_, each.join, each.answer});
    }
}

} // namespace sluice::neigh
