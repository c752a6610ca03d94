// A worker's event loop: Asio's execution_context and executor over an intrusive run queue, and its timers.
//
// One thread owns a Loop and everything on it: executors, timers, stacks and streams of one loop are never touched from
// another thread (cores talk by rings). A turn of the owner is
//
//     loop.start_turn();          // reads the clock once
//     ... stack.input(packet) ...
//     loop.run_timers();          // due timers; they queue handlers, they run none
//     loop.run_ready(250us);      // handlers, within a time budget
//     stack.flush();              // what the handlers wrote leaves as segments
//
// and it may sleep until loop.next_deadline().
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/base/timer_wheel.hpp>

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace sluice::tcp {

class Executor;

/// An entry of the run queue. Whoever derives from it decides about its memory: `function` is called exactly once for
/// each time it was queued, with run = true to act, or with run = false to only free what it holds (the loop ends).
class Task {
public:
    using Function = void (*)(Task*, bool run);

    explicit Task(Function function) noexcept : function_{function} {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

protected:
    ~Task() = default;

private:
    friend class Loop;
    Task* next_ = nullptr;
    Function function_;
};

class Loop final : public boost::asio::execution_context {
public:
    using executor_type = Executor;

    /// `clock` must outlive the loop; a FakeClock makes everything on this loop run in virtual time.
    explicit Loop(const Clock& clock);
    /// Frees queued handlers without running them.
    ~Loop();

    [[nodiscard]] Executor get_executor() noexcept;

    /// The time of this turn: constant between two calls of start_turn().
    [[nodiscard]] TimePoint now() const noexcept { return now_; }
    TimePoint start_turn() noexcept { return now_ = clock_.now(); }
    std::size_t run_timers() noexcept { return timers_.advance(now_); }

    /// Runs queued handlers, also those queued meanwhile, until the queue is empty, `budget` has passed (the clock is
    /// read after each) or `limit` have run. Returns how many ran. What a handler throws leaves here; the rest stays
    /// queued.
    std::size_t run_ready(Duration budget, std::size_t limit = 65536);

    [[nodiscard]] bool has_ready() const noexcept { return head_ != nullptr; }
    /// now() when handlers wait, else when run_timers() has something to do; `never` when there is nothing.
    [[nodiscard]] TimePoint next_deadline() const noexcept { return head_ != nullptr ? now_ : timers_.next_deadline(); }

    [[nodiscard]] TimerWheel& timers() noexcept { return timers_; }

    /// Appends to the run queue. `task` must not be queued already.
    void post(Task& task) noexcept
    {
        task.next_ = nullptr;
        (tail_ != nullptr ? tail_->next_ : head_) = &task;
        tail_ = &task;
    }

    /// Memory of handlers, recycled by size class as far as cached_limit of each. `size` given back must be the one
    /// asked for.
    [[nodiscard]] void* allocate(std::size_t size);
    void deallocate(void* memory, std::size_t size) noexcept;
    /// Kept for the next handlers of a class, not more: what a crowd has needed goes back when it has gone.
    static constexpr std::size_t cached_limit = 256 * 1024;
    [[nodiscard]] std::size_t cached_bytes() const noexcept;

private:
    struct FreeBlock {
        FreeBlock* next;
    };
    static constexpr std::size_t smallest_block = 64;
    static constexpr std::size_t block_classes = 7; ///< 64 bytes to 4 KiB.

    void discard() noexcept;

    const Clock& clock_;
    TimePoint now_;
    Task* head_ = nullptr;
    Task* tail_ = nullptr;
    struct FreeList {
        FreeBlock* first = nullptr;
        std::size_t bytes = 0;
    };
    std::array<FreeList, block_classes> free_{};
    struct Frames;
    std::unique_ptr<Frames> frames_;
    TimerWheel timers_;
};

/// The concrete executor: 8 bytes, copies cost nothing, always queues (blocking.never). Converts to any_io_executor.
class Executor {
public:
    explicit Executor(Loop& loop) noexcept : loop_{&loop} {}

    [[nodiscard]] Loop& context() const noexcept { return *loop_; }

    [[nodiscard]] Loop& query(boost::asio::execution::context_t) const noexcept { return *loop_; }
    [[nodiscard]] static constexpr boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) noexcept
    {
        return boost::asio::execution::blocking.never;
    }
    [[nodiscard]] Executor require(boost::asio::execution::blocking_t::never_t) const noexcept { return *this; }

    template <class Function>
    void execute(Function&& function) const
    {
        using Stored = std::decay_t<Function>;
        void* memory = loop_->allocate(sizeof(Queued<Stored>));
        try {
            loop_->post(*new (memory) Queued<Stored>{*loop_, std::forward<Function>(function)});
        } catch (...) {
            loop_->deallocate(memory, sizeof(Queued<Stored>));
            throw;
        }
    }

    friend bool operator==(const Executor&, const Executor&) noexcept = default;

private:
    template <class Work>
    class Queued final : public Task {
    public:
        template <class Argument>
        Queued(Loop& loop, Argument&& function)
            : Task{&Queued::call}, loop_{loop}, work_{std::forward<Argument>(function)}
        {
        }

    private:
        static void call(Task* task, bool run)
        {
            auto* self = static_cast<Queued*>(task);
            Loop& loop = self->loop_;
            Work work{std::move(self->work_)};
            self->~Queued();
            loop.deallocate(self, sizeof(Queued)); // Before the call: what it queues finds this block warm.
            if (run) {
                std::move(work)();
            }
        }

        Loop& loop_;
        Work work_;
    };

    Loop* loop_;
};

inline Executor Loop::get_executor() noexcept { return Executor{*this}; }

} // namespace sluice::tcp
