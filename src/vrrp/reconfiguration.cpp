#include <vrrp/reconfiguration.hpp>

#include <sluice/vrrp/timers.hpp>
#include <vrrp/member.hpp>

#include <algorithm>

namespace sluice::vrrp {

void Reconfiguration::run() noexcept
{
    // Withdrawals first: an address may move from one instance to another in the same reload.
    for (Group& group : previous_) {
        for (Member& member : group.members_) {
            const Match successor = find(next_, member.parameters);
            if (successor.member == nullptr) {
                withdraw(group, member);
            } else {
                leave_addresses(member, *successor.member);
            }
        }
    }
    for (Group& group : next_) {
        merge(group);
    }
}

Reconfiguration::Match Reconfiguration::find(std::deque<Group>& groups, const Parameters& parameters) noexcept
{
    for (Group& group : groups) {
        for (Member& member : group.members_) {
            if (member.parameters.port == parameters.port && member.parameters.vrid == parameters.vrid &&
                member.parameters.ipv6() == parameters.ipv6()) {
                return {&group, &member};
            }
        }
    }
    return {};
}

void Reconfiguration::withdraw(Group& group, Member& member) noexcept
{
    if (group.state_ == State::active && !group.handing_over()) {
        send_advert(member, 0, output_);
    }
    set_addresses(member, Ownership::absent, output_);
    if (group.state_ != State::init) {
        report(member, group.state_, State::init);
    }
}

void Reconfiguration::leave_addresses(const Member& member, const Member& successor) noexcept
{
    const std::vector<wire::IpAddress>& kept = successor.parameters.addresses;
    for (const wire::IpAddress& address : member.parameters.addresses) {
        if (std::find(kept.begin(), kept.end(), address) == kept.end()) {
            output_.set_address(member.parameters.port, address, member.parameters.mac(), Ownership::absent);
        }
    }
}

void Reconfiguration::merge(Group& group) noexcept
{
    bool found = false;
    bool all_active = true;
    bool any_running = false;
    for (const Member& member : group.members_) {
        const Group* old = find(previous_, member.parameters).group;
        if (old == nullptr) {
            continue;
        }
        found = true;
        all_active = all_active && old->state_ == State::active;
        any_running = any_running || old->state_ != State::init;
        group.weight_ = old->weight_;
        group.standby_ = group.standby_ || old->standby_;
        group.handover_deadline_ = std::min(group.handover_deadline_, old->handover_deadline_);
    }
    if (found && all_active) {
        group.state_ = State::active;
    } else if (any_running) {
        group.state_ = State::backup;
    }
    if (group.state_ != State::active) {
        group.handover_deadline_ = never;
    }
    // A group in init is started, or not, by the judgement that follows every reload.
    group.obstacle_ = group.state_ == State::init ? Obstacle::not_ready : Obstacle::none;
    for (Member& member : group.members_) {
        const Match old = find(previous_, member.parameters);
        if (old.member != nullptr) {
            carry(group, member, old);
        } else {
            join(group, member);
        }
    }
    group.refresh_priorities(now_, output_);
}

void Reconfiguration::carry(Group& group, Member& member, const Match& old) noexcept
{
    const ChecksumKind configured = member.checksum;
    static_cast<MemberState&>(member) = *old.member;
    member.statistics.copy_from(old.member->statistics);
    if (member.parameters.checksum != ChecksumMode::automatic) {
        member.checksum = configured;
    }
    if (group.state_ == State::active) {
        member.advert_deadline = std::min(member.advert_deadline, now_ + member.parameters.advert_interval);
        set_addresses(member, Ownership::active, output_);
        if (member.parameters.addresses != old.member->parameters.addresses ||
            member.parameters.mac() != old.member->parameters.mac()) {
            start_announcing(member, now_);
        }
        return;
    }
    if (old.group->state_ == State::active && !old.group->handing_over()) {
        send_advert(*old.member, 0, output_);
    }
    set_addresses(member, Ownership::backup, output_);
    if (old.group->state_ != group.state_) {
        stop_announcing(member);
        member.advert_deadline = never;
        member.active_interval = member.parameters.advert_interval;
        group.restart_down_timer(member, now_);
        report(member, old.group->state_, group.state_);
    }
}

void Reconfiguration::join(Group& group, Member& member) noexcept
{
    set_addresses(member, group.state_ == State::active ? Ownership::active : Ownership::backup, output_);
    if (group.state_ == State::init) {
        return;
    }
    report(member, State::init, group.state_);
    if (group.state_ == State::backup) {
        group.restart_down_timer(member, now_);
        return;
    }
    if (!group.handing_over()) {
        group.advertise(member, now_, output_);
    }
    start_announcing(member, now_);
}

void Reconfiguration::report(const Member& member, State from, State to) noexcept
{
    output_.report(
        {Event::Kind::transition, now_, member.parameters.name, from, to, Reason::reconfigured, 0, member.peer});
}

} // namespace sluice::vrrp
