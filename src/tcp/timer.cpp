#include <sluice/tcp/timer.hpp>

#include <boost/asio/error.hpp>

namespace sluice::tcp {

Timer::Timer(Executor executor) noexcept : loop_{executor.context()}, node_{*this, &Timer::on_expiry} {}

Timer::~Timer() { cancel(); }

std::size_t Timer::expires_at(TimePoint when) noexcept
{
    const std::size_t ended = cancel();
    expiry_ = when;
    return ended;
}

std::size_t Timer::cancel() noexcept
{
    loop_.timers().cancel(node_);
    return complete_all(boost::asio::error::operation_aborted);
}

void Timer::start_wait(Operation& operation) noexcept
{
    operation.attach(this, &Timer::on_cancel);
    if (expiry_ <= loop_.now()) {
        operation.complete({});
        return;
    }
    operation.next_operation = waiting_;
    waiting_ = &operation;
    if (!node_.armed()) {
        loop_.timers().arm(node_, expiry_);
    }
}

std::size_t Timer::complete_all(const ErrorCode& error) noexcept
{
    std::size_t count = 0;
    Operation* operation = std::exchange(waiting_, nullptr);
    while (operation != nullptr) {
        Operation& one = *operation;
        operation = one.next_operation;
        one.complete(error);
        ++count;
    }
    return count;
}

void Timer::on_expiry(TimerNode& node, TimePoint) noexcept { static_cast<Node&>(node).timer.complete_all({}); }

void Timer::on_cancel(void* owner, Operation& operation) noexcept
{
    auto& self = *static_cast<Timer*>(owner);
    Operation** link = &self.waiting_;
    while (*link != nullptr && *link != &operation) {
        link = &(*link)->next_operation;
    }
    if (*link != nullptr) {
        *link = operation.next_operation;
        operation.complete(boost::asio::error::operation_aborted);
        if (self.waiting_ == nullptr) {
            self.loop_.timers().cancel(self.node_);
        }
    }
}

} // namespace sluice::tcp
