#include <vrrp/member.hpp>

#include <algorithm>

namespace sluice::vrrp {
namespace {

// Keepalived's numbers: five announcements, and five more after five seconds for those that lost the first.
constexpr std::uint8_t announcements_per_burst = 5;
constexpr Duration announcement_spacing = std::chrono::milliseconds{10};
constexpr Duration repeat_delay = std::chrono::seconds{5};
constexpr Duration contention_spacing = std::chrono::seconds{1};

} // namespace

Member::Member(Parameters configured) : parameters{std::move(configured)}
{
    active_interval = parameters.advert_interval;
    checksum = parameters.checksum == ChecksumMode::rfc9568 ? ChecksumKind::rfc9568 : ChecksumKind::pseudo;
    // RFC 9568 §5.2.9: the first address of an IPv6 advert is link-local.
    std::stable_partition(parameters.addresses.begin(), parameters.addresses.end(),
                          [](const wire::IpAddress& address) { return address.is_v6() && address.is_link_local(); });
}

void send_advert(Member& member, std::uint8_t priority, Output& output) noexcept
{
    FrameBuffer buffer;
    output.send(member.parameters.port, build_frame(member.parameters, priority, member.checksum, buffer));
    (priority == 0 ? member.statistics.priority_zero_sent : member.statistics.adverts_sent).add();
}

void learn(Member& member, const Advert& advert) noexcept { member.active_interval = advert.interval; }

void set_addresses(const Member& member, Ownership ownership, Output& output) noexcept
{
    const wire::MacAddress mac = member.parameters.mac();
    for (const wire::IpAddress& address : member.parameters.addresses) {
        output.set_address(member.parameters.port, address, mac, ownership);
    }
}

void start_announcing(Member& member, TimePoint now) noexcept
{
    member.announcements_left = announcements_per_burst;
    member.announce_deadline = now;
    member.announce_again_after = now + contention_spacing;
    member.repeat_deadline = now + repeat_delay;
}

void announce_again(Member& member, TimePoint now) noexcept
{
    if (now >= member.announce_again_after) {
        start_announcing(member, now);
    }
    member.repeat_deadline = now + repeat_delay;
}

void stop_announcing(Member& member) noexcept
{
    member.announcements_left = 0;
    member.announce_deadline = never;
    member.repeat_deadline = never;
}

void run_announcements(Member& member, TimePoint now, Output& output) noexcept
{
    if (now >= member.repeat_deadline) {
        member.repeat_deadline = never;
        member.announcements_left = announcements_per_burst;
        member.announce_deadline = now;
    }
    if (member.announcements_left == 0 || now < member.announce_deadline) {
        return;
    }
    const wire::MacAddress mac = member.parameters.mac();
    for (const wire::IpAddress& address : member.parameters.addresses) {
        output.announce(member.parameters.port, address, mac);
    }
    member.announcements_left--;
    member.announce_deadline = member.announcements_left == 0 ? never : now + announcement_spacing;
}

TimePoint announcement_deadline(const Member& member) noexcept
{
    return std::min(member.announce_deadline, member.repeat_deadline);
}

std::uint64_t cell_time(TimePoint time) noexcept { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

void Statistics::copy_from(const Statistics& other) noexcept
{
    const auto copy = [&](telemetry::Cell Statistics::*cell) { (this->*cell).set((other.*cell).get()); };
    for (const auto cell :
         {&Statistics::state, &Statistics::priority, &Statistics::last_transition, &Statistics::last_reason,
          &Statistics::became_active, &Statistics::became_backup, &Statistics::adverts_sent,
          &Statistics::adverts_received, &Statistics::priority_zero_sent, &Statistics::priority_zero_received,
          &Statistics::checksum_rfc9568, &Statistics::checksum_pseudo, &Statistics::addresses_differ,
          &Statistics::not_link_local_first, &Statistics::other_active, &Statistics::other_active_heard,
          &Statistics::peer_priority, &Statistics::peer_high, &Statistics::peer_low}) {
        copy(cell);
    }
}

} // namespace sluice::vrrp
