// The state machine of RFC 9568 §6.4, for a group of instances that move together (an instance without a group is a
// group of one). Everything is decided from the arguments and `now`; what follows is asked of an Output.
//
//            start, owner ┌──────┐ start
//         ┌───────────────┤ init ├───────────────┐
//         ▼               └──────┘               ▼
//     ┌────────┐   a member hears a better one  ┌────────┐
//     │ active ├───────────────────────────────►│ backup │
//     │        │◄───────────────────────────────┤        │
//     └────────┘  every member's timer ran out  └────────┘
//
// A group takes over when no member hears a better one, and gives way when any member does: it prefers backup, so a
// peer that is lost on one link or in one family only does not make two actives.
#pragma once

#include <sluice/telemetry/counters.hpp>
#include <sluice/vrrp/advert.hpp>

#include <deque>
#include <vector>

namespace sluice::vrrp {

/// What `sluicectl vrrp` shows of an instance. Written by the first forwarder, read by any thread.
struct Statistics {
    telemetry::Cell state;           ///< State
    telemetry::Cell priority;        ///< The effective one
    telemetry::Cell last_transition; ///< Nanoseconds of the monotonic clock; 0: never
    telemetry::Cell last_reason;     ///< Reason of the last transition
    telemetry::Cell became_active;
    telemetry::Cell became_backup;
    telemetry::Cell adverts_sent;
    telemetry::Cell adverts_received;
    telemetry::Cell priority_zero_sent;
    telemetry::Cell priority_zero_received;
    telemetry::Cell checksum_rfc9568; ///< Valid IPv4 adverts by the kind of their checksum
    telemetry::Cell checksum_pseudo;
    telemetry::Cell addresses_differ;     ///< Adverts whose list was not ours
    telemetry::Cell not_link_local_first; ///< IPv6 adverts whose list did not start with a link-local address
    telemetry::Cell other_active;         ///< Adverts of another active node heard while active
    telemetry::Cell other_active_heard;   ///< When last; nanoseconds of the monotonic clock
    telemetry::Cell peer_priority;        ///< Of the advert heard last
    telemetry::Cell peer_high;            ///< Its source address, as two words
    telemetry::Cell peer_low;

    void copy_from(const Statistics& other) noexcept;
};

/// Why a group must not hold addresses.
enum class Obstacle : std::uint8_t { none, not_ready, fault, stopped };

/// What an instance knows and waits for; survives a reload.
struct MemberState {
    Duration active_interval{}; ///< Active_Adver_Interval: heard from the active one
    TimePoint down_deadline = never;
    TimePoint advert_deadline = never;
    TimePoint preempt_deadline = never; ///< preempt_delay is over then; `never`: no lower one was heard
    /// The forwarder slept for longer than the interval and may have unread adverts: the down timer waits for
    /// mail_read().
    bool mail_unread = false;

    // What was heard last, and what it means for the next transition.
    wire::IpAddress peer;
    std::uint8_t peer_priority = 0;
    bool peer_weakened = false; ///< The peer's priority fell below ours while it was active
    bool peer_differs = false;
    Reason pending_reason = Reason::peer_silent;
    ChecksumKind checksum = ChecksumKind::pseudo; ///< What is sent

    // Gratuitous ARP and unsolicited NA: rounds over all addresses.
    std::uint8_t announcements_left = 0;
    TimePoint announce_deadline = never;
    TimePoint repeat_deadline = never;     ///< The second burst
    TimePoint announce_again_after{};      ///< Contention does not start another burst before
    TimePoint answer_after{};              ///< Another node's advert is not answered before
    TimePoint other_active_report_after{}; ///< Two actives are reported every ten seconds at most
    TimePoint differs_report_after{};      ///< So are differing lists of addresses
};

struct Member : MemberState {
    explicit Member(Parameters configured);

    Parameters parameters;
    Statistics statistics;
};

class Group {
public:
    explicit Group(std::vector<Parameters> parameters);

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] Obstacle obstacle() const noexcept { return obstacle_; }
    [[nodiscard]] bool standby() const noexcept { return standby_; }
    [[nodiscard]] bool handing_over() const noexcept { return handover_deadline_ != never; }
    [[nodiscard]] std::deque<Member>& members() noexcept { return members_; }
    [[nodiscard]] const std::deque<Member>& members() const noexcept { return members_; }
    /// The priority that the next advert carries, unless it is 0: weights applied; 1 in standby.
    [[nodiscard]] std::uint8_t effective_priority(const Member& member) const noexcept;

    // ---- Events ----

    /// From now on `obstacle` holds: `none` starts the group, the others take it to init, with priority 0 if it was
    /// active.
    void set_obstacle(Obstacle obstacle, TimePoint now, Output& output) noexcept;
    /// The sum of the weights of what is tracked.
    void set_weight(int weight, TimePoint now, Output& output) noexcept;
    /// A valid advert for `member`.
    void hear(Member& member, const Advert& advert, TimePoint now, Output& output) noexcept;
    /// Time passed.
    void advance(TimePoint now, Output& output) noexcept;
    /// `gap` went by without a turn.
    void slept(Duration gap) noexcept;
    /// Every advert that had come before now was heard.
    void mail_read() noexcept;
    /// Priority 0, but the addresses stay until a peer's advert is heard; not later than `deadline`, else all is as
    /// before.
    void start_handover(TimePoint deadline, TimePoint now, Output& output) noexcept;
    /// Back to the configured priority.
    void end_standby(TimePoint now, Output& output) noexcept;

    [[nodiscard]] TimePoint next_deadline() const noexcept;

private:
    friend class Reconfiguration;

    void become_active(Reason reason, TimePoint now, Output& output) noexcept;
    void become_backup(Reason reason, const Member* cause, TimePoint now, Output& output) noexcept;
    void become_init(Reason reason, TimePoint now, Output& output) noexcept;
    void transition(State to, Reason reason, TimePoint now, Output& output) noexcept;
    void hear_in_backup(Member& member, const Advert& advert, TimePoint now) const noexcept;
    void hear_in_active(Member& member, const Advert& advert, TimePoint now, Output& output) noexcept;
    void note(Member& member, const Advert& advert, TimePoint now, Output& output) const noexcept;
    [[nodiscard]] bool may_preempt(Member& member, TimePoint now) const noexcept;
    void restart_down_timer(Member& member, TimePoint now) const noexcept;
    void run_active(TimePoint now, Output& output) noexcept;
    void advertise(Member& member, TimePoint now, Output& output) const noexcept;
    void assert_ownership(Member& member, TimePoint now, Output& output) const noexcept;
    void advertise_all(TimePoint now, Output& output) noexcept;
    void refresh_priorities(TimePoint now, Output& output) noexcept;

    std::deque<Member> members_; ///< Members hold atomics: they never move
    State state_ = State::init;
    Obstacle obstacle_ = Obstacle::not_ready;
    int weight_ = 0;
    bool standby_ = false;
    TimePoint handover_deadline_ = never;
};

} // namespace sluice::vrrp
