#include "service_manager.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <ctime>

namespace sluice::app {
namespace {

/// Well within the TimeoutStartSec= of config/sluice.service.
constexpr Duration start_patience = std::chrono::seconds{20};
/// Of these in WatchdogSec=, all but one may get lost.
constexpr int feeds = 4;

void tell(const std::string& text) { sd_notify(0, text.c_str()); }

/// As systemd reads its own clock: CLOCK_MONOTONIC.
std::uint64_t monotonic_microseconds()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

} // namespace

ServiceManager::ServiceManager(TimePoint now) : start_deadline_{now + start_patience}
{
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) {
        watchdog_interval_ = std::chrono::microseconds{microseconds / feeds};
    }
}

void ServiceManager::started(std::string status)
{
    status_ = std::move(status);
    tell(fmt::format("READY=1\nSTATUS={}", status_));
    started_ = true;
}

void ServiceManager::ready() { started("running"); }

void ServiceManager::advance(std::string_view waits_for, bool well, TimePoint now)
{
    if (!started_ && !waits_for.empty() && now >= start_deadline_) {
        started(fmt::format("not ready: waits for {}", waits_for));
    }
    if (well && watchdog_interval_ != Duration::zero() && now >= next_feed_) {
        next_feed_ = now + watchdog_interval_;
        tell("WATCHDOG=1");
    }
}

void ServiceManager::reloading()
{
    if (started_) {
        tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
    }
}

void ServiceManager::reloaded(bool applied)
{
    if (started_) {
        tell(fmt::format("READY=1\nSTATUS={}", status_ + (applied ? "" : "; the last reload was refused")));
    }
}

void ServiceManager::stopping() { tell("STOPPING=1\nSTATUS=draining"); }

} // namespace sluice::app
