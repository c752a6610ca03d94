// What systemd is told (sd_notify(3)): ready, reloading, stopping, and that every core finishes its turns. Without a
// service manager nothing happens. Control thread only.
#pragma once

#include <sluice/base/time.hpp>

#include <string>
#include <string_view>

namespace sluice::app {

class ServiceManager {
public:
    explicit ServiceManager(TimePoint now);

    /// The node serves, or would at once.
    void ready();
    /// Time passed. `waits_for` says what a node that is not ready lacks: after a while the start counts as done all
    /// the same, since a service that is restarted for a missing cable does not get it sooner. `well`: no core is
    /// stalled.
    void advance(std::string_view waits_for, bool well, TimePoint now);
    void reloading();
    void reloaded(bool applied);
    void stopping();

private:
    void started(std::string status);

    bool started_ = false;
    std::string status_;
    TimePoint start_deadline_;
    Duration watchdog_interval_{}; ///< Zero: no watchdog
    TimePoint next_feed_{};
};

} // namespace sluice::app
