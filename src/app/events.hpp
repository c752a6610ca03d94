// State changes of one core on their way to the control thread, in the words that people read.
#pragma once

#include <sluice/handoff/wakeup.hpp>
#include <sluice/neigh/types.hpp>
#include <sluice/telemetry/event.hpp>
#include <sluice/vrrp/types.hpp>

namespace sluice::app {

class EventSender {
public:
    EventSender(telemetry::EventRing& ring, handoff::Wakeup& control) noexcept : ring_{ring}, control_{control} {}

    void send(const telemetry::Event& event) noexcept;
    void send(const neigh::Event& event) noexcept;
    void send(const vrrp::Event& event) noexcept;

private:
    telemetry::EventRing& ring_;
    handoff::Wakeup& control_;
};

} // namespace sluice::app
