// Waking a core that sleeps. The sleeper arms, looks at its queues once more, then sleeps; a waker makes a system call
// only when the sleeper is armed.
#pragma once

#include <atomic>

namespace sluice::handoff {

class Wakeup {
public:
    Wakeup();
    ~Wakeup();
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    /// Readable after a wake(). For the sleeper's epoll set.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

    /// Sleeper: from here on wake() makes the descriptor readable. Look at every queue after this, before sleeping.
    void arm() noexcept;
    /// Sleeper: awake again; empties the descriptor if it was written.
    void disarm() noexcept;
    /// Any core, after it has published work.
    void wake() noexcept;

private:
    int descriptor_;
    std::atomic<bool> armed_{false};
};

} // namespace sluice::handoff
