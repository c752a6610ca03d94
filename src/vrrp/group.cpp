#include <sluice/vrrp/group.hpp>

#include <sluice/vrrp/timers.hpp>
#include <vrrp/member.hpp>

#include <algorithm>

namespace sluice::vrrp {
namespace {

constexpr std::uint8_t owner_priority = 255;
constexpr std::uint8_t standby_priority = 1;
constexpr Duration report_spacing = std::chrono::seconds{10};
constexpr Duration answer_spacing = std::chrono::milliseconds{5};

Reason reason_of(Obstacle obstacle) noexcept
{
    switch (obstacle) {
    case Obstacle::not_ready:
        return Reason::not_ready;
    case Obstacle::stopped:
        return Reason::stopped;
    case Obstacle::fault:
    case Obstacle::none:
        break;
    }
    return Reason::fault;
}

} // namespace

Group::Group(std::vector<Parameters> parameters)
{
    for (Parameters& each : parameters) {
        members_.emplace_back(std::move(each));
    }
}

std::uint8_t Group::effective_priority(const Member& member) const noexcept
{
    if (standby_) {
        return standby_priority;
    }
    if (member.parameters.priority == owner_priority) {
        return owner_priority;
    }
    return static_cast<std::uint8_t>(std::clamp(member.parameters.priority + weight_, 1, 254));
}

void Group::set_obstacle(Obstacle obstacle, TimePoint now, Output& output) noexcept
{
    if (obstacle == obstacle_) {
        return;
    }
    obstacle_ = obstacle;
    if (obstacle != Obstacle::none) {
        if (state_ != State::init) {
            become_init(reason_of(obstacle), now, output);
        }
        return;
    }
    const bool owner = std::all_of(members_.begin(), members_.end(),
                                   [&](const Member& member) { return effective_priority(member) == owner_priority; });
    if (owner) {
        become_active(Reason::owner, now, output);
    } else {
        become_backup(Reason::started, nullptr, now, output);
    }
}

void Group::set_weight(int weight, TimePoint now, Output& output) noexcept
{
    weight_ = weight;
    refresh_priorities(now, output);
}

void Group::refresh_priorities(TimePoint now, Output& output) noexcept
{
    bool changed = false;
    for (Member& member : members_) {
        const std::uint8_t priority = effective_priority(member);
        if (member.statistics.priority.get() == priority) {
            continue;
        }
        // The first value is the configured one, not a change.
        if (member.statistics.priority.get() != 0) {
            changed = true;
            output.report({Event::Kind::priority_changed,
                           now,
                           member.parameters.name,
                           state_,
                           state_,
                           Reason::none,
                           priority,
                           {}});
        }
        member.statistics.priority.set(priority);
    }
    if (changed && state_ == State::active && !handing_over()) {
        advertise_all(now, output);
    }
}

void Group::transition(State to, Reason reason, TimePoint now, Output& output) noexcept
{
    const State from = state_;
    state_ = to;
    for (Member& member : members_) {
        Statistics& statistics = member.statistics;
        statistics.state.set(static_cast<std::uint64_t>(to));
        statistics.last_transition.set(cell_time(now));
        statistics.last_reason.set(static_cast<std::uint64_t>(reason));
        if (to == State::active) {
            statistics.became_active.add();
        } else if (to == State::backup) {
            statistics.became_backup.add();
        }
        output.report({Event::Kind::transition, now, member.parameters.name, from, to, reason,
                       effective_priority(member), member.peer});
    }
}

void Group::become_active(Reason reason, TimePoint now, Output& output) noexcept
{
    transition(State::active, reason, now, output);
    refresh_priorities(now, output);
    for (Member& member : members_) {
        member.down_deadline = never;
        member.preempt_deadline = never;
        member.peer_weakened = false;
    }
    // Adverts before announcements: they silence the peer, whose own answers would undo the announcements.
    advertise_all(now, output);
    for (Member& member : members_) {
        set_addresses(member, Ownership::active, output);
        start_announcing(member, now);
        run_announcements(member, now, output);
    }
}

void Group::become_backup(Reason reason, const Member* cause, TimePoint now, Output& output) noexcept
{
    handover_deadline_ = never;
    for (Member& member : members_) {
        set_addresses(member, Ownership::backup, output);
        stop_announcing(member);
        member.advert_deadline = never;
        member.preempt_deadline = never;
        member.peer_weakened = false;
        if (&member != cause) {
            member.active_interval = member.parameters.advert_interval;
        }
        restart_down_timer(member, now);
        if (effective_priority(member) == owner_priority && cause == nullptr) {
            member.down_deadline = now; // An owner waits for nobody but the others of its group.
        }
    }
    transition(State::backup, reason, now, output);
    refresh_priorities(now, output);
}

void Group::become_init(Reason reason, TimePoint now, Output& output) noexcept
{
    for (Member& member : members_) {
        if (state_ == State::active && !handing_over()) {
            send_advert(member, 0, output);
        }
        set_addresses(member, Ownership::backup, output);
        stop_announcing(member);
        member.advert_deadline = never;
        member.down_deadline = never;
        member.preempt_deadline = never;
    }
    handover_deadline_ = never;
    transition(State::init, reason, now, output);
}

void Group::restart_down_timer(Member& member, TimePoint now) const noexcept
{
    member.down_deadline = now + active_down_interval(effective_priority(member), member.active_interval);
    member.pending_reason = Reason::peer_silent;
}

void Group::hear(Member& member, const Advert& advert, TimePoint now, Output& output) noexcept
{
    note(member, advert, now, output);
    switch (state_) {
    case State::init:
        break;
    case State::backup:
        hear_in_backup(member, advert, now);
        break;
    case State::active:
        hear_in_active(member, advert, now, output);
        break;
    }
}

void Group::note(Member& member, const Advert& advert, TimePoint now, Output& output) const noexcept
{
    Statistics& statistics = member.statistics;
    (advert.priority == 0 ? statistics.priority_zero_received : statistics.adverts_received).add();
    statistics.peer_priority.set(advert.priority);
    statistics.peer_high.set(advert.source.high());
    statistics.peer_low.set(advert.source.low());
    if (!advert.ipv6()) {
        (advert.checksum == ChecksumKind::pseudo ? statistics.checksum_pseudo : statistics.checksum_rfc9568).add();
        if (member.parameters.checksum == ChecksumMode::automatic) {
            member.checksum = advert.checksum;
        }
    } else if (!advert.view.address(0, true).is_link_local()) {
        statistics.not_link_local_first.add();
    }

    // As sets: the order of a list means nothing.
    const std::vector<wire::IpAddress>& ours = member.parameters.addresses;
    bool differs = advert.view.address_count() != ours.size();
    for (std::size_t index = 0; !differs && index < ours.size(); ++index) {
        differs = std::find(ours.begin(), ours.end(), advert.view.address(index, advert.ipv6())) == ours.end();
    }
    if (differs) {
        statistics.addresses_differ.add();
        if (!member.peer_differs && now >= member.differs_report_after) {
            member.differs_report_after = now + report_spacing;
            output.report({Event::Kind::addresses_differ, now, member.parameters.name, state_, state_, Reason::none,
                           advert.priority, advert.source});
        }
    }
    member.peer_differs = differs;

    const std::uint8_t own = effective_priority(member);
    const bool same_peer = advert.source == member.peer;
    if (same_peer && member.peer_priority >= own && advert.priority != 0 && advert.priority < own &&
        advert.priority < member.peer_priority) {
        member.peer_weakened = true;
    } else if (!same_peer || advert.priority >= own) {
        member.peer_weakened = false;
    }
    member.peer = advert.source;
    member.peer_priority = advert.priority;
}

bool Group::may_preempt(Member& member, TimePoint now) const noexcept
{
    if (standby_) {
        return false;
    }
    // The active one says that it serves worse than before: neither preempt: false nor the delay is meant for that.
    if (member.peer_weakened) {
        return true;
    }
    if (effective_priority(member) == owner_priority) {
        return true; // RFC 9568 §6.1: the owner preempts whatever Preempt_Mode says.
    }
    if (!member.parameters.preempt) {
        return false;
    }
    if (member.preempt_deadline == never) {
        member.preempt_deadline = now + member.parameters.preempt_delay;
    }
    return now >= member.preempt_deadline;
}

void Group::hear_in_backup(Member& member, const Advert& advert, TimePoint now) const noexcept
{
    if (advert.priority == 0) {
        // Never later than it would have been: a stream of these must not keep the addresses down.
        member.down_deadline =
            std::min(member.down_deadline, now + skew_time(effective_priority(member), member.active_interval));
        member.pending_reason = Reason::peer_stopped;
        return;
    }
    const bool lower = advert.priority < effective_priority(member);
    if (lower && may_preempt(member, now)) {
        member.pending_reason = Reason::preempted;
        return;
    }
    if (!lower) {
        member.preempt_deadline = never;
    }
    learn(member, advert);
    restart_down_timer(member, now);
}

void Group::hear_in_active(Member& member, const Advert& advert, TimePoint now, Output& output) noexcept
{
    if (handing_over()) {
        if (advert.priority != 0) {
            learn(member, advert);
            standby_ = true;
            become_backup(Reason::handover, &member, now, output);
        }
        return;
    }
    if (advert.priority == 0) {
        assert_ownership(member, now, output);
        return;
    }
    const std::uint8_t own = effective_priority(member);
    member.statistics.other_active.add();
    member.statistics.other_active_heard.set(cell_time(now));
    if (now >= member.other_active_report_after) {
        member.other_active_report_after = now + report_spacing;
        output.report({Event::Kind::other_active, now, member.parameters.name, state_, state_, Reason::none,
                       advert.priority, advert.source});
    }
    if (advert.priority > own || (advert.priority == own && advert.source > member.parameters.source)) {
        learn(member, advert);
        become_backup(Reason::peer_preferred, &member, now, output);
        return;
    }
    assert_ownership(member, now, output);
    announce_again(member, now);
}

/// An advert in answer to one (RFC 9568 §6.4.3), but not in answer to each of a flood.
void Group::assert_ownership(Member& member, TimePoint now, Output& output) const noexcept
{
    if (now >= member.answer_after) {
        member.answer_after = now + answer_spacing;
        advertise(member, now, output);
    }
}

void Group::advertise(Member& member, TimePoint now, Output& output) const noexcept
{
    send_advert(member, effective_priority(member), output);
    const Duration interval = member.parameters.advert_interval;
    const bool punctual = now >= member.advert_deadline && now - member.advert_deadline < interval;
    member.advert_deadline = (punctual ? member.advert_deadline : now) + interval;
}

void Group::advertise_all(TimePoint now, Output& output) noexcept
{
    for (Member& member : members_) {
        advertise(member, now, output);
    }
}

void Group::run_active(TimePoint now, Output& output) noexcept
{
    if (now >= handover_deadline_) {
        handover_deadline_ = never;
        advertise_all(now, output);
    }
    for (Member& member : members_) {
        if (!handing_over() && now >= member.advert_deadline) {
            advertise(member, now, output);
        }
        run_announcements(member, now, output);
    }
}

void Group::advance(TimePoint now, Output& output) noexcept
{
    if (state_ == State::active) {
        run_active(now, output);
        return;
    }
    if (state_ == State::init) {
        return;
    }
    const Member* last = &members_.front();
    for (const Member& member : members_) {
        if (now < member.down_deadline || member.mail_unread) {
            return;
        }
        if (member.down_deadline > last->down_deadline) {
            last = &member;
        }
    }
    become_active(last->pending_reason, now, output);
}

void Group::slept(Duration gap) noexcept
{
    for (Member& member : members_) {
        member.mail_unread = member.mail_unread || gap > member.active_interval;
    }
}

void Group::mail_read() noexcept
{
    for (Member& member : members_) {
        member.mail_unread = false;
    }
}

void Group::start_handover(TimePoint deadline, TimePoint now, Output& output) noexcept
{
    if (state_ == State::active) {
        for (Member& member : members_) {
            send_advert(member, 0, output);
        }
        handover_deadline_ = deadline;
        return;
    }
    standby_ = true;
    refresh_priorities(now, output);
    if (state_ == State::backup) {
        for (Member& member : members_) {
            restart_down_timer(member, now);
        }
    }
}

void Group::end_standby(TimePoint now, Output& output) noexcept
{
    standby_ = false;
    if (handing_over()) {
        handover_deadline_ = never;
        advertise_all(now, output);
    }
    refresh_priorities(now, output);
}

TimePoint Group::next_deadline() const noexcept
{
    TimePoint deadline = never;
    switch (state_) {
    case State::init:
        break;
    case State::backup: // The group waits for the last of its members.
        deadline = TimePoint::min();
        for (const Member& member : members_) {
            deadline = std::max(deadline, member.down_deadline);
        }
        break;
    case State::active:
        deadline = handover_deadline_;
        for (const Member& member : members_) {
            deadline = std::min(deadline, announcement_deadline(member));
            if (!handing_over()) {
                deadline = std::min(deadline, member.advert_deadline);
            }
        }
        break;
    }
    return deadline;
}

} // namespace sluice::vrrp
