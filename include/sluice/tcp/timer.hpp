// A timer on the loop's wheel, in the shape of asio's timers. 66 us resolution, never early. Owner thread of the loop
// only.
#pragma once

#include <sluice/tcp/operation.hpp>

#include <boost/asio/async_result.hpp>

namespace sluice::tcp {

class Timer {
public:
    using executor_type = Executor;

    explicit Timer(Executor executor) noexcept;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    /// Ends pending waits with operation_aborted.
    ~Timer();

    [[nodiscard]] Executor get_executor() const noexcept { return Executor{loop_}; }
    [[nodiscard]] TimePoint expiry() const noexcept { return expiry_; }

    /// Both end pending waits with operation_aborted, and say how many.
    std::size_t expires_at(TimePoint when) noexcept;
    std::size_t expires_after(Duration after) noexcept { return expires_at(loop_.now() + after); }

    /// Completes with success once the expiry has passed, or with operation_aborted. Any number may wait.
    template <class Token>
    auto async_wait(Token&& token)
    {
        return boost::asio::async_initiate<Token, void(ErrorCode)>(
            [this](auto handler) {
                auto* operation = HandlerOperation<WaitOperation, decltype(handler)>::create(loop_, std::move(handler));
                start_wait(*operation);
                operation->connect_slot();
            },
            token);
    }

    std::size_t cancel() noexcept;

private:
    struct Node : TimerNode {
        Node(Timer& owner, Callback callback) noexcept : TimerNode{callback}, timer{owner} {}
        Timer& timer;
    };

    void start_wait(Operation& operation) noexcept;
    std::size_t complete_all(const ErrorCode& error) noexcept;
    static void on_expiry(TimerNode& node, TimePoint now) noexcept;
    static void on_cancel(void* owner, Operation& operation) noexcept;

    Loop& loop_;
    TimePoint expiry_{};
    Operation* waiting_ = nullptr;
    Node node_;
};

} // namespace sluice::tcp
