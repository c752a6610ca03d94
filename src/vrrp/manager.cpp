#include <sluice/vrrp/manager.hpp>

#include <vrrp/reconfiguration.hpp>

#include <algorithm>
#include <cstdlib>

namespace sluice::vrrp {

using telemetry::DropReason;

Table::Table(std::vector<Parameters> instances, const std::vector<TrackedState>& tracked)
{
    // Instances of a group track the same things, and each thing counts once.
    for (const TrackedState& state : tracked) {
        if (std::none_of(tracked_.begin(), tracked_.end(),
                         [&](const TrackedState& known) { return known.object == state.object; })) {
            tracked_.push_back(state);
        }
    }
    while (!instances.empty()) {
        const std::string group = instances.front().group;
        std::vector<Parameters> members;
        members.push_back(std::move(instances.front()));
        instances.erase(instances.begin());
        // A name alone makes a group; instances without one stay by themselves.
        for (auto next = instances.begin(); !group.empty() && next != instances.end();) {
            if (next->group == group) {
                members.push_back(std::move(*next));
                next = instances.erase(next);
            } else {
                ++next;
            }
        }
        groups_.emplace_back(std::move(members));
    }
}

const Member* Table::find(std::string_view name) const noexcept
{
    for (const Group& group : groups_) {
        for (const Member& member : group.members()) {
            if (member.parameters.name == name) {
                return &member;
            }
        }
    }
    return nullptr;
}

Manager::Manager(Output& output, telemetry::CoreCounters& counters)
    : output_{output}, counters_{counters}, table_{std::make_shared<Table>(std::vector<Parameters>{},
                                                                           std::vector<TrackedState>{})}
{
}

std::shared_ptr<Table> Manager::replace(std::shared_ptr<Table> next, TimePoint now) noexcept
{
    for (TrackedState& state : next->tracked_) {
        for (const TrackedState& known : table_->tracked_) {
            if (known.object == state.object) {
                state.up = known.up;
            }
        }
    }
    Reconfiguration{table_->groups_, next->groups_, now, output_}.run();
    std::swap(table_, next);
    if (standby_) {
        for (Group& group : table_->groups_) {
            if (!group.standby()) {
                group.start_handover(never, now, output_);
            }
        }
    }
    judge(now);
    return next;
}

void Manager::set_ready(bool ready, TimePoint now) noexcept
{
    ready_ = ready;
    judge(now);
}

void Manager::set_fault(NodeFault fault, bool present, TimePoint now) noexcept
{
    const auto bit = static_cast<std::uint8_t>(1U << static_cast<unsigned>(fault));
    faults_ = static_cast<std::uint8_t>(present ? faults_ | bit : faults_ & ~bit);
    judge(now);
}

void Manager::set_tracked(TrackedObject object, bool up, TimePoint now) noexcept
{
    for (TrackedState& state : table_->tracked_) {
        if (state.object == object) {
            state.up = up;
        }
    }
    judge(now);
}

bool Manager::is_up(TrackedObject object) const noexcept
{
    const auto state = std::find_if(table_->tracked_.begin(), table_->tracked_.end(),
                                    [&](const TrackedState& each) { return each.object == object; });
    return state == table_->tracked_.end() || state->up;
}

Obstacle Manager::obstacle_of(const Group& group) const noexcept
{
    if (stopped_) {
        return Obstacle::stopped;
    }
    if (!ready_) {
        return Obstacle::not_ready;
    }
    if (faults_ != 0) {
        return Obstacle::fault;
    }
    for (const Member& member : group.members()) {
        if (!is_up({TrackedObject::Kind::port, member.parameters.port})) {
            return Obstacle::fault;
        }
        for (const Track& track : member.parameters.tracks) {
            if (!track.weight && !is_up(track.object)) {
                return Obstacle::fault;
            }
        }
    }
    return Obstacle::none;
}

int Manager::weight_of(const Group& group) const noexcept
{
    // An object that several members track counts once, with the weight that says most.
    int sum = 0;
    for (const TrackedState& state : table_->tracked_) {
        int strongest = 0;
        for (const Member& member : group.members()) {
            for (const Track& track : member.parameters.tracks) {
                const bool counts = track.object == state.object && track.weight && (*track.weight > 0) == state.up;
                if (counts && std::abs(*track.weight) > std::abs(strongest)) {
                    strongest = *track.weight;
                }
            }
        }
        sum += strongest;
    }
    return sum;
}

void Manager::judge(TimePoint now) noexcept
{
    for (Group& group : table_->groups_) {
        group.set_weight(weight_of(group), now, output_);
        group.set_obstacle(obstacle_of(group), now, output_);
    }
    judge_handover(now);
}

void Manager::observe(TimePoint now) noexcept
{
    if (last_turn_ != TimePoint{} && now > last_turn_) {
        for (Group& group : table_->groups_) {
            group.slept(now - last_turn_);
        }
    }
    last_turn_ = now;
}

bool Manager::input(const Received& received, TimePoint now) noexcept
{
    observe(now);
    const Expected<Advert, DropReason> advert = check(received);
    if (!advert) {
        counters_.drop(advert.error());
        return false;
    }
    for (Group& group : table_->groups_) {
        for (Member& member : group.members()) {
            const Parameters& parameters = member.parameters;
            if (parameters.port != received.port || parameters.vrid != advert->vrid ||
                parameters.ipv6() != advert->ipv6()) {
                continue;
            }
            if (advert->source == parameters.source) {
                counters_.drop(DropReason::source_address_invalid); // Our own, looped back or forged.
                return false;
            }
            group.hear(member, *advert, now, output_);
            judge_handover(now);
            return true;
        }
    }
    counters_.drop(DropReason::vrrp_vrid_unknown);
    return false;
}

void Manager::mail_read(TimePoint now) noexcept
{
    observe(now);
    for (Group& group : table_->groups_) {
        group.mail_read();
    }
}

void Manager::advance(TimePoint now) noexcept
{
    observe(now);
    for (Group& group : table_->groups_) {
        group.advance(now, output_);
    }
    judge_handover(now);
}

TimePoint Manager::next_deadline() const noexcept
{
    TimePoint deadline = never;
    for (const Group& group : table_->groups_) {
        deadline = std::min(deadline, group.next_deadline());
    }
    return deadline;
}

void Manager::handover(Duration timeout, TimePoint now) noexcept
{
    if (stopped_ || handover_ == HandoverState::pending) {
        return;
    }
    handover_ = HandoverState::pending;
    for (Group& group : table_->groups_) {
        group.start_handover(now + timeout, now, output_);
    }
    judge_handover(now);
}

void Manager::judge_handover(TimePoint now) noexcept
{
    if (handover_ != HandoverState::pending) {
        return;
    }
    std::deque<Group>& groups = table_->groups_;
    if (std::any_of(groups.begin(), groups.end(), [](const Group& group) { return group.handing_over(); })) {
        return;
    }
    const bool failed =
        std::any_of(groups.begin(), groups.end(), [](const Group& group) { return group.state() == State::active; });
    handover_ = failed ? HandoverState::failed : HandoverState::done;
    standby_ = !failed;
    for (Group& group : groups) {
        if (failed) {
            group.end_standby(now, output_);
        } else if (!group.standby()) {
            group.start_handover(now, now, output_); // It went to init meanwhile.
        }
    }
    output_.report(
        {failed ? Event::Kind::handover_failed : Event::Kind::handover_done, now, {}, {}, {}, Reason::handover, 0, {}});
}

void Manager::undo_handover(TimePoint now) noexcept
{
    handover_ = HandoverState::idle;
    standby_ = false;
    for (Group& group : table_->groups_) {
        group.end_standby(now, output_);
    }
}

void Manager::stop(TimePoint now) noexcept
{
    stopped_ = true;
    judge(now);
}

} // namespace sluice::vrrp
