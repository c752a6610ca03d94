// What a member does by itself: sending, announcing, holding addresses, learning from adverts.
#pragma once

#include <sluice/vrrp/group.hpp>

namespace sluice::vrrp {

/// Sends one advert with this priority.
void send_advert(Member& member, std::uint8_t priority, Output& output) noexcept;

/// Takes the sender's interval and address; what it sends decides the checksum that `automatic` uses.
void learn(Member& member, const Advert& advert) noexcept;

void set_addresses(const Member& member, Ownership ownership, Output& output) noexcept;

/// Starts a burst of announcements, and one more five seconds later.
void start_announcing(Member& member, TimePoint now) noexcept;
/// The same after another active node was heard, which may have left its MAC in caches: at most one burst a second.
void announce_again(Member& member, TimePoint now) noexcept;
void stop_announcing(Member& member) noexcept;
void run_announcements(Member& member, TimePoint now, Output& output) noexcept;
[[nodiscard]] TimePoint announcement_deadline(const Member& member) noexcept;

[[nodiscard]] std::uint64_t cell_time(TimePoint time) noexcept;

} // namespace sluice::vrrp
