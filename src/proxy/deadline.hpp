// A timeout that costs a store to move: the wheel is touched only when it must fire earlier than it is armed.
#pragma once

#include <sluice/base/timer_wheel.hpp>
#include <sluice/proxy/plan.hpp>
#include <sluice/tcp/loop.hpp>

namespace sluice::proxy {

[[nodiscard]] inline TimePoint time_after(TimePoint now, Duration wait) noexcept
{
    return wait == no_timeout ? never : now + wait;
}

class Deadline : private TimerNode {
public:
    /// Called from the timers' turn; must only cancel operations or notify signals.
    using Action = void (*)(void* owner) noexcept;

    Deadline(tcp::Loop& loop, Action action, void* owner) noexcept
        : TimerNode{&Deadline::on_timer}, loop_{loop}, action_{action}, owner_{owner}
    {
    }

    void expires_at(TimePoint when) noexcept
    {
        expired_ = false;
        when_ = when;
        if (when != never && (!armed() || when < deadline())) {
            loop_.timers().arm(*this, when);
        }
    }
    void expires_after(Duration after) noexcept { expires_at(time_after(loop_.now(), after)); }
    /// As if its time were over now.
    void expire() noexcept
    {
        when_ = never;
        expired_ = true;
        action_(owner_);
    }
    void off() noexcept { when_ = never; }
    /// Whether the last deadline that was set has passed; remembered until another is set.
    [[nodiscard]] bool expired() const noexcept { return expired_; }

private:
    static void on_timer(TimerNode& node, TimePoint now) noexcept
    {
        auto& self = static_cast<Deadline&>(node);
        if (self.when_ == never) {
            return;
        }
        if (now < self.when_) {
            self.loop_.timers().arm(self, self.when_);
            return;
        }
        self.expire();
    }

    tcp::Loop& loop_;
    Action action_;
    void* owner_;
    TimePoint when_ = never;
    bool expired_ = false;
};

} // namespace sluice::proxy
